//! `cabled phone store keys`: keys that open the store when the service starts, kept by the desktop or
//! sealed by this machine.
//!
//! Depends on the store, the desktop's secrets and the sibling `creds`.

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{creds, tell};
use crate::authenticator::store::UnlockKey;
use crate::authenticator::{Locked, Store, Timestamp};
use crate::cli::failure::{Failure, Status, causes};
use crate::cli::phone::unlock::{self, Vault};
use crate::cli::phone::{Reporter, blocking, date};
use crate::cli::system;
use crate::cli::terminal::Terminal;
use crate::cli::ui::{Ui, event_line, print};
use crate::desktop::secrets::{Attributes, Secrets};
use crate::desktop::{self, Bus};
use crate::secret::Secret;

/// Lists, adds and removes keys that open the store without the PIN when the service starts
#[derive(Args, Clone, Debug)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Tells which keys open the store
    List,
    /// Adds a key, after the PIN; approving and exporting take the PIN as before
    Add(Which),
    /// Removes a key, after the PIN
    Remove(Which),
}

#[derive(Args, Clone, Copy, Debug)]
struct Which {
    /// Where the key is kept
    #[arg(value_name = "PLACE", value_enum)]
    place: Place,
}

/// Where a key is kept.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The desktop's keyring (GNOME Keyring, KWallet, KeePassXC), which the login opens
    SecretService,
    /// A file beside the store, sealed by this machine: its TPM, or a key of root's
    SystemdCreds,
}

const PLACES: [Place; 2] = [Place::SecretService, Place::SystemdCreds];

impl Keys {
    pub(super) async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        match &self.command {
            Sub::List => list(ui, vault).await,
            Sub::Add(which) => which.place.add(ui, vault).await,
            Sub::Remove(which) => which.place.remove(ui, vault).await,
        }
    }
}

async fn known(locked: &Locked) -> Result<Vec<UnlockKey>, Failure> {
    let locked = locked.clone();
    blocking(move || locked.unlock_keys()).await?.map_err(|error| unlock::failed(&error))
}

async fn list(ui: Ui, vault: &Vault) -> Result<(), Failure> {
    let keys = known(&vault.locked().await?).await?;
    let one = |key: &UnlockKey| json!({ "name": key.name, "createdAt": date::iso(key.created_at) });
    let fields = json!({ "keys": keys.iter().map(one).collect::<Vec<Value>>() });
    let line = |key: &UnlockKey| format!("{}, since {}", key.name, date::iso(key.created_at));
    match (ui.is_json(), keys.is_empty()) {
        (true, _) => print(&event_line("keys", fields).to_string()),
        (false, true) => tell(ui, "keys", "Nothing but the PIN opens the store.", fields),
        (false, false) => print(&keys.iter().map(line).collect::<Vec<_>>().join("\n")),
    }
}

async fn open(vault: &Vault) -> Result<Store, Failure> {
    Ok(vault.open(Terminal::open().as_ref()).await?.store)
}

