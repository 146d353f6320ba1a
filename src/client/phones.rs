//! Phones that are remembered: each a file of its own, sealed, so that they can be rung without a code.
//!
//! The key is kept elsewhere, in the desktop's keyring or in a file that the owner names, and is asked for
//! when there is a phone to read or to write, not before. A phone is its identity key: linked again, it
//! takes the place of what was known of it. Files are replaced whole. Depends on `hybrid`, `cbor` and
//! `sealed`.

mod file;

use std::fmt;
use std::fs::{self, DirBuilder};
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use rand_core::CryptoRngCore;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::hex;
use crate::hybrid::PublicKey;
use crate::hybrid::linking::LinkedDevice;
use crate::printable::printable_within;
use crate::secret::Secret;

/// Phones that are remembered at most.
pub const MAX_PHONES: usize = 32;

/// The longest name, in characters.
const MAX_NAME: usize = 64;
const ENDING: &str = "phone";

/// A phone that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// How to reach it, and what both know. [`LinkedDevice::name`] is what it calls itself.
    pub device: LinkedDevice,
    /// What its owner calls it here; no two have the same name.
    pub name: String,
    /// Since when, Unix time in seconds.
    pub linked_at: u64,
    /// When it last came, Unix time in seconds.
    pub used_at: Option<u64>,
}

impl Phone {
    /// What it calls itself, made printable.
    #[must_use]
    pub fn own_name(&self) -> String {
        printable_within(&self.device.name, MAX_NAME)
    }
}

/// Why a phone could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no key for the files.
    #[error("the key of the linked phones cannot be used: {0}")]
    Key(String),
    /// No phone has this name.
    #[error("no linked phone is called {0}")]
    NoSuchPhone(String),
    /// Another phone has this name.
    #[error("another linked phone is called {0}")]
    NameTaken(String),
    /// The name is empty or too long.
    #[error("a name has 1 to {MAX_NAME} characters")]
    NoName,
    /// There are too many.
    #[error("{MAX_PHONES} phones are linked already")]
    TooMany,
    /// The system refuses.
    #[error("the linked phones cannot be read or written")]
    Io(#[from] io::Error),
}

impl Error {
    /// The name of the cause for machines.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Key(_) => "phones-key",
            Self::NoSuchPhone(_) => "no-such-phone",
            Self::NameTaken(_) | Self::NoName => "phone-name",
            Self::TooMany => "too-many-phones",
            Self::Io(_) => "storage",
        }
    }
}

/// What gives the key of the files; with `true` it is made where there is none. `None`: there is none.
/// Words about what went wrong are for people.
pub type Keyring =
    Arc<dyn Fn(bool) -> Pin<Box<dyn Future<Output = KeyResult> + Send>> + Send + Sync>;

/// What a [`Keyring`] gives.
pub type KeyResult = Result<Option<Secret<32>>, String>;

/// A source of unpredictable bytes.
type Random<'a> = &'a mut (dyn CryptoRngCore + Send);

/// The folder of the linked phones; clones are the same one.
#[derive(Clone)]
pub struct Phones {
    folder: PathBuf,
    keyring: Keyring,
    key: Arc<OnceCell<Secret<32>>>,
    /// One change after the other, so that two phones do not get one name.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Phones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phones").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The calls fail with [`Error::Key`] and [`Error::Io`].
impl Phones {
    /// Those in this folder, which is made with the first.
    #[must_use]
    pub fn at(folder: PathBuf, keyring: Keyring) -> Self {
        let (key, changing) = (Arc::default(), Arc::default());
        Self { folder, keyring, key, changing }
    }

    /// All, by name. Nobody is asked for a key where there is no phone. What does not open, as it was
    /// sealed with a key that is lost, is left out.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn list(&self) -> Result<Vec<Phone>, Error> {
        let files = self.files()?;
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let Some(key) = self.key(false).await? else { return Ok(Vec::new()) };
        let mut phones = Vec::new();
        for file in files {
            match file::read(&file).map(|bytes| file::open(key, &file, &bytes)) {
                Ok(Some(phone)) => phones.push(phone),
                Ok(None) => tracing::warn!(file = %file.display(), "a linked phone does not open"),
                // Forgotten by another program meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        phones.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(phones)
    }

    /// The one of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], and see above.
    pub async fn find(&self, name: &str) -> Result<Phone, Error> {
        let found = self.list().await?.into_iter().find(|phone| phone.name == name);
        found.ok_or_else(|| Error::NoSuchPhone(printable_within(name, MAX_NAME)))
    }

    /// The one that came last, or was linked last.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn usual(&self) -> Result<Option<Phone>, Error> {
        let last = |phone: &Phone| phone.used_at.unwrap_or(phone.linked_at);
        Ok(self.list().await?.into_iter().max_by_key(last))
    }

