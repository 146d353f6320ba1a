//! The way into the passkey store: where it is, and the PIN from a terminal or a file.
//!
//! Depends on the terminal, the advice and the store.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tokio::time::Instant;

use super::{Reporter, blocking, date, interrupted_terminal, no_terminal};
use crate::authenticator::store::Error;
use crate::authenticator::{Locked, Pin, Store, Timestamp, Verification};
use crate::cli::failure::{Failure, Status};
use crate::cli::secret_file::{self, Unusable};
use crate::cli::terminal::Terminal;
use crate::cli::{advice, places, system};

/// Wrong PINs on a terminal before the program gives up.
pub(super) const TRIES: usize = 3;

/// Before the PIN that opens the store.
const PROMPT: &str = "PIN of this phone's passkeys: ";

/// Longest PIN file that is looked at; the PIN is its first line.
const MAX_PIN_FILE: u64 = 1024;

/// Where the passkeys are and who opens them.
#[derive(Args, Clone, Debug)]
pub(super) struct Vault {
    /// Keep the passkeys in this folder [default: $XDG_DATA_HOME/cabled or ~/.local/share/cabled]
    #[arg(long, value_name = "DIR", env = "CABLED_STORE", global = true)]
    store: Option<PathBuf>,
    /// Take the PIN from the first line of this file, which nobody but you may read
    #[arg(long, value_name = "FILE", env = "CABLED_PIN_FILE", global = true)]
    pub(super) pin_file: Option<PathBuf>,
}

/// An open store and the proof that its owner opened it.
pub(super) struct Unlocked {
    pub(super) store: Store,
    pub(super) proof: Verification,
    /// When the owner typed the PIN; `None` when a file gave it, which does not grow stale.
    pub(super) typed_at: Option<Instant>,
}

impl Vault {
    /// Whether the folder was named, and is not just the usual one.
    pub(super) fn is_named(&self) -> bool {
        self.store.is_some()
    }

