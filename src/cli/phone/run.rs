//! `cabled phone run`: the phone's service in the foreground, until a signal ends it.
//!
//! The composition root of the service: store, radio, socket.

mod key;
mod questions;

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::keeper::{self, Place};
use super::making::Making;
use super::remote::{self, Socket};
use super::unlock::{self, Vault};
use super::{Reporter, or_interrupted, scan, store};
use crate::authenticator::service::{Listening, Service, Setup};
use crate::authenticator::{Error, Locked, Store, Verification, store as passkeys};
use crate::cli::advice;
use crate::cli::args::Link;
use crate::cli::companion::{Fingers, Notes, Words};
use crate::cli::failure::{Failure, Status};
use crate::cli::plugged;
use crate::cli::system;
use crate::cli::systemd;
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::desktop::Bus;
use crate::desktop::fingerprint::{Limits, Reader};
use crate::desktop::notify::Notifier;
use crate::frontend::grpc::{self, Advice, Listener};
use crate::frontend::web;

/// How long transactions that run may take to hang up.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long clients may take to let go after that.
const CLIENTS: Duration = Duration::from_secs(3);

/// Its file in packaging/applications, without the ending.
const DESKTOP_ENTRY: &str = "org.cabled.Phone";

/// Its file in packaging/systemd/user.
const SOCKET_UNIT: &str = "cabled-phone.socket";

/// Where a PIN can be given.
const ELSEWHERE: &str = "To answer with the PIN: cabled phone pending";

/// Runs the phone as a service on a socket, for the other commands and for programs of yours
#[derive(Args, Clone, Debug)]
pub(super) struct Run {
    /// Start with the passkeys locked, until: cabled phone unlock
    #[arg(long)]
    locked: bool,
    /// Leave the keys of "phone store keys" alone: only the PIN opens the passkeys
    #[arg(long)]
    no_keys: bool,
    /// Show the phone's page in browsers on this machine, too; at this port [default: a free one]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    web: Option<u16>,
    /// Be a security key on this machine: browsers, ssh and others use it as if it were plugged in
    #[arg(long)]
    uhid: bool,
    /// Agree to everything without asking; for tests and machines that nobody sits at
    #[arg(long)]
    auto_approve: bool,
    /// Show questions as notifications of the desktop; =discreet names neither sites nor accounts
    #[arg(
        long, value_name = "WORDS", value_enum,
        num_args = 0..=1, require_equals = true, default_missing_value = "full"
    )]
    notify: Option<Words>,
    /// Let a fingerprint approve, on a button of the notification; needs fprintd and an enrolled finger
    #[arg(long, requires = "notify")]
    fingerprint: bool,
    /// Remember no computers, and let none ring that is remembered already
    #[arg(long)]
    no_linking: bool,
    /// What computers that are remembered call this phone [default: the name of this machine]
    #[arg(long, value_name = "NAME", conflicts_with = "no_linking")]
    name: Option<String>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    link: Link,
}