    /// Remembers a phone under the name that it has, or one like it; one that is known keeps the name
    /// that it was given here. Durable on return.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`], and see above.
    pub async fn remember(
        &self,
        device: LinkedDevice,
        now: u64,
        rng: Random<'_>,
    ) -> Result<Phone, Error> {
        let _alone = self.changing.lock().await;
        let known = self.list().await?;
        let old = known.iter().find(|phone| phone.device.identity == device.identity);
        if old.is_none() && self.files()?.len() >= MAX_PHONES {
            return Err(Error::TooMany);
        }
        let name = match old {
            Some(old) => old.name.clone(),
            None => free_name(&device.name, &known),
        };
        let used_at = old.and_then(|old| old.used_at);
        let phone = Phone { device, name, linked_at: now, used_at };
        self.write(&phone, rng).await?;
        Ok(phone)
    }

    /// Gives a phone another name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], [`Error::NameTaken`], [`Error::NoName`], and see above.
    pub async fn rename(&self, name: &str, new: &str, rng: Random<'_>) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        let shown = printable_within(new.trim(), MAX_NAME);
        if shown.is_empty() || shown != new.trim() {
            return Err(Error::NoName);
        }
        let known = self.list().await?;
        if known.iter().any(|phone| phone.name == shown && phone.name != name) {
            return Err(Error::NameTaken(shown));
        }
        let phone = self.find(name).await?;
        self.write(&Phone { name: shown, ..phone }, rng).await
    }

    /// Notes that a phone came.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], and see above.
    pub async fn used(&self, name: &str, now: u64, rng: Random<'_>) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        let phone = self.find(name).await?;
        self.write(&Phone { used_at: Some(now), ..phone }, rng).await
    }

    /// Forgets a phone.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], and see above.
    pub async fn forget(&self, name: &str) -> Result<(), Error> {
        let _alone = self.changing.lock().await;
        let phone = self.find(name).await?;
        Ok(fs::remove_file(self.file(&phone.device.identity))?)
    }

    async fn key(&self, make: bool) -> Result<Option<&Secret<32>>, Error> {
        if self.key.get().is_none()
            && let Some(key) = (self.keyring)(make).await.map_err(Error::Key)?
        {
            // Another call may have been faster; both got the same.
            let _known = self.key.set(key);
        }
        Ok(self.key.get())
    }

    async fn write(&self, phone: &Phone, rng: Random<'_>) -> Result<(), Error> {
        let none = || Error::Key("there is none".to_owned());
        let key = self.key(true).await?.ok_or_else(none)?;
        let path = self.file(&phone.device.identity);
        let bytes = file::seal(key, &path, phone, rng);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        file::replace(&path, &bytes.ok_or_else(none)?)?;
        Ok(())
    }

    fn file(&self, identity: &PublicKey) -> PathBuf {
        let hash = Sha256::digest(identity.as_bytes());
        let name = hex::lower(hash.get(..16).unwrap_or_default());
        self.folder.join(format!("{name}.{ENDING}"))
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// What a phone calls itself, made different from the names that others have.
fn free_name(said: &str, known: &[Phone]) -> String {
    let said = printable_within(said.trim(), MAX_NAME - 4);
    let said = if said.is_empty() { "phone".to_owned() } else { said };
    let taken = |name: &str| known.iter().any(|phone| phone.name == name);
    let numbered = (2..=MAX_PHONES + 2).map(|number| format!("{said} {number}"));
    [said.clone()].into_iter().chain(numbered).find(|name| !taken(name)).unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::hybrid::PrivateKey;
    use crate::hybrid::keys::LinkSecret;
    use crate::hybrid::linking::LinkId;
    use crate::hybrid::tunnel::{ContactId, TunnelServiceId};

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn device(seed: u64, name: &str) -> LinkedDevice {
        let identity = PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(seed));
        LinkedDevice {
            contact_id: ContactId::new(vec![1; 32]).unwrap(),
            link_id: LinkId([2; 8]),
            link_secret: LinkSecret::new([3; 32]),
            identity: *identity.public(),
            name: name.to_owned(),
            service: TunnelServiceId::new(300),
        }
    }

    /// With a keyring that has this key, and a count of how often it was asked.
    fn place(key: u8) -> (tempfile::TempDir, Phones, Arc<AtomicUsize>) {
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let phones = Phones::at(folder.path().join("phones"), keyring(key, &asked));
        (folder, phones, asked)
    }

    fn keyring(key: u8, asked: &Arc<AtomicUsize>) -> Keyring {
        let asked = Arc::clone(asked);
        Arc::new(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { Ok(Some(Secret::new([key; 32]))) })
        })
    }

