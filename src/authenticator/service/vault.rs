//! The store inside of the service: locked or open, and what is done with its passkeys.
//!
//! Calls of the store block, so each gets a thread. Depends on siblings in `authenticator` and on
//! tokio only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Error, Sources};
use crate::authenticator::store;
use crate::authenticator::{
    CredentialId, Locked, Passkey, PasskeyStore as _, Pin, Store, Verification,
};

/// A store and, while it is open, its keys.
#[derive(Clone)]
pub(super) struct Vault {
    locked: Locked,
    open: Arc<Mutex<Option<Store>>>,
    sources: Sources,
}

impl Vault {
    pub(super) fn new(locked: Locked, open: Option<Store>, sources: Sources) -> Self {
        Self { locked, open: Arc::new(Mutex::new(open)), sources }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Store>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self) -> Result<Store, Error> {
        self.slot().clone().ok_or(Error::Locked)
    }

    pub(super) fn lock(&self) {
        *self.slot() = None;
    }

    /// Opens the store, or verifies the PIN once more if it is open.
    pub(super) async fn unlock(&self, pin: Pin) -> Result<Verification, Error> {
        let (vault, now) = (self.clone(), (self.sources.clock)());
        let unlocked = blocking(move || match vault.store() {
            Ok(store) => store.verify_pin(&pin, now),
            Err(_) => vault.locked.unlock(&pin, now, &mut *(vault.sources.rng)()).map(
                |(store, verification)| {
                    *vault.slot() = Some(store);
                    verification
                },
            ),
        });
        unlocked.await
    }

    pub(super) async fn change_pin(&self, old: Pin, new: Pin) -> Result<(), Error> {
        let (now, rng) = ((self.sources.clock)(), Arc::clone(&self.sources.rng));
        self.with(move |store| store.change_pin(&old, &new, now, &mut *rng())).await
    }

    pub(super) async fn list(&self) -> Result<Vec<Passkey>, Error> {
        self.with(Store::list).await
    }

    pub(super) async fn find(&self, id: CredentialId) -> Result<Passkey, Error> {
        self.with(move |store| store.find_by_id(&id)?.ok_or(store::Error::NoSuchPasskey)).await
    }

    pub(super) async fn rename(
        &self,
        id: CredentialId,
        label: Option<String>,
    ) -> Result<(), Error> {
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.rename(&id, label, &mut *rng())).await
    }

    pub(super) async fn delete(&self, id: CredentialId) -> Result<(), Error> {
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.delete(&id, &mut *rng())).await
    }

    pub(super) async fn orphans(&self, unused: bool) -> Result<Vec<Passkey>, Error> {
        let mut passkeys = self.list().await?;
        passkeys.retain(|passkey| passkey.may_be_orphaned(unused));
        Ok(passkeys)
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store()?;
        blocking(move || work(&store)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(store::Error::NeedsReopen)).map_err(Error::Store)
}