impl Run {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let Place { vault, socket } = place;
        let reporter = Reporter(ui);
        let mut interrupt = std::pin::pin!(system::interrupted());
        let prepared = self.prepare(reporter, vault, socket);
        let (service, listener) = or_interrupted(interrupt.as_mut(), prepared).await?;
        let page = self.page(reporter, &service).await?;
        let key = self.uhid.then(|| key::plug_in(reporter, &service)).transpose()?;
        // Nobody is asked where everything is approved, and machines read no questions.
        let asks = !self.auto_approve && !ui.is_json();
        let terminal = asks.then(Terminal::open).flatten();
        let desk = questions::Desk { reporter, service: &service, vault, terminal };
        let place = listener.path().map(|path| path.display().to_string());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = grpc::serve(service.clone(), listener, advise, async {
            let _dropped_is_stopped_too = stopped.await;
        });
        let mut serving = std::pin::pin!(serving);
        let words = match &place {
            Some(place) => format!("The phone's service listens at {place}."),
            None => "The phone's service listens on the socket that it was given.".to_owned(),
        };
        let fields = json!({ "socket": place, "locked": service.vault().is_locked() });
        reporter.step("serving", &words, fields);
        systemd::notify("READY=1");
        let prompting = self.notify.map(|words| self.prompt(service.clone(), words));
        tokio::select! {
            biased;
            () = interrupt => {}
            ended = &mut serving => return ended.map_err(|error| remote::failed(&error)),
            failure = plugged::ended(key) => return Err(failure),
            () = desk.run() => {}
            () = service.listen() => {}
            () = tell_listening(reporter, &service) => {}
        }
        systemd::notify("STOPPING=1");
        reporter.step("stopping", "Stopping; laptops are told that the phone hangs up.", json!({}));
        service.stop(FAREWELL).await;
        if let Some(prompting) = prompting {
            prompting.abort();
        }
        drop(stop);
        drop(page);
        // A client that does not let go ends with the program.
        let _late = tokio::time::timeout(CLIENTS, serving).await;
        reporter.step("stopped", "Stopped.", json!({}));
        Ok(())
    }

    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(crate::cli::enroll::machine)
    }

    /// The page, if it is wanted; it ends with what this gives.
    async fn page(
        &self,
        reporter: Reporter,
        service: &Service,
    ) -> Result<Option<oneshot::Sender<()>>, Failure> {
        let Some(port) = self.web else { return Ok(None) };
        let web = web::phone::bind(service.clone(), port, &mut system::random()).await;
        let web = web.map_err(|error| {
            let error = format!("the page cannot be shown at 127.0.0.1, port {port}: {error}");
            Failure::new(Status::Failure, error, "name another port, or none, with --web")
        })?;
        let link = web.links().fresh(&mut system::random());
        let words = format!("The phone's page, for one browser on this machine: {link}");
        reporter.step("web", &words, json!({ "link": link }));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(web.serve(async {
            let _dropped_is_stopped_too = stopped.await;
        }));
        Ok(Some(stop))
    }

    /// Keeps the desktop told, until it is aborted.
    fn prompt(&self, service: Service, words: Words) -> JoinHandle<()> {
        let fingers = || Fingers::new(Reader::system(), Limits::default());
        let fingers = self.fingerprint.then(fingers);
        let notifier = Notifier::new(Bus::Session, "Passkeys", DESKTOP_ENTRY);
        let mut notes = Notes::new(service.clone(), notifier, fingers, words, ELSEWHERE);
        tokio::spawn(async move { service.prompt(&mut notes).await })
    }

    /// The socket first: a second service is refused before it asks for anything.
    async fn prepare(
        &self,
        reporter: Reporter,
        vault: &Vault,
        socket: &Socket,
    ) -> Result<(Service, Listener), Failure> {
        let listener = match systemd::inherited(SOCKET_UNIT)? {
            Some(listener) => listener,
            None => {
                let path = socket.path()?;
                Listener::bind(&path).await.map_err(|error| remote::failed(&error))?
            }
        };
        let phone = scan::phone_config(&self.link)?;
        let radio = scan::radio(&self.link, &phone)?;
        let (locked, open) = self.store(reporter, vault).await?;
        let setup = Setup {
            locked,
            open,
            radio,
            phone,
            engine: self.making.config(),
            name: (!self.no_linking).then(|| self.name()),
            standing: self.auto_approve.then(Verification::standing_approval),
            sources: keeper::sources(),
        };
        let service = Service::new(setup).map_err(|error| {
            let hint = "name a tunnel service of your own with --relay";
            Failure::because(Status::Usage, &error, hint)
        })?;
        Ok((service, listener))
    }

    /// Open with a PIN that is at hand, locked where there is none.
    async fn store(
        &self,
        reporter: Reporter,
        vault: &Vault,
    ) -> Result<(Locked, Option<Store>), Failure> {
        let terminal = Terminal::open();
        let locked = vault.locked_if_any().await?;
        let by_hand = vault.pin_file.is_some() || self.no_keys || self.locked;
        if let Some(locked) = locked.as_ref().filter(|_| !by_hand)
            && let Some(store) = by_key(reporter, locked).await
        {
            return Ok((locked.clone(), Some(store)));
        }
        if self.locked || (terminal.is_none() && vault.pin_file.is_none()) {
            let missing = || unlock::failed(&passkeys::Error::NotFound);
            return Ok((locked.ok_or_else(missing)?, None));
        }
        let unlocked = match &locked {
            Some(locked) => vault.unlock(locked, terminal.as_ref()).await?,
            None => vault.create(reporter, terminal.as_ref()).await?,
        };
        Ok((unlocked.store.locked(), Some(unlocked.store)))
    }
}

/// The store, opened without the PIN, if it knows a key that does.
async fn by_key(reporter: Reporter, locked: &Locked) -> Option<Store> {
    match store::keys::open_store(reporter, locked).await {
        Ok(store) => store,
        // The PIN is there still.
        Err(failure) => {
            reporter.note(&format!("no key opens the passkeys: {}", failure.error));
            None
        }
    }
}

/// Tells whether computers can ring, as it changes.
async fn tell_listening(reporter: Reporter, service: &Service) {
    let mut listening = service.listening();
    loop {
        let now = listening.borrow_and_update().clone();
        match now {
            Listening::Yes => {
                let words = "Computers that this phone remembers can ring it now.";
                reporter.step("listening", words, json!({}));
            }
            Listening::ForForgotten => {
                let words = "No computer can ring this phone; those that it has forgotten are told so when they try.";
                reporter.step("listening-for-forgotten", words, json!({}));
            }
            Listening::Failing(why) => {
                let words = format!(
                    "Computers that this phone remembers cannot ring it now: {why}. It is tried again."
                );
                reporter.step("not-listening", &words, json!({ "error": why }));
            }
            _ => {}
        }
        if listening.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// The words that this program has itself for what ends a transaction.
fn advise(error: &Error) -> Advice {
    let Failure { error: text, hint, .. } = advice::authenticator(error);
    Advice { text, hint }
}