    #[tokio::test]
    async fn a_phone_is_there_until_it_is_forgotten() {
        let (_folder, phones, asked) = place(7);
        assert_eq!(phones.list().await.unwrap(), []);
        assert_eq!(asked.load(Ordering::SeqCst), 0, "no phone, no key");
        let pixel = phones.remember(device(1, "Pixel"), 5, &mut rng()).await.unwrap();
        let other = phones.remember(device(2, "Pixel"), 6, &mut rng()).await.unwrap();
        assert_eq!((pixel.name.as_str(), other.name.as_str()), ("Pixel", "Pixel 2"));
        assert_eq!(phones.list().await.unwrap(), [pixel.clone(), other.clone()]);
        assert_eq!(phones.usual().await.unwrap().unwrap().name, "Pixel 2");
        phones.used("Pixel", 9, &mut rng()).await.unwrap();
        assert_eq!(phones.usual().await.unwrap().unwrap().name, "Pixel");
        phones.rename("Pixel", "Anna's", &mut rng()).await.unwrap();
        // Linked again it is the same phone.
        let again = phones.remember(device(1, "Pixel"), 20, &mut rng()).await.unwrap();
        assert_eq!((again.name.as_str(), again.used_at), ("Anna's", Some(9)));
        phones.forget("Pixel 2").await.unwrap();
        assert_eq!(phones.list().await.unwrap(), [again]);
        assert!(matches!(phones.forget("Pixel 2").await, Err(Error::NoSuchPhone(_))));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn names_are_unique_and_fit_a_line() {
        let (_folder, phones, _) = place(7);
        phones.remember(device(1, ""), 5, &mut rng()).await.unwrap();
        phones.remember(device(2, &"x".repeat(200)), 5, &mut rng()).await.unwrap();
        let names: Vec<_> = phones.list().await.unwrap().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["phone".to_owned(), "x".repeat(MAX_NAME - 4)]);
        let taken = phones.rename("phone", &names[1], &mut rng()).await;
        assert!(matches!(taken, Err(Error::NameTaken(_))));
        for bad in ["", " ", "a\nb"] {
            let refused = phones.rename("phone", bad, &mut rng()).await;
            assert!(matches!(refused, Err(Error::NoName)), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn without_the_key_there_is_nothing_to_read() {
        let (folder, phones, asked) = place(7);
        phones.remember(device(1, "Pixel"), 5, &mut rng()).await.unwrap();
        let at = folder.path().join("phones");
        let thief = Phones::at(at.clone(), keyring(8, &asked));
        assert_eq!(thief.list().await.unwrap(), []);
        let none = Phones::at(at.clone(), Arc::new(|_| Box::pin(async { Ok(None) })));
        assert_eq!(none.list().await.unwrap(), []);
        let locked: Keyring = Arc::new(|_| Box::pin(async { Err("it is locked".to_owned()) }));
        assert!(matches!(Phones::at(at.clone(), locked).list().await, Err(Error::Key(_))));
        let file = fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
        let bytes = fs::read(&file).unwrap();
        for secret in [&[3; 32][..], b"Pixel"] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
        // In the place of another it does not open.
        fs::rename(&file, at.join("00.phone")).unwrap();
        assert_eq!(Phones::at(at, keyring(7, &asked)).list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn no_more_than_allowed() {
        let (_folder, phones, _) = place(7);
        for seed in 0..MAX_PHONES as u64 {
            phones.remember(device(seed, "a"), 5, &mut rng()).await.unwrap();
        }
        let over = phones.remember(device(99, "a"), 5, &mut rng()).await;
        assert!(matches!(over, Err(Error::TooMany)));
        phones.remember(device(0, "a"), 6, &mut rng()).await.unwrap();
    }
}
