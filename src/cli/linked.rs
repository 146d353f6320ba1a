//! `cabled phones`: the phones that this computer remembers; and where the key of what it knows of them is.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use rand_core::RngCore as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::failure::{Failure, Status, causes};
use super::phone::date;
use super::ui::{Ui, print};
use super::{advice, daemon, places, secret_file, system};
use crate::authenticator::Timestamp;
use crate::client::phones::{Error, KeyResult, Keyring, Phones};
use crate::desktop::Bus;
use crate::desktop::secrets::{Attributes, Secrets};
use crate::frontend::control::v1::{
    ForgetPhoneRequest, LinkedPhone, ListPhonesRequest, RenamePhoneRequest,
};
use crate::hex;
use crate::secret::Secret;

/// The keyring's name for the key.
const SCHEMA: &str = "org.cabled.LinkedPhones";
/// Bytes of the longest key file: 64 digits and what editors add.
const MAX_FILE: u64 = 128;

/// Where the key of the linked phones is.
#[derive(Args, Clone, Debug)]
pub(super) struct KeyFile {
    /// A file of your own with the key of the linked phones, made if it is not there, in place of the
    /// desktop's keyring
    #[arg(long, value_name = "FILE", global = true)]
    phones_key: Option<PathBuf>,
}

impl KeyFile {
    /// Whether one is named.
    pub(super) fn is_named(&self) -> bool {
        self.phones_key.is_some()
    }

    /// The linked phones of this user; nowhere for somebody without a home.
    pub(super) fn phones(&self) -> Option<Phones> {
        Some(Phones::at(places::state()?.join("phones"), self.keyring()))
    }

    fn keyring(&self) -> Keyring {
        match self.phones_key.clone() {
            Some(file) => Arc::new(move |make| {
                let file = file.clone();
                Box::pin(async move {
                    of_file(&file, make).map_err(|error| format!("{}: {error}", file.display()))
                })
            }),
            None => Arc::new(|make| Box::pin(of_keyring(make))),
        }
    }
}

async fn of_keyring(make: bool) -> KeyResult {
    let attributes = Attributes::from([("xdg:schema", SCHEMA)]);
    let asking = async {
        let mut secrets = Secrets::open(&Bus::Session).await?;
        if let Some(found) = secrets.find(&attributes).await? {
            return Ok(Secret::try_from(&found[..]).ok());
        }
        if !make {
            return Ok(None);
        }
        let key = Secret::random(&mut system::random());
        secrets.keep("Linked phones of cabled", &attributes, key.expose()).await?;
        Ok(Some(key))
    };
    let asked: Result<_, crate::desktop::Error> = asking.await;
    asked.map_err(|error| causes(&error))
}

