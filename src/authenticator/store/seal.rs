//! Keys of an unlocked store: records sealed, index entries blinded, the data key wrapped.
//!
//! Depends on [`crate::secret`], [`crate::sealed`] and the sibling `error` only.

use zeroize::Zeroizing;

use super::SCHEMA;
use super::error::Error;
use crate::authenticator::mac::hmac_sha256;
use crate::authenticator::{CredentialId, Random};
use crate::sealed;
use crate::secret::Secret;

/// What the data key gives: one key for records, one for the index. Wiped when dropped.
pub(super) struct Keys {
    /// Kept for changing the PIN, and for what is neither record nor index.
    data: Secret<32>,
    records: Secret<32>,
    index: Secret<32>,
}

/// A record's key in the file: says nothing about the credential id without the index key.
pub(super) type RecordKey = [u8; 32];

impl Keys {
    pub(super) fn derive(data_key: &Secret<32>) -> Self {
        let key = |label: &[u8]| Secret::new(hmac_sha256(data_key, &[label]));
        Self {
            data: data_key.clone(),
            records: key(b"cabled passkey records"),
            index: key(b"cabled passkey index"),
        }
    }

    pub(super) fn data(&self) -> &Secret<32> {
        &self.data
    }

    pub(super) fn record_key(&self, id: &CredentialId) -> RecordKey {
        hmac_sha256(&self.index, &[b"id", id.as_bytes()])
    }

    pub(super) fn rp_key(&self, rp_id: &str) -> [u8; 32] {
        hmac_sha256(&self.index, &[b"rp", rp_id.as_bytes()])
    }

    pub(super) fn seal(
        &self,
        key: &RecordKey,
        record: &[u8],
        rng: Random<'_>,
    ) -> Result<Vec<u8>, Error> {
        seal(&self.records, &record_context(SCHEMA, key), record, rng)
    }

    pub(super) fn open(&self, key: &RecordKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.open_of(SCHEMA, key, sealed)
    }

    /// A record that an older schema sealed.
    pub(super) fn open_of(
        &self,
        schema: u32,
        key: &RecordKey,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        open(&self.records, &record_context(schema, key), sealed)
    }
}

/// Binds a record to its place and schema: moved or relabelled, it does not open.
fn record_context(schema: u32, key: &RecordKey) -> Vec<u8> {
    [b"cabled passkey record", &schema.to_be_bytes()[..], key].concat()
}

/// [`sealed::seal`], with this store's error.
pub(super) fn seal(
    key: &Secret<32>,
    context: &[u8],
    plaintext: &[u8],
    rng: Random<'_>,
) -> Result<Vec<u8>, Error> {
    sealed::seal(key, context, plaintext, rng).ok_or(Error::TooLarge)
}

/// Undoes [`seal`]; [`Error::Corrupt`] if key, context or bytes are not the same.
pub(super) fn open(
    key: &Secret<32>,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    sealed::open(key, context, sealed).ok_or(Error::Corrupt)
}
