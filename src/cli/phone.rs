//! `cabled phone`: the phone's part, and the passkeys that it keeps.
//!
//! ```text
//!  scan, run ──> unlock ──> terminal who is the owner
//!   ├─────> consent ─> terminal      what does the owner say
//!   └─────> outcome                  how did it go, in words, events and an exit status
//!  passkeys, pin, export, import ──> keeper    the service, or the same work in this process
//!   └─────> view                     tables and JSON
//! ```

mod consent;
pub(super) mod date;
mod exchange;
mod keeper;
mod links;
mod making;
mod orphans;
mod outcome;
mod passkeys;
mod pin;
mod remote;
mod run;
mod scan;
mod store;
mod unlock;
mod view;

use std::future::Future;
use std::io;
use std::pin::Pin;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::{Failure, Status};
use super::system;
use super::ui::{Ui, event_line, print};
use keeper::Place;
use unlock::Vault;

/// Takes the phone's part: answers the code of a laptop with passkeys that are kept here
#[derive(Args, Clone, Debug)]
pub(crate) struct Phone {
    #[command(flatten)]
    vault: Vault,
    #[command(flatten)]
    socket: remote::Socket,
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Run(Box<run::Run>),
    #[command(flatten)]
    Remote(remote::Remote),
    Scan(Box<scan::Scan>),
    Open(Box<scan::Open>),
    Passkeys(passkeys::Passkeys),
    Links(links::Links),
    Pin(pin::ChangePin),
    Store(store::StoreCommand),
    Export(exchange::Export),
    Import(exchange::Import),
}

impl Phone {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let place = Place { vault: &self.vault, socket: &self.socket };
        let work: Pin<Box<dyn Future<Output = _> + Send>> = match &self.command {
            Sub::Run(command) => return command.run(ui, place).await,
            Sub::Scan(command) => return command.run(ui, place).await,
            Sub::Open(command) => return command.run(ui, place).await,
            Sub::Remote(command) => Box::pin(command.run(ui, place)),
            Sub::Passkeys(command) => Box::pin(command.run(ui, place)),
            Sub::Links(command) => Box::pin(command.run(ui, place)),
            Sub::Export(command) => Box::pin(command.run(ui, place)),
            Sub::Import(command) => Box::pin(command.run(ui, place)),
            Sub::Store(command) => Box::pin(command.run(ui, place.vault)),
            Sub::Pin(command) => Box::pin(command.run(ui, place)),
        };
        or_interrupted(system::interrupted(), work).await
    }
}

/// Tells how a transaction goes: people on standard error, machines on standard output, where the
/// events are the result.
#[derive(Clone, Copy)]
pub(super) struct Reporter(Ui);

impl Reporter {
    fn step(self, event: &str, words: &str, fields: Value) {
        match self.0.is_json() {
            // The line at the end is checked; it has no reader either if this one has none.
            true => drop(print(&event_line(event, fields).to_string())),
            false => self.0.step(event, words, fields),
        }
    }

    fn note(self, words: &str) {
        match self.0.is_json() {
            true => self.step("note", words, json!({ "text": words })),
            false => self.0.note(words),
        }
    }
}

/// Does what may take a while, until Ctrl-C; a question on the terminal is then withdrawn.
async fn or_interrupted<T>(
    interrupt: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = interrupt => Err(interrupted()),
        result = work => result,
    }
}

fn interrupted() -> Failure {
    let hint = "run the command again when you are ready";
    Failure::new(Status::Interrupted, "cancelled", hint)
}

/// Gives a call that blocks a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::because(Status::Failure, &error, "run it again with -v"))
}

fn no_terminal() -> Failure {
    let error = "the PIN cannot be asked for: there is no terminal";
    Failure::new(Status::Usage, error, "run it in a terminal, or name a file with --pin-file")
}

fn interrupted_terminal(error: &io::Error) -> Failure {
    let error = format!("the terminal failed: {error}");
    Failure::new(Status::Failure, error, "run it again in another terminal")
}