fn of_file(file: &Path, make: bool) -> std::io::Result<Option<Secret<32>>> {
    match read(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {
            create(file)?;
            // Another process may have been faster; what is there counts.
            read(file).map(Some)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn read(file: &Path) -> std::io::Result<Secret<32>> {
    let text = secret_file::read(file, MAX_FILE)?;
    let wrong = "it has to hold 64 hexadecimal digits";
    let wrong = || std::io::Error::new(std::io::ErrorKind::InvalidData, wrong);
    secret_file::key(text.trim()).ok_or_else(wrong)
}

fn create(file: &Path) -> std::io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    system::random().fill_bytes(&mut *key);
    let digits = Zeroizing::new(hex::lower(&*key) + "\n");
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut made) => made.write_all(digits.as_bytes()).and_then(|()| made.sync_all()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The phones that this computer remembers, which can be rung in place of a code
#[derive(Args, Clone, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    command: Sub,
    #[command(flatten)]
    socket: daemon::Socket,
    #[command(flatten)]
    key: KeyFile,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    /// Lists them
    List,
    /// Gives one another name
    Rename {
        /// Its name
        name: String,
        /// The new one
        new: String,
    },
    /// Forgets one; the phone lists this computer until it is forgotten there too
    Forget {
        /// Its name
        name: String,
    },
}

impl Command {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut keeper = match self.socket.client_if_any().await? {
            Some(client) if !self.key.is_named() => Keeper::There(client),
            _ => Keeper::Here(self.key.phones().ok_or_else(homeless)?),
        };
        match &self.command {
            Sub::List => list(ui, &keeper.list().await?),
            Sub::Rename { name, new } => {
                keeper.rename(name, new).await?;
                ui.step("phone-renamed", &format!("{name} is {new} now."), json!({ "name": new }));
                Ok(())
            }
            Sub::Forget { name } => {
                keeper.forget(name).await?;
                let words = format!("{name} is forgotten here.");
                ui.step("phone-forgotten", &words, json!({ "name": name }));
                Ok(())
            }
        }
    }
}

fn homeless() -> Failure {
    let error = "there is no home folder to remember phones in";
    Failure::new(Status::Usage, error, "set HOME, or XDG_STATE_HOME")
}

/// Whoever remembers the phones.
enum Keeper {
    /// This process.
    Here(Phones),
    /// The daemon.
    There(crate::frontend::control::Client),
}

impl Keeper {
    async fn list(&mut self) -> Result<Vec<LinkedPhone>, Failure> {
        match self {
            Self::Here(phones) => {
                let phones = phones.list().await.map_err(|error| advice::phones(&error))?;
                let shown = |phone: crate::client::phones::Phone| LinkedPhone {
                    own_name: phone.own_name(),
                    name: phone.name,
                    linked_at: phone.linked_at,
                    used_at: phone.used_at,
                };
                Ok(phones.into_iter().map(shown).collect())
            }
            Self::There(client) => {
                let answer = client.list_phones(ListPhonesRequest {}).await;
                Ok(answer.map_err(|r| daemon::refused(&r))?.into_inner().phones)
            }
        }
    }

    async fn rename(&mut self, name: &str, new: &str) -> Result<(), Failure> {
        match self {
            Self::Here(phones) => {
                let renamed = phones.rename(name, new, &mut system::random()).await;
                renamed.map_err(|error: Error| advice::phones(&error))
            }
            Self::There(client) => {
                let request =
                    RenamePhoneRequest { name: name.to_owned(), new_name: new.to_owned() };
                client.rename_phone(request).await.map(drop).map_err(|r| daemon::refused(&r))
            }
        }
    }

    async fn forget(&mut self, name: &str) -> Result<(), Failure> {
        match self {
            Self::Here(phones) => phones.forget(name).await.map_err(|error| advice::phones(&error)),
            Self::There(client) => {
                let request = ForgetPhoneRequest { name: name.to_owned() };
                client.forget_phone(request).await.map(drop).map_err(|r| daemon::refused(&r))
            }
        }
    }
}

fn list(ui: Ui, phones: &[LinkedPhone]) -> Result<(), Failure> {
    if ui.is_json() {
        let phones: Vec<Value> = phones.iter().map(fields).collect();
        return print(&json!({ "v": 1, "event": "phones", "phones": phones }).to_string());
    }
    if phones.is_empty() {
        let words = "This computer remembers no phone. To have one remembered: --remember, with register \
                     or sign-in.";
        ui.step("phones", words, json!({}));
        return Ok(());
    }
    for phone in phones {
        let linked = date::iso(Timestamp(phone.linked_at));
        let used = phone.used_at.map_or_else(
            || "has not come yet".to_owned(),
            |at| format!("last came {}", date::iso(Timestamp(at))),
        );
        let own = match phone.own_name == phone.name {
            true => String::new(),
            false => format!(" ({})", phone.own_name),
        };
        print(&format!("{}{own}  since {linked}, {used}", phone.name))?;
    }
    Ok(())
}

fn fields(phone: &LinkedPhone) -> Value {
    json!({
        "name": phone.name,
        "ownName": phone.own_name,
        "linkedAt": phone.linked_at,
        "usedAt": phone.used_at,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/key");
        assert!(of_file(&file, false).unwrap().is_none());
        let made = of_file(&file, true).unwrap().unwrap();
        assert_eq!(of_file(&file, true).unwrap().unwrap(), made);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for bad in ["", "abc", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            std::fs::write(&file, bad).unwrap();
            assert!(of_file(&file, true).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        of_file(&file, true).unwrap();
        for open in [0o644, 0o640] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(open)).unwrap();
            let error = of_file(&file, true).unwrap_err();
            assert!(error.to_string().contains("can be used by others"), "{error}");
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(of_file(&file, false).unwrap().is_some());
    }
}
