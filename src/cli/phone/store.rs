//! `cabled phone store`: check, backup, restore, keys.

mod creds;
pub(super) mod keys;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::unlock::{self, Vault};
use super::view::full_id;
use super::{blocking, interrupted_terminal};
use crate::authenticator::store::{Checkup, Error, Finding, Restoration};
use crate::authenticator::{Locked, Store};
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};

/// Checks, backs up and restores the file that keeps the passkeys, and keeps keys that open it
#[derive(Args, Clone, Debug)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Opens every passkey and tells whether all is well; changes nothing
    Check,
    /// Copies the store to a new file, which the same PIN opens
    Backup(Backup),
    /// Puts a backup in the place of the store, after checking it and asking
    Restore(Restore),
    Keys(keys::Keys),
}

#[derive(Args, Clone, Debug)]
struct Backup {
    /// The new file; one that is there is never overwritten
    file: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct Restore {
    /// The backup
    file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl StoreCommand {
    pub(super) async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        match &self.command {
            Sub::Check => check(ui, vault).await,
            Sub::Backup(backup) => backup.run(ui, vault).await,
            Sub::Restore(restore) => restore.run(ui, vault).await,
            Sub::Keys(keys) => keys.run(ui, vault).await,
        }
    }
}

async fn check(ui: Ui, vault: &Vault) -> Result<(), Failure> {
    let store = vault.open(Terminal::open().as_ref()).await?.store;
    let checkup = look(store).await?;
    if ui.is_json() {
        print(&event_line("checked", fields(&checkup)).to_string())?;
    } else {
        print(&words(&checkup))?;
    }
    sound(&checkup)
}

async fn look(store: Store) -> Result<Checkup, Failure> {
    blocking(move || store.check()).await?.map_err(|error| unlock::failed(&error))
}

fn sound(checkup: &Checkup) -> Result<(), Failure> {
    match checkup.findings.len() {
        0 => Ok(()),
        _ => Err(Failure::new(
            Status::Storage,
            "the passkey store is not sound",
            "keep a copy of it, then restore a backup with: cabled phone store restore FILE",
        )),
    }
}

fn fields(checkup: &Checkup) -> Value {
    let finding = |finding: &Finding| match finding {
        Finding::NotIndexed(id) | Finding::DanglingReplaces(id) => {
            json!({ "text": finding.to_string(), "passkey": full_id(id) })
        }
        _ => json!({ "text": finding.to_string() }),
    };
    json!({
        "schema": checkup.schema,
        "passkeys": checkup.passkeys,
        "findings": checkup.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn words(checkup: &Checkup) -> String {
    let opened = match checkup.passkeys {
        1 => "1 passkey opens".to_owned(),
        count => format!("{count} passkeys open"),
    };
    let head = format!("The database is whole and has schema {}; {opened}.", checkup.schema);
    let lines = checkup.findings.iter().map(|finding| match finding {
        Finding::NotIndexed(id) | Finding::DanglingReplaces(id) => {
            format!("  {finding} ({})", full_id(id))
        }
        _ => format!("  {finding}"),
    });
    match checkup.findings.len() {
        0 => format!("{head}\nRecords and index agree: all is well."),
        _ => [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n"),
    }
}

impl Backup {
    async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let (folder, file) = (vault.folder()?, self.file.clone());
        let locked = blocking(move || Locked::open(&folder)).await?;
        let locked = locked.map_err(|error| unlock::failed(&error))?;
        match blocking(move || locked.backup(&file)).await? {
            Ok(()) => {}
            Err(Error::AlreadyExists) => {
                let error = format!("there already is a file {}", self.file.display());
                let hint = "name a new one; a backup is never overwritten";
                return Err(Failure::new(Status::Storage, error, hint));
            }
            Err(error) => return Err(unlock::failed(&error)),
        }
        let shown = self.file.display().to_string();
        let words = format!(
            "Copied the store to {shown}. Today's PIN opens it: keep the two apart, and remember the \
             PIN for as long as you keep the copy."
        );
        tell(ui, "backed-up", &words, json!({ "file": shown }))
    }
}

impl Restore {
    async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let terminal = Terminal::open();
        if !self.yes && terminal.is_none() {
            let error = "nobody can be asked whether to restore: there is no terminal";
            return Err(Failure::new(Status::Usage, error, "run it in a terminal, or say --yes"));
        }
        let (folder, file) = (vault.folder()?, self.file.clone());
        let prepared = blocking(move || Restoration::prepare(&folder, &file)).await?;
        let restoration = prepared.map_err(|error| self.not_taken(&error))?;
        let store = vault.unlock(restoration.locked(), terminal.as_ref()).await?.store;
        let checkup = look(store.clone()).await?;
        sound(&checkup)?;
        if let Some(terminal) = terminal.filter(|_| !self.yes) {
            let question = format!(
                "{}\n\nPasskeys made after this backup are not in it. What is there now is kept \
                 aside.\nPut the backup in its place?",
                words(&checkup)
            );
            let answer = terminal.confirm(&question).await;
            if !answer.map_err(|error| interrupted_terminal(&error))? {
                let hint = "answer y to restore, or say --yes";
                return Err(Failure::new(Status::Refused, "nothing was restored", hint));
            }
        }
        let finished = blocking(move || restoration.finish(&store)).await?;
        let aside = finished.map_err(|error| unlock::failed(&error))?;
        let aside = aside.map(|path| path.display().to_string());
        let kept = aside.as_ref().map(|path| format!(" What was there before is now {path}."));
        let words = format!("Restored {} passkeys.{}", checkup.passkeys, kept.unwrap_or_default());
        tell(ui, "restored", &words, json!({ "passkeys": checkup.passkeys, "aside": aside }))
    }

    /// Without a store there is nothing to say about a backup that is not there.
    fn not_taken(&self, error: &Error) -> Failure {
        match error {
            Error::NotFound => {
                let error = format!("there is no file {}", self.file.display());
                Failure::new(Status::Storage, error, "name a file that \"phone store backup\" made")
            }
            Error::Corrupt => {
                let error = format!("{} is no backup, or a damaged one", self.file.display());
                Failure::new(Status::Storage, error, "try another backup; nothing was changed")
            }
            error => unlock::failed(error),
        }
    }
}

/// Something that was done: talk for people, the result for machines.
pub(super) fn tell(ui: Ui, event: &str, words: &str, fields: Value) -> Result<(), Failure> {
    match ui.is_json() {
        true => print(&event_line(event, fields).to_string()),
        false => {
            ui.step(event, words, fields);
            Ok(())
        }
    }
}
