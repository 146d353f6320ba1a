//! authenticatorLargeBlobs: request and response.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 6.10.

use super::read::{self, Fields, present};
use super::{Command, MAX_MESSAGE, Status};
use crate::cbor::{self, Value};

/// A request of authenticatorLargeBlobs: reads or writes a piece of the array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LargeBlobsRequest {
    /// Bytes to read.
    pub get: Option<u64>,
    /// Bytes to write.
    pub set: Option<Vec<u8>>,
    /// Where the piece begins.
    pub offset: u64,
    /// Bytes of the whole array, in the first write.
    pub length: Option<u64>,
    /// Proof of a token, for a write.
    pub pin_uv_auth_param: Option<Vec<u8>>,
    /// Number of the protocol.
    pub protocol: Option<u64>,
}

impl LargeBlobsRequest {
    /// The whole message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = Value::int_map(present([
            (1, self.get.map(Value::from)),
            (2, self.set.clone().map(Value::from)),
            (3, Some(Value::from(self.offset))),
            (4, self.length.map(Value::from)),
            (5, self.pin_uv_auth_param.clone().map(Value::from)),
            (6, self.protocol.map(Value::from)),
        ]));
        read::message(Command::LargeBlobs, &body)
    }

    /// Reads what follows the command byte.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn decode(body: &[u8]) -> Result<Self, Status> {
        let value = read::strict(body)?;
        let fields = Fields::of(&value, "largeBlobs")?;
        // The specification has a status of its own for this.
        if value.get(3).is_none() {
            return Err(Status::INVALID_PARAMETER);
        }
        Ok(Self {
            get: fields.optional(1, "get", read::uint)?,
            set: fields.optional(2, "set", read::bytes::<MAX_MESSAGE>)?,
            offset: fields.required(3, "offset", read::uint)?,
            length: fields.optional(4, "length", read::uint)?,
            pin_uv_auth_param: fields.optional(5, "pinUvAuthParam", read::bytes::<64>)?,
            protocol: fields.optional(6, "pinUvAuthProtocol", read::uint)?,
        })
    }

    /// What a token authenticates in a write of `piece` at `offset`; `digest` is the SHA-256 of it.
    #[must_use]
    pub fn authenticated(offset: u32, digest: &[u8; 32]) -> Vec<u8> {
        let command = [Command::LargeBlobs as u8, 0];
        [&[0xff; 32], &command[..], &offset.to_le_bytes(), digest].concat()
    }
}

/// The body behind the status byte of a read.
#[must_use]
pub fn large_blobs_response(piece: &[u8]) -> Vec<u8> {
    cbor::encode(&Value::int_map([(1, Value::from(piece))]))
}
