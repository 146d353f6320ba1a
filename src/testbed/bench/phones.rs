//! The phones of a bench, and their passkeys.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Bench, MAX_PHONES};
use crate::authenticator::{CredentialId, PasskeyView};
use crate::testbed::phone::{PhoneSetup, ScriptedPhone};
use crate::testbed::{Adverts, Ceremony, Error, NewPasskey, PlantedPasskey, adverts};

/// The phones; what they do ends when dropped.
#[derive(Default)]
pub(super) struct Phones(Mutex<BTreeMap<String, ScriptedPhone>>);

impl Phones {
    /// Nothing panics while it is held.
    pub(super) fn open(&self) -> MutexGuard<'_, BTreeMap<String, ScriptedPhone>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.open().values().for_each(ScriptedPhone::vanish);
    }
}

impl Bench {
    /// Adds a phone.
    ///
    /// # Errors
    ///
    /// [`Error::PhoneExists`], [`Error::TooManyPhones`], [`Error::BadPin`], [`Error::ForeignAaguid`],
    /// [`Error::Phone`].
    pub async fn add_phone(&self, name: &str, setup: PhoneSetup) -> Result<(), Error> {
        self.has_room(name)?;
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let folder = self.folder.join(format!("phone-{number}"));
        let (owned, common) = (name.to_owned(), self.common.clone());
        let seed = match setup.adverts {
            Adverts::Heard => 0,
            _ => (common.sources.rng)().next_u64(),
        };
        let radio = adverts::radio(&common.radio, setup.adverts, seed).await;
        let radio = radio.map_err(Error::Radio)?;
        let making = move || ScriptedPhone::new(&owned, &folder, setup, common, radio);
        let made = tokio::task::spawn_blocking(making).await;
        let phone = made.map_err(|lost| Error::Folder(io::Error::other(lost)))??;
        self.has_room(name)?;
        self.phones.open().insert(name.to_owned(), phone);
        Ok(())
    }

    /// Takes a phone away, and with it what it does and its passkeys. Its ceremonies stay known.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`].
    pub fn remove_phone(&self, name: &str) -> Result<(), Error> {
        let removed = self.phones.open().remove(name);
        let phone = removed.ok_or_else(|| Error::NoSuchPhone(name.to_owned()))?;
        // Noted first: whoever sees the end sees this too.
        for ceremony in self.ceremonies().iter().filter(|c| c.phone == name && !c.over) {
            let note = |ceremony: &mut Ceremony| ceremony.walked_away = !ceremony.over;
            self.common.ceremonies.update(ceremony.id, note);
        }
        phone.vanish();
        Ok(())
    }

    fn has_room(&self, name: &str) -> Result<(), Error> {
        let phones = self.phones.open();
        match (phones.contains_key(name), phones.len()) {
            (true, _) => Err(Error::PhoneExists(name.to_owned())),
            (false, MAX_PHONES..) => Err(Error::TooManyPhones),
            _ => Ok(()),
        }
    }

    /// The names of the phones.
    #[must_use]
    pub fn phone_names(&self) -> Vec<String> {
        self.phones.open().keys().cloned().collect()
    }

    /// All passkeys of a phone, with how far each got.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], [`Error::Phone`].
    pub async fn passkeys(&self, phone: &str) -> Result<Vec<PasskeyView>, Error> {
        self.phone(phone)?.passkeys().await
    }

    /// Gives a phone a passkey from the start, for an account that a test has put into the site's database
    /// together with the public key.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], [`Error::BadPasskey`], [`Error::Phone`].
    pub async fn plant(&self, phone: &str, new: NewPasskey) -> Result<PlantedPasskey, Error> {
        let phone = self.phone(phone)?;
        let planted = tokio::task::spawn_blocking(move || phone.plant(new)).await;
        planted.map_err(|lost| Error::Folder(io::Error::other(lost)))?
    }

    /// Deletes a passkey on a phone, as its owner may.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchPhone`], [`Error::Phone`].
    pub async fn delete_passkey(&self, phone: &str, id: CredentialId) -> Result<(), Error> {
        self.phone(phone)?.delete(id).await
    }

    pub(super) fn phone(&self, name: &str) -> Result<ScriptedPhone, Error> {
        let found = self.phones.open().get(name).cloned();
        found.ok_or_else(|| Error::NoSuchPhone(name.to_owned()))
    }
}
