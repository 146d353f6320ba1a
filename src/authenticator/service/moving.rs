//! Moving house by way of front ends: a copy for a file, and a file's passkeys for the store.
//!
//! A front end writes the copy and only then says that it is written, since authenticator data is to
//! tell the truth about copies; it shows its user what a file holds and only then has that added. What
//! is kept in between is the last copy and the last plan. Depends on siblings in `authenticator` and
//! on tokio only.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::vault::blocking;
use super::{Error, Service, Vault};
use crate::authenticator::store::exchange::{Lock, Opener, Plan, Skipped};
use crate::authenticator::{CredentialId, PasskeyView, Pin};

/// Names a copy or a plan, until the next one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoveId(pub u64);

/// Passkeys in a sealed document, to be written to a file.
pub struct Copy {
    /// Say so with it once the file is durable.
    pub id: MoveId,
    /// The file's content, encrypted.
    pub sealed: Vec<u8>,
    /// Those in it.
    pub passkeys: Vec<CredentialId>,
    /// Those that stay, for a site was told that they are bound to this phone.
    pub bound: Vec<CredentialId>,
    /// Those whose large blob stays behind.
    pub without_large_blob: Vec<CredentialId>,
}

/// What importing a file would do.
#[derive(Debug)]
pub struct Planned {
    /// Have it done with it.
    pub id: MoveId,
    /// Those that would be added.
    pub passkeys: Vec<PasskeyView>,
    /// What would not, and why.
    pub skipped: Vec<Skipped>,
}

/// What is kept between two calls.
#[derive(Default)]
pub(super) struct Moving(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    copied: Option<(MoveId, Vec<CredentialId>)>,
    planned: Option<(MoveId, Plan)>,
}

impl Kept {
    fn next(&mut self) -> MoveId {
        self.last += 1;
        MoveId(self.last)
    }
}

impl Moving {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the keys of a plan.
    pub(super) fn forget(&self) {
        self.kept().planned = None;
    }
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Copy");
        out.field("id", &self.id).field("passkeys", &self.passkeys.len()).finish_non_exhaustive()
    }
}

impl Vault {
    /// Copies all passkeys that may leave this phone into an encrypted document.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::Envelope`] for recipients that are none, and those of the file.
    pub async fn export(&self, lock: Lock) -> Result<Copy, Error> {
        let (store, now) = (self.store()?, (self.sources.clock)());
        let sealed = blocking(move || {
            let export = store.export(now)?;
            let sealed = lock.seal(&export.document)?;
            Ok::<_, Error>((export.passkeys, export.bound, export.without_large_blob, sealed))
        });
        let (passkeys, bound, without_large_blob, sealed) = sealed.await?;
        let mut kept = self.moving.kept();
        let id = kept.next();
        kept.copied = Some((id, passkeys.clone()));
        Ok(Copy { id, sealed, passkeys, bound, without_large_blob })
    }

    /// The copy's file is durable: from now on authenticator data says that copies exist.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchMove`], [`Error::Locked`], and those of the file.
    pub async fn exported(&self, id: MoveId) -> Result<(), Error> {
        let copied = self.moving.kept().copied.take_if(|(copied, _)| *copied == id);
        let (_, passkeys) = copied.ok_or(Error::NoSuchMove)?;
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.mark_backed_up(&passkeys, &mut *rng())).await
    }

    /// Opens a file and tells what importing it would do. Nothing is changed yet.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::Envelope`], [`Error::NoDocument`], and those of the store.
    pub async fn plan_import(&self, opener: Opener, sealed: Vec<u8>) -> Result<Planned, Error> {
        let (store, now) = (self.store()?, (self.sources.clock)());
        let rng = Arc::clone(&self.sources.rng);
        let plan = blocking(move || {
            let document = opener.open(&sealed)?;
            store.plan_import(&document, now, &mut *rng())?.ok_or(Error::NoDocument)
        });
        let plan = plan.await?;
        let passkeys = plan.passkeys.iter().map(PasskeyView::from).collect();
        let skipped = plan.skipped.clone();
        let mut kept = self.moving.kept();
        let id = kept.next();
        kept.planned = Some((id, plan));
        Ok(Planned { id, passkeys, skipped })
    }

    /// Adds what was planned, all of it or nothing, and tells how many that is.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchMove`], [`Error::Locked`], [`crate::authenticator::store::Error::AlreadyExists`]
    /// if one of them came meanwhile, and those of the file.
    pub async fn import(&self, id: MoveId) -> Result<usize, Error> {
        let planned = self.moving.kept().planned.take_if(|(planned, _)| *planned == id);
        let (_, plan) = planned.ok_or(Error::NoSuchMove)?;
        let rng = Arc::clone(&self.sources.rng);
        self.with(move |store| store.import(&plan, &mut *rng()).map(|()| plan.passkeys.len())).await
    }
}

impl Service {
    /// [`Vault::export`] for the user whose PIN this is: an open store is no reason to hand out all
    /// that is in it.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::export`]; [`Error::Store`] for a wrong PIN.
    pub async fn export(&self, pin: Pin, lock: Lock) -> Result<Copy, Error> {
        let vault = self.vault();
        vault.store()?;
        vault.unlock(pin).await?;
        vault.export(lock).await
    }
}
