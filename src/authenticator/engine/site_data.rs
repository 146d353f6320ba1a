//! What a site may keep with a passkey: `credBlob` and `largeBlobKey` for a security key, `largeBlob`
//! for a phone, which needs no array beside its passkeys.
//!
//! Over hybrid a blob travels deflated, with its size before; here it is kept as it was. Depends on
//! [`crate::cbor`], [`crate::ctap`] and siblings only; miniz_oxide is used here alone in this role.
//!
//! Specification: CTAP 2.2, sections 12.2 and 12.3; WebAuthn 3, section 10.1.5.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use zeroize::Zeroizing;

use super::Transport;
use super::extensions::{Inputs, Output, find};
use crate::authenticator::passkey::{MAX_CRED_BLOB, MAX_LARGE_BLOB, Passkey};
use crate::cbor::Value;
use crate::ctap::Status;

pub(super) const CRED_BLOB: &str = "credBlob";
pub(super) const LARGE_BLOB_KEY: &str = "largeBlobKey";
pub(super) const LARGE_BLOB: &str = "largeBlob";

/// miniz's default; blobs are small.
const LEVEL: u8 = 6;

/// What a registration asks to keep.
#[derive(Default)]
pub(super) struct ToKeep {
    /// Asked for; kept only if it fits.
    cred_blob: Option<Option<Zeroizing<Vec<u8>>>>,
    pub(super) large_blob_key: bool,
    large_blob: bool,
}

impl ToKeep {
    pub(super) fn read(
        inputs: Inputs<'_>,
        transport: Transport,
        discoverable: bool,
    ) -> Result<Self, Status> {
        if transport == Transport::Hybrid {
            let input = find(inputs, LARGE_BLOB);
            input
                .map_or(Ok(()), |map| map.as_map().map(drop).ok_or(Status::CBOR_UNEXPECTED_TYPE))?;
            return Ok(Self { large_blob: input.is_some(), ..Self::default() });
        }
        let blob = find(inputs, CRED_BLOB).map(Value::as_bytes);
        let fits = |blob: &[u8]| {
            let fits = discoverable && blob.len() <= MAX_CRED_BLOB;
            fits.then(|| Zeroizing::new(blob.to_vec()))
        };
        let cred_blob =
            blob.map(|b| b.map(fits).ok_or(Status::CBOR_UNEXPECTED_TYPE)).transpose()?;
        let key = large_blob_key(inputs)?;
        // The specification has it for discoverable passkeys alone.
        if key && !discoverable {
            return Err(Status::INVALID_OPTION);
        }
        Ok(Self { cred_blob, large_blob_key: key, large_blob: false })
    }

    pub(super) fn cred_blob(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.cred_blob.clone().flatten()
    }

    /// For the signed outputs.
    pub(super) fn signed(&self) -> Output {
        self.cred_blob.as_ref().map(|kept| (CRED_BLOB, Value::Bool(kept.is_some())))
    }

    /// For the unsigned outputs.
    pub(super) fn unsigned(&self) -> Output {
        let supported = || Value::text_map([("supported", Value::Bool(true))]);
        self.large_blob.then(|| (LARGE_BLOB, supported()))
    }
}

/// What a sign-in asks about a large blob.
enum LargeBlob {
    Read,
    Write(Zeroizing<Vec<u8>>),
}

/// What a sign-in asks to be told, or to keep.
#[derive(Default)]
pub(super) struct ToTell {
    cred_blob: bool,
    large_blob_key: bool,
    large_blob: Option<LargeBlob>,
}

impl ToTell {
    pub(super) fn read(inputs: Inputs<'_>, transport: Transport) -> Result<Self, Status> {
        if transport == Transport::Hybrid {
            let large_blob = find(inputs, LARGE_BLOB).map(LargeBlob::parse).transpose()?.flatten();
            return Ok(Self { large_blob, ..Self::default() });
        }
        let cred_blob = find(inputs, CRED_BLOB);
        let cred_blob = cred_blob.map(|v| v.as_bool().ok_or(Status::CBOR_UNEXPECTED_TYPE));
        Ok(Self {
            cred_blob: cred_blob.transpose()?.unwrap_or_default(),
            large_blob_key: large_blob_key(inputs)?,
            large_blob: None,
        })
    }

    /// The blob to keep with the passkey that signs.
    pub(super) fn write(&self) -> Option<&Zeroizing<Vec<u8>>> {
        match &self.large_blob {
            Some(LargeBlob::Write(blob)) => Some(blob),
            _ => None,
        }
    }

    /// For the signed outputs: empty where nothing was kept.
    pub(super) fn signed(&self, passkey: &Passkey) -> Output {
        let blob = || passkey.cred_blob.as_ref().map(|blob| blob.to_vec()).unwrap_or_default();
        self.cred_blob.then(|| (CRED_BLOB, Value::from(blob())))
    }

    /// For the unsigned outputs. `written` says whether a blob that was to be kept is.
    pub(super) fn unsigned(&self, passkey: &Passkey, written: bool) -> Output {
        let output = match self.large_blob.as_ref()? {
            LargeBlob::Write(_) => Value::text_map([("written", Value::Bool(written))]),
            LargeBlob::Read => {
                let blob = passkey.large_blob.as_ref();
                Value::text_map(blob.into_iter().flat_map(|blob| {
                    let size = Value::Uint(blob.len() as u64);
                    [("blob", Value::from(compress_to_vec(blob, LEVEL))), ("originalSize", size)]
                }))
            }
        };
        Some((LARGE_BLOB, output))
    }

    pub(super) fn key(&self, passkey: &Passkey) -> Option<Vec<u8>> {
        let key = passkey.large_blob_key.as_ref().filter(|_| self.large_blob_key);
        key.map(|key| key.expose().to_vec())
    }
}

impl LargeBlob {
    fn parse(input: &Value) -> Result<Option<Self>, Status> {
        input.as_map().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
        let read = input.get_text("read").and_then(Value::as_bool).unwrap_or_default();
        let Some(packed) = input.get_text("write") else { return Ok(read.then_some(Self::Read)) };
        if read {
            return Err(Status::INVALID_OPTION);
        }
        let packed = packed.as_bytes().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
        let size = input.get_text("originalSize").ok_or(Status::MISSING_PARAMETER)?;
        let size = size.as_uint().and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| *size <= MAX_LARGE_BLOB);
        let size = size.ok_or(Status::LARGE_BLOB_STORAGE_FULL)?;
        // The announced size bounds what is unpacked, and must be met.
        let blob = decompress_to_vec_with_limit(packed, size).map(Zeroizing::new);
        let blob = blob.ok().filter(|blob| blob.len() == size);
        blob.map(|blob| Some(Self::Write(blob))).ok_or(Status::INVALID_PARAMETER)
    }
}

/// Only "yes" is a valid input.
fn large_blob_key(inputs: Inputs<'_>) -> Result<bool, Status> {
    match find(inputs, LARGE_BLOB_KEY).map(Value::as_bool) {
        None => Ok(false),
        Some(Some(true)) => Ok(true),
        Some(Some(false)) => Err(Status::INVALID_OPTION),
        Some(None) => Err(Status::CBOR_UNEXPECTED_TYPE),
    }
}
