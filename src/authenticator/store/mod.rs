//! The passkey store: one database file, encrypted at rest, each change durable on return.
//!
//! ```text
//!  PIN ──Argon2id──> PIN key ──unwraps──> data key ──┬──> record key: AES-256-GCM per passkey
//!                                                    └──> index key: HMAC of rp ids and ids
//! ```
//!
//! Whoever reads the file learns how many passkeys there are, how many share a site, and roughly
//! how long their names are; not which sites. The PIN can change without touching records. A
//! newer schema is refused before any passkey is touched.
//!
//! Calls block: on the disk, and with a PIN for the time that Argon2id takes (some 0.2 s), so an
//! asynchronous caller gives them a thread. Depends on the pure modules and siblings only; redb is
//! used nowhere else.

mod backup;
mod check;
mod client_pin;
mod error;
pub mod exchange;
mod file;
mod forgotten;
mod links;
mod migrate;
mod passkeys;
mod pin;
mod record;
mod seal;
mod unlock_key;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redb::ReadableTable;

pub use self::backup::Restoration;
pub use self::check::{Checkup, Finding};
pub use self::error::Error;
use self::error::database;
use self::file::{Db, META_ATTEMPTS, META_WRAP, Tables};
pub use self::forgotten::Awaited;
pub use self::links::{Link, LinkingKeys, MAX_LINKS};
#[cfg(fuzzing)]
pub use self::pin::fuzz_pin_state;
use self::pin::{Attempts, Wrap};
pub use self::pin::{KdfCost, Pin, PinError};
#[cfg(fuzzing)]
pub use self::record::fuzz_record;
use self::seal::Keys;
pub use self::unlock_key::UnlockKey;
use super::Random;
use super::consent::Verification;
use super::passkey::Timestamp;
use crate::secret::Secret;

/// The newest schema that this program reads, and the one that it writes.
const SCHEMA: u32 = 2;

/// Bytes that the owner's name for a passkey has at most.
pub const MAX_LABEL: usize = 255;

/// An open store without its keys: it can take a PIN and nothing else.
#[derive(Clone)]
pub struct Locked {
    db: Arc<Db>,
    /// Whether a migration leaves a copy from before it.
    keep_copy: bool,
}

/// An unlocked store; clones share the file. The keys are wiped with the last clone.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    keys: Arc<Keys>,
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Locked {
    /// Opens the store in `dir` and checks the whole file.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InUse`], [`Error::NewerSchema`], [`Error::Corrupt`] and those
    /// of the file system.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Db::open(dir).map(|db| Self { db: Arc::new(db), keep_copy: true })
    }

    /// Where it is, as it was named when it was opened.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.db.folder()
    }

    /// Unlocks with the PIN; the try is counted in the file before the PIN is looked at. A store of
    /// an older schema is brought to this one, and a copy of what it was is left beside it.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPin`], [`Error::LockedOut`], or the file fails.
    pub fn unlock(
        &self,
        pin: &Pin,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(Store, Verification), Error> {
        let (data_key, _) = unwrap_key(&self.db, pin, now)?;
        Ok((self.opened(&data_key, rng)?, Verification::by_pin()))
    }

    /// The store with this data key, brought to this schema.
    fn opened(&self, data_key: &Secret<32>, rng: Random<'_>) -> Result<Store, Error> {
        let keys = Keys::derive(data_key);
        migrate::run(&self.db, &keys, self.keep_copy, rng)?;
        Ok(Store { db: Arc::clone(&self.db), keys: Arc::new(keys) })
    }

    /// Until when no PIN is taken after too many wrong ones, if so.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn locked_out_until(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        Ok(Attempts::decode(&self.db.meta(META_ATTEMPTS)?)?.locked_until(now))
    }
}

