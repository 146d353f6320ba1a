//! The store as front ends use it: locked or open, and what is done with its passkeys.
//!
//! The service has one, and a command line that finds no service running makes one of its own, so that
//! both do the same work by the same code. Calls of the store block, so each gets a thread. Depends on
//! siblings in `authenticator` and on tokio only.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::moving::Moving;
use tokio::sync::watch;

use super::{Error, Sources};
use crate::authenticator::store;
use crate::authenticator::{
    CredentialId, LinkView, Locked, PasskeyStore as _, PasskeyView, Pin, Store, Verification,
};
use crate::hybrid::linking::LinkId;

/// A store and, while it is open, its keys. Clones are the same one.
#[derive(Clone)]
pub struct Vault {
    locked: Locked,
    open: Arc<Mutex<Option<Store>>>,
    /// Told whenever it is locked or opened, or who may ring changes.
    changes: watch::Sender<()>,
    pub(super) moving: Arc<Moving>,
    pub(super) sources: Sources,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("locked", &self.is_locked()).finish_non_exhaustive()
    }
}

/// The calls need a tokio runtime. Those that need an open store fail with [`Error::Locked`] without.
impl Vault {
    /// Over this store; `open` if its owner gave the PIN already.
    #[must_use]
    pub fn new(locked: Locked, open: Option<Store>, sources: Sources) -> Self {
        let (open, changes) = (Arc::new(Mutex::new(open)), watch::Sender::new(()));
        Self { locked, open, changes, moving: Arc::default(), sources }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Store>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> Result<Store, Error> {
        self.slot().clone().ok_or(Error::Locked)
    }

    pub(super) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether passkeys are out of reach.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.slot().is_none()
    }

    /// The folder of the store.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.locked.folder()
    }

    /// Locks the store, and forgets what was about to be imported.
    pub fn lock(&self) {
        *self.slot() = None;
        self.moving.forget();
        self.changed();
    }

    /// Opens the store, or verifies the PIN once more if it is open.
    ///
    /// # Errors
    ///
    /// [`store::Error::WrongPin`], [`store::Error::LockedOut`], or the file fails.
    pub async fn unlock(&self, pin: Pin) -> Result<Verification, Error> {
        let (vault, now) = (self.clone(), (self.sources.clock)());
        let unlocked = blocking(move || match vault.store() {
            Ok(store) => store.verify_pin(&pin, now),
            Err(_) => vault.locked.unlock(&pin, now, &mut *(vault.sources.rng)()).map(
                |(store, verification)| {
                    *vault.slot() = Some(store);
                    vault.changed();
                    verification
                },
            ),
        });
        unlocked.await
    }

    /// Changes the PIN.
    ///
    /// # Errors
    ///
    /// As [`Self::unlock`] for the old PIN, which stays then.
    pub async fn change_pin(&self, old: Pin, new: Pin) -> Result<(), Error> {
        let (now, rng) = ((self.sources.clock)(), Arc::clone(&self.sources.rng));
        self.with(move |store| store.change_pin(&old, &new, now, &mut *rng())).await
    }

    /// All passkeys, by site, then by age.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; the same holds for the other calls.
    pub async fn passkeys(&self) -> Result<Vec<PasskeyView>, Error> {
        self.with(|store| Ok(store.list()?.iter().map(PasskeyView::from).collect())).await
    }

    /// One passkey.
    ///
    /// # Errors
    ///
    /// See [`Self::passkeys`]; [`store::Error::NoSuchPasskey`].
    pub async fn passkey(&self, id: CredentialId) -> Result<PasskeyView, Error> {
        let found = self.with(move |store| {
            let found = store.find_by_id(&id)?.ok_or(store::Error::NoSuchPasskey)?;
            Ok(PasskeyView::from(&found))
        });
        found.await
    }

    /// Sets the owner's name for a passkey; an empty one removes it.
    ///
    /// # Errors
    ///
    /// See [`Self::passkey`]; [`store::Error::TooLarge`].
    pub async fn rename(&self, id: CredentialId, label: &str) -> Result<(), Error> {
        let label = Some(label.trim().to_owned()).filter(|label| !label.is_empty());
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.rename(&id, label, &mut *rng())).await
    }

    /// Deletes a passkey for good. The site still lists it: tell the user to remove it there too.
    ///
    /// # Errors
    ///
    /// See [`Self::passkey`].
    pub async fn delete(&self, id: CredentialId) -> Result<(), Error> {
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.delete(&id, &mut *rng())).await
    }

    /// As [`Store::prune`].
    ///
    /// # Errors
    ///
    /// See [`Self::passkeys`].
    pub async fn prune(
        &self,
        ids: Vec<CredentialId>,
        unused: bool,
    ) -> Result<Vec<CredentialId>, Error> {
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.prune(&ids, unused, &mut *rng())).await
    }

    /// The laptops that may ring, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Self::passkeys`].
    pub async fn links(&self) -> Result<Vec<LinkView>, Error> {
        let links = self.with(Store::links).await?;
        Ok(links.into_iter().map(LinkView::from).collect())
    }

    /// Forgets a laptop, which can ring no more.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchLink`], and see [`Self::passkeys`].
    pub async fn forget_link(&self, id: [u8; 8]) -> Result<(), Error> {
        let now = (self.sources.clock)();
        let known = self.with(move |store| store.remove_link(LinkId(id), now)).await?;
        self.changed();
        if known { Ok(()) } else { Err(Error::NoSuchLink) }
    }

    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store()?;
        blocking(move || work(&store)).await
    }
}

/// Gives a call that blocks a thread of its own.
pub(super) async fn blocking<T: Send + 'static, E: Into<Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Error::Store(store::Error::NeedsReopen)),
    }
}