    /// The folder, from the root on.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        let folder = self.store.clone().or_else(places::data);
        folder.and_then(|folder| std::path::absolute(folder).ok()).ok_or_else(|| {
            let error = "there is no home folder to keep passkeys in";
            Failure::new(Status::Usage, error, "name a folder with --store")
        })
    }

    /// Opens the store; it is an error if there is none.
    pub(super) async fn open(&self, terminal: Option<&Terminal>) -> Result<Unlocked, Failure> {
        let locked = self.locked().await?;
        self.unlock(&locked, terminal).await
    }

    /// Unlocks with the PIN of the file, or the one that is typed.
    pub(super) async fn unlock(
        &self,
        locked: &Locked,
        terminal: Option<&Terminal>,
    ) -> Result<Unlocked, Failure> {
        match self.pin_of_file()? {
            Some(pin) => unlock(locked, pin).await.map_err(|error| failed(&error)),
            None => unlock_by_hand(locked, terminal.ok_or_else(no_terminal)?).await,
        }
    }

    /// Opens the store, or makes one if there is none yet.
    pub(super) async fn open_or_create(
        &self,
        reporter: Reporter,
        terminal: Option<&Terminal>,
    ) -> Result<Unlocked, Failure> {
        // Before anything is asked: a store that is in use or damaged needs no PIN.
        match self.locked_if_any().await? {
            Some(locked) => self.unlock(&locked, terminal).await,
            None => self.create(reporter, terminal).await,
        }
    }

    /// Makes a store where there is none.
    pub(super) async fn create(
        &self,
        reporter: Reporter,
        terminal: Option<&Terminal>,
    ) -> Result<Unlocked, Failure> {
        let folder = self.folder()?;
        let (pin, typed) = match self.pin_of_file()? {
            Some(pin) => (pin, false),
            None => (first_pin(&folder, terminal.ok_or_else(no_terminal)?).await?, true),
        };
        let shown = folder.display().to_string();
        let made = blocking(move || create(&folder, &pin)).await?;
        let (store, proof) = made.map_err(|error| failed(&error))?;
        let words = format!("Made a new passkey store in {shown}.");
        reporter.step("store-created", &words, json!({ "store": shown }));
        Ok(Unlocked { store, proof, typed_at: typed.then(Instant::now) })
    }

    /// The store as it is, locked; it is an error if there is none.
    pub(super) async fn locked(&self) -> Result<Locked, Failure> {
        let folder = self.folder()?;
        blocking(move || Locked::open(&folder)).await?.map_err(|error| failed(&error))
    }

    /// The same, or `None` without one.
    pub(super) async fn locked_if_any(&self) -> Result<Option<Locked>, Failure> {
        let folder = self.folder()?;
        match blocking(move || Locked::open(&folder)).await? {
            Ok(locked) => Ok(Some(locked)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The PIN of `--pin-file`, or one that is typed, whether it is right or not.
    pub(super) async fn pin(&self, terminal: Option<&Terminal>) -> Result<Pin, Failure> {
        match self.pin_of_file()? {
            Some(pin) => Ok(pin),
            None => ask_pin(terminal.ok_or_else(no_terminal)?, PROMPT).await,
        }
    }

    /// The PIN of `--pin-file`, if there is one.
    pub(super) fn pin_of_file(&self) -> Result<Option<Pin>, Failure> {
        self.pin_file.as_deref().map(read_pin).transpose()
    }
}

/// What the store says, with the end of a waiting time if there is one.
pub(super) fn failed(error: &Error) -> Failure {
    match error {
        Error::LockedOut { until } => {
            let left = until.0.saturating_sub(system::unix_time());
            let hint = format!(
                "try again in {}, at {}; nothing is lost",
                date::span(left),
                date::iso(*until)
            );
            Failure::because(Status::Locked, error, hint)
        }
        error => advice::store(error),
    }
}

fn create(folder: &Path, pin: &Pin) -> Result<(Store, Verification), Error> {
    let store = Store::create(folder, pin, &mut system::random())?;
    let proof = store.verify_pin(pin, Timestamp(system::unix_time()))?;
    Ok((store, proof))
}

async fn unlock(locked: &Locked, pin: Pin) -> Result<Unlocked, Error> {
    let locked = locked.clone();
    let now = Timestamp(system::unix_time());
    let unlocked = blocking(move || locked.unlock(&pin, now, &mut system::random())).await;
    let (store, proof) = unlocked.unwrap_or(Err(Error::NeedsReopen))?;
    Ok(Unlocked { store, proof, typed_at: None })
}

async fn unlock_by_hand(locked: &Locked, terminal: &Terminal) -> Result<Unlocked, Failure> {
    let mut tries = 0;
    loop {
        let pin = ask_pin(terminal, PROMPT).await?;
        tries += 1;
        match unlock(locked, pin).await {
            Ok(unlocked) => return Ok(Unlocked { typed_at: Some(Instant::now()), ..unlocked }),
            Err(error @ Error::WrongPin { .. }) if tries < TRIES => {
                say(terminal, &format!("Sorry, {error}.\n")).await?;
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// Asks until the text can be a PIN.
pub(super) async fn ask_pin(terminal: &Terminal, prompt: &str) -> Result<Pin, Failure> {
    loop {
        let typed = terminal.hidden(prompt).await.map_err(|error| interrupted_terminal(&error))?;
        let Some(typed) = typed else { return Err(not_given()) };
        match Pin::new(typed.to_string()) {
            Ok(pin) => return Ok(pin),
            Err(error) => say(terminal, &format!("Sorry, {error}.\n")).await?,
        }
    }
}

/// Asks for a new PIN until it was typed twice in the same way.
pub(super) async fn new_pin(terminal: &Terminal) -> Result<Pin, Failure> {
    loop {
        let prompt = format!("New PIN ({} characters or more): ", Pin::MIN_CHARS);
        let typed = terminal.hidden(&prompt).await.map_err(|e| interrupted_terminal(&e))?;
        let Some(typed) = typed else { return Err(not_given()) };
        let pin = match Pin::new(typed.to_string()) {
            Ok(pin) => pin,
            Err(error) => {
                say(terminal, &format!("Sorry, {error}.\n")).await?;
                continue;
            }
        };
        let again = terminal.hidden("The same again: ").await;
        match again.map_err(|error| interrupted_terminal(&error))? {
            Some(again) if *again == *typed => return Ok(pin),
            Some(_) => say(terminal, "Sorry, these two differ.\n").await?,
            None => return Err(not_given()),
        }
    }
}

async fn first_pin(folder: &Path, terminal: &Terminal) -> Result<Pin, Failure> {
    let words = format!(
        "There is no passkey store in {} yet, so this makes one.\nIts PIN encrypts the passkeys \
         and proves that it is you. There is no way to get it back.\n",
        folder.display()
    );
    say(terminal, &words).await?;
    new_pin(terminal).await
}

async fn say(terminal: &Terminal, text: &str) -> Result<(), Failure> {
    terminal.say(text).await.map_err(|error| interrupted_terminal(&error))
}

fn not_given() -> Failure {
    Failure::new(Status::Locked, "no PIN was given", "run the command again and type the PIN")
}

/// Reads a PIN from a file that only its owner can read.
pub(super) fn read_pin(path: &Path) -> Result<Pin, Failure> {
    let bytes = secret_file::bytes(path, MAX_PIN_FILE).map_err(|why| match why {
        Unusable::Open(hint) => {
            let error = format!("the PIN file {} can be used by others", path.display());
            Failure::new(Status::Usage, error, hint)
        }
        Unusable::System(error) => unreadable(path, &error),
    })?;
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let text = std::str::from_utf8(line).map_err(|error| unsuitable(&error))?;
    Pin::new(text.to_owned()).map_err(|error| unsuitable(&error))
}

fn unsuitable(error: &dyn std::error::Error) -> Failure {
    let hint = "write the PIN, and nothing else, into the first line of the file of --pin-file";
    Failure::because(Status::Usage, error, hint)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let error = format!("cannot read the PIN file {}: {error}", path.display());
    Failure::new(Status::Storage, error, "name a file that you may read with --pin-file")
}