impl Store {
    /// Makes a store in `dir`, which is made too (for its owner only) if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], and those of the file system.
    pub fn create(dir: &Path, pin: &Pin, rng: Random<'_>) -> Result<Self, Error> {
        Self::create_with_cost(dir, pin, KdfCost::STANDARD, rng)
    }

    /// [`Self::create`] with another cost of guessing the PIN; a low one is for tests only.
    ///
    /// # Errors
    ///
    /// As [`Self::create`]; [`Error::Corrupt`] for a cost that Argon2 does not know.
    pub fn create_with_cost(
        dir: &Path,
        pin: &Pin,
        cost: KdfCost,
        mut rng: Random<'_>,
    ) -> Result<Self, Error> {
        let data_key = Secret::random(&mut rng);
        let wrap = Wrap::seal(&data_key, pin, cost, rng)?.encode();
        let db = Db::create(dir, |tables| {
            tables.put_meta(META_WRAP, &wrap)?;
            client_pin::put_pin_hash(tables, &data_key, pin)?;
            tables.put_meta(META_ATTEMPTS, &Attempts::default().encode())
        })?;
        Ok(Self { db: Arc::new(db), keys: Arc::new(Keys::derive(&data_key)) })
    }

    /// Opens the store in `dir`, still locked. See [`Locked::open`].
    ///
    /// # Errors
    ///
    /// As [`Locked::open`].
    pub fn open(dir: &Path) -> Result<Locked, Error> {
        Locked::open(dir)
    }

    /// The same store without its keys.
    #[must_use]
    pub fn locked(&self) -> Locked {
        Locked { db: Arc::clone(&self.db), keep_copy: true }
    }

    /// Verifies the user again, in an unlocked store; wrong PINs count as they do in unlocking.
    ///
    /// # Errors
    ///
    /// As [`Locked::unlock`].
    pub fn verify_pin(&self, pin: &Pin, now: Timestamp) -> Result<Verification, Error> {
        unwrap_key(&self.db, pin, now).map(|_| Verification::by_pin())
    }

    /// Changes the PIN, at the cost that the store was made with.
    ///
    /// # Errors
    ///
    /// As [`Locked::unlock`] for the old PIN; the old one stays then.
    pub fn change_pin(
        &self,
        old: &Pin,
        new: &Pin,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), Error> {
        let (data_key, cost) = unwrap_key(&self.db, old, now)?;
        let wrap = Wrap::seal(&data_key, new, cost, rng)?.encode();
        self.db.write(|tables| {
            tables.put_meta(META_WRAP, &wrap)?;
            client_pin::put_pin_hash(tables, &data_key, new)
        })
    }
}

/// Counts the try, then tries; a right PIN sets the count back.
fn unwrap_key(db: &Db, pin: &Pin, now: Timestamp) -> Result<(Secret<32>, KdfCost), Error> {
    let attempts = db.write(|tables| count_attempt(tables, now))?;
    let wrap = Wrap::decode(&db.meta(META_WRAP)?)?;
    let Some(data_key) = wrap.open(pin)? else {
        return Err(Error::WrongPin { tries_left: attempts.tries_left() });
    };
    db.write(|tables| {
        // Each time, for stores made before it was kept.
        client_pin::put_pin_hash(tables, &data_key, pin)?;
        tables.put_meta(META_ATTEMPTS, &Attempts::default().encode())
    })?;
    Ok((data_key, wrap.cost()))
}

fn count_attempt(tables: &mut Tables<'_>, now: Timestamp) -> Result<Attempts, Error> {
    let attempts = match tables.meta.get(META_ATTEMPTS).map_err(database)? {
        Some(bytes) => Attempts::decode(bytes.value())?,
        None => return Err(Error::Corrupt),
    };
    if let Some(until) = attempts.locked_until(now) {
        return Err(Error::LockedOut { until });
    }
    let attempts = attempts.counted(now);
    tables.put_meta(META_ATTEMPTS, &attempts.encode())?;
    Ok(attempts)
}

#[cfg(test)]
mod tests;