impl Place {
    /// The name in the store, and on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::SystemdCreds => "systemd-creds",
        }
    }

    async fn add(self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let (store, folder) = (open(vault).await?, vault.folder()?);
        let adding = store.clone();
        let now = Timestamp(system::unix_time());
        let key = blocking(move || adding.add_unlock_key(self.name(), now, &mut system::random()));
        let key = key.await?.map_err(|error| unlock::failed(&error))?;
        if let Err(failure) = self.keep(&folder, &key).await {
            // A key that is nowhere opens nothing.
            let removed = blocking(move || store.remove_unlock_key(self.name())).await?;
            removed.map_err(|error| unlock::failed(&error))?;
            return Err(failure);
        }
        let words = match self {
            Self::SecretService => {
                "The desktop's keyring has a key now that opens the passkeys when the service starts. \
                 Approving takes the PIN as before."
            }
            Self::SystemdCreds => {
                "This machine has sealed a key now that opens the passkeys when the service starts. \
                 Approving takes the PIN as before."
            }
        };
        tell(ui, "key-added", words, json!({ "name": self.name() }))
    }

    async fn remove(self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let (store, folder) = (open(vault).await?, vault.folder()?);
        let removed = blocking(move || store.remove_unlock_key(self.name())).await?;
        let removed = removed.map_err(|error| unlock::failed(&error))?;
        let forgotten = self.forget(&folder).await;
        match (removed, forgotten) {
            (false, Ok(false)) => {
                let error = format!("there is no key in {}", self.name());
                Err(Failure::new(Status::Usage, error, "see: cabled phone store keys list"))
            }
            (_, Err(failure)) => {
                ui.note(&format!(
                    "what is left of the key opens nothing, but stays: {}",
                    failure.error
                ));
                self.removed(ui)
            }
            _ => self.removed(ui),
        }
    }

    fn removed(self, ui: Ui) -> Result<(), Failure> {
        let words = "That key opens the passkeys no more. Backups that were made while it was there still \
                     know it.";
        tell(ui, "key-removed", words, json!({ "name": self.name() }))
    }

    async fn keep(self, folder: &Path, key: &Secret<32>) -> Result<(), Failure> {
        match self {
            Self::SecretService => {
                let place = place_of(folder);
                let (attributes, key) = (attributes(&place), key.expose());
                let kept = secrets().await?.keep("Passkeys of cabled", &attributes, key).await;
                kept.map_err(|error| refused(&error))
            }
            Self::SystemdCreds => creds::seal(folder, key).await,
        }
    }

    /// `None` if it is not there any more.
    async fn fetch(self, folder: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        match self {
            Self::SecretService => {
                let place = place_of(folder);
                let found = secrets().await?.find(&attributes(&place)).await;
                found.map_err(|error| refused(&error))
            }
            Self::SystemdCreds => creds::open(folder).await,
        }
    }

    async fn forget(self, folder: &Path) -> Result<bool, Failure> {
        match self {
            Self::SecretService => {
                let place = place_of(folder);
                let gone = secrets().await?.forget(&attributes(&place)).await;
                gone.map_err(|error| refused(&error))
            }
            Self::SystemdCreds => creds::forget(folder).await,
        }
    }
}

async fn secrets() -> Result<Secrets, Failure> {
    Secrets::open(&Bus::Session).await.map_err(|error| refused(&error))
}

/// Each store has a key of its own.
fn place_of(folder: &Path) -> String {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).display().to_string()
}

fn attributes(place: &str) -> Attributes<'_> {
    Attributes::from([("xdg:schema", "org.cabled.UnlockKey"), ("store", place)])
}

fn refused(error: &desktop::Error) -> Failure {
    use desktop::Error as E;
    let hint = match error {
        E::NoBus(..) => "run it in the desktop's session",
        E::NoService(_) => "start a keyring, such as gnome-keyring-daemon or KWallet",
        E::NoKeyring => "make a default keyring in the desktop's password manager",
        E::Dismissed(_) => "unlock the keyring when it asks",
        _ => "look at the desktop's password manager, and try again",
    };
    Failure::because(Status::Locked, error, hint)
}

/// Opens the store with the first key that does, for the service. What stands in the way is noted.
pub(in crate::cli::phone) async fn open_store(
    reporter: Reporter,
    locked: &Locked,
) -> Result<Option<Store>, Failure> {
    let known = known(locked).await?;
    let folder = locked.folder().to_owned();
    for place in PLACES.into_iter().filter(|place| known.iter().any(|key| key.name == place.name()))
    {
        let why = match place.fetch(&folder).await {
            Ok(Some(key)) => match unlock_with(locked, place, &key).await? {
                Ok(store) => return Ok(Some(store)),
                Err(error) => causes(&error),
            },
            Ok(None) => "it is not there any more".to_owned(),
            Err(failure) => failure.error,
        };
        reporter.note(&format!("the key in {} does not open the passkeys: {why}", place.name()));
    }
    Ok(None)
}

async fn unlock_with(
    locked: &Locked,
    place: Place,
    key: &[u8],
) -> Result<Result<Store, crate::authenticator::store::Error>, Failure> {
    let Ok(key) = Secret::try_from(key) else {
        return Ok(Err(crate::authenticator::store::Error::NoSuchKey));
    };
    let locked = locked.clone();
    blocking(move || locked.unlock_with(place.name(), &key, &mut system::random())).await
}
