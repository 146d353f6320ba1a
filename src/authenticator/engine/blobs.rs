//! authenticatorLargeBlobs: the array that clients keep here, read by anybody, written with a token.
//!
//! What is in it is encrypted by clients under keys of passkeys, and not looked into. A write is kept
//! in memory until it is whole. Depends on the pure modules and siblings only.
//! Specification: CTAP 2.2, section 6.10.

use sha2::{Digest, Sha256};

use super::info::MAX_MESSAGE_HID;
use super::token::Proof;
use super::{Answer, Engine, Failure, Outcome, Session};
use crate::authenticator::Random;
use crate::authenticator::consent::Consent;
use crate::authenticator::passkey::{PasskeyStore, Timestamp};
use crate::ctap::{LargeBlobsRequest, Permissions, Status, large_blobs_response};

/// Bytes of the array, its hash included; the specification asks for 1024 at least.
pub(super) const MAX_ARRAY: usize = 16 << 10;
/// Bytes in one message.
const MAX_PIECE: usize = MAX_MESSAGE_HID - 64;
/// Bytes of the hash behind the array.
const HASH: usize = 16;
/// An array of nothing, with its hash.
const EMPTY: [u8; 17] = [
    0x80, 0x76, 0xbe, 0x8b, 0x52, 0x8d, 0x00, 0x75, 0xf7, 0xaa, 0xe9, 0x8d, 0x6f, 0xa5, 0x7a, 0x6d,
    0x3c,
];

/// A write that is not whole yet.
pub(super) struct Write {
    length: usize,
    bytes: Vec<u8>,
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) fn large_blobs(
        &mut self,
        body: &[u8],
        session: Option<Session>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let request = LargeBlobsRequest::decode(body)?;
        let offset = usize::try_from(request.offset).map_err(|_| Status::INVALID_PARAMETER)?;
        let body = match (request.get, &request.set) {
            (Some(count), None) => self.read_blobs(&request, count, offset)?,
            (None, Some(piece)) => {
                self.write_blobs(&request, piece, session, now, rng)?;
                Vec::new()
            }
            _ => return Err(Status::INVALID_PARAMETER.into()),
        };
        Ok((body, Outcome::Answered))
    }

    fn read_blobs(
        &self,
        request: &LargeBlobsRequest,
        count: u64,
        offset: usize,
    ) -> Result<Vec<u8>, Failure> {
        let extra = (request.length, request.protocol, &request.pin_uv_auth_param);
        if extra != (None, None, &None) {
            return Err(Status::INVALID_PARAMETER.into());
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_PIECE);
        let count = count.ok_or(Status::INVALID_LENGTH)?;
        let array = self.store.large_blobs()?.unwrap_or_else(|| EMPTY.to_vec());
        let rest = array.get(offset..).ok_or(Status::INVALID_PARAMETER)?;
        Ok(large_blobs_response(rest.get(..count).unwrap_or(rest)))
    }

    fn write_blobs(
        &mut self,
        request: &LargeBlobsRequest,
        piece: &[u8],
        session: Option<Session>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), Failure> {
        if piece.len() > MAX_PIECE {
            return Err(Status::INVALID_LENGTH.into());
        }
        let mut write = begun(request, session)?;
        let offset = u32::try_from(request.offset).map_err(|_| Status::INVALID_PARAMETER)?;
        let param = request.pin_uv_auth_param.as_deref().ok_or(Status::PUAT_REQUIRED)?;
        let digest = Sha256::digest(piece).into();
        let message = LargeBlobsRequest::authenticated(offset, &digest);
        let proof = Proof { protocol: request.protocol, param, message: &message };
        self.tokens.check(proof, Permissions::LARGE_BLOBS, now)?;
        write.bytes.extend_from_slice(piece);
        match write.bytes.len().cmp(&write.length) {
            std::cmp::Ordering::Greater => Err(Status::INVALID_PARAMETER.into()),
            std::cmp::Ordering::Less => {
                self.session = Some(Session::Blobs(write));
                Ok(())
            }
            std::cmp::Ordering::Equal => {
                intact(&write.bytes)?;
                Ok(self.store.set_large_blobs(&write.bytes, rng)?)
            }
        }
    }
}

/// The write that this piece belongs to.
fn begun(request: &LargeBlobsRequest, session: Option<Session>) -> Result<Write, Status> {
    match (request.offset, request.length, session) {
        (0, Some(length), _) => {
            let length = usize::try_from(length).ok().filter(|length| *length <= MAX_ARRAY);
            let length = length.ok_or(Status::LARGE_BLOB_STORAGE_FULL)?;
            let long_enough = length >= EMPTY.len();
            long_enough
                .then_some(Write { length, bytes: Vec::new() })
                .ok_or(Status::INVALID_PARAMETER)
        }
        (0, None, _) | (_, Some(_), _) => Err(Status::INVALID_PARAMETER),
        (offset, None, Some(Session::Blobs(write))) if write.bytes.len() as u64 == offset => {
            Ok(write)
        }
        _ => Err(Status::INVALID_SEQ),
    }
}

fn intact(array: &[u8]) -> Result<(), Status> {
    let (content, hash) = array.split_last_chunk::<HASH>().ok_or(Status::INTEGRITY_FAILURE)?;
    let expected = Sha256::digest(content);
    if expected.starts_with(hash) { Ok(()) } else { Err(Status::INTEGRITY_FAILURE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_array_is_intact() {
        assert_eq!(intact(&EMPTY), Ok(()));
        assert_eq!(intact(&[0; 17]), Err(Status::INTEGRITY_FAILURE));
    }
}
