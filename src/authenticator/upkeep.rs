//! What clients may do to a store besides finding and saving passkeys, as a trait: try the PIN by its
//! hash, list, rename, delete and wipe, and keep the array of large blobs.
//!
//! Depends on the sibling `passkey` and [`crate::ctap`] only.

use super::passkey::{CredentialId, Passkey, Timestamp};
use super::store::{self, Pin};
use super::{Random, Verification};
use crate::ctap::UserEntity;

/// The first half of the SHA-256 of a PIN: what clients send in its place.
pub type PinHash = [u8; 16];

/// How many wrong PINs are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinTries {
    /// Before the first waiting time.
    pub left: u32,
    /// No PIN is taken for now.
    pub waiting: bool,
}

/// Where the engine finds what is more than a passkey. Every change is durable when the call returns.
pub trait Upkeep {
    /// All passkeys, by rp id, then by age.
    ///
    /// # Errors
    ///
    /// As [`store::Error`] says; the same holds for the other calls.
    fn all(&self) -> Result<Vec<Passkey>, store::Error>;

    /// Deletes a passkey for good.
    ///
    /// # Errors
    ///
    /// See [`Self::all`]; [`store::Error::NoSuchPasskey`].
    fn remove(&self, id: &CredentialId, rng: Random<'_>) -> Result<(), store::Error>;

    /// Changes the names of an account; its id stays.
    ///
    /// # Errors
    ///
    /// See [`Self::remove`].
    fn set_user(
        &self,
        id: &CredentialId,
        user: &UserEntity,
        rng: Random<'_>,
    ) -> Result<(), store::Error>;

    /// Deletes every passkey and the large blobs; the PIN stays.
    ///
    /// # Errors
    ///
    /// See [`Self::all`]; then nothing was deleted.
    fn wipe(&self) -> Result<(), store::Error>;

    /// Whether the PIN's hash is there to compare with: written when the PIN is set or was right.
    ///
    /// # Errors
    ///
    /// See [`Self::all`].
    fn knows_pin_hash(&self) -> Result<bool, store::Error>;

    /// How many wrong PINs are left.
    ///
    /// # Errors
    ///
    /// See [`Self::all`].
    fn pin_tries(&self, now: Timestamp) -> Result<PinTries, store::Error>;

    /// Tries the PIN by its hash; counted as any other try, before the hash is looked at.
    ///
    /// # Errors
    ///
    /// [`store::Error::WrongPin`], [`store::Error::LockedOut`], and see [`Self::all`].
    fn try_pin_hash(&self, hash: &PinHash, now: Timestamp) -> Result<Verification, store::Error>;

    /// Changes the PIN. Takes as long as the cost of guessing a PIN says, some 0.2 s.
    ///
    /// # Errors
    ///
    /// As [`Self::try_pin_hash`]; the old PIN stays then.
    fn replace_pin(
        &self,
        old: &PinHash,
        new: &Pin,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), store::Error>;

    /// The array of large blobs as clients wrote it; `None` before the first write.
    ///
    /// # Errors
    ///
    /// See [`Self::all`].
    fn large_blobs(&self) -> Result<Option<Vec<u8>>, store::Error>;

    /// Puts another array in its place.
    ///
    /// # Errors
    ///
    /// See [`Self::all`].
    fn set_large_blobs(&self, array: &[u8], rng: Random<'_>) -> Result<(), store::Error>;
}
