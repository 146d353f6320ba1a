//! CTAP2 messages, both directions of each: a pure codec.
//!
//! A message is a [`Command`] byte and a CBOR map, a response a [`Status`] byte and a CBOR map.
//! Requests come from a laptop nobody vouches for, and fail with the status to answer; responses come
//! from deployed phones, and fail with an [`Error`]. Some of both are not canonical and are read all the
//! same: Firefox says `uv` before `up` when it asks for a signature. Where a token authenticates the bytes of a
//! request, they have to be canonical. Whatever is signed (authenticator data) stays the bytes that came.
//! Depends on [`crate::cbor`] only.
//!
//! | file | CTAP 2.2 section |
//! |---|---|
//! | `make_credential`, `get_assertion`, `get_info` | 6.1, 6.2 with 6.3, 6.4 |
//! | `authenticator_data`, `cose` | WebAuthn 6.1, RFC 9053 |
//! | `client_pin`, `pin_protocol` | 6.5 |
//! | `credential_management`, `large_blobs` | 6.8, 6.10 |
//! | `hmac_secret` | 12.5 |
//! | `entities` | 6.1, parameters shared by requests |
//! | `program_key` | 6.1, 6.2: requests of programs that are no web sites |
//! | `command`, `status` | 8.1, 8.2 |
//! | `hid` | 11.2 |

mod authenticator_data;
mod client_pin;
mod command;
mod cose;
mod credential_management;
mod entities;
mod get_assertion;
mod get_info;
pub mod hid;
mod hmac_secret;
mod large_blobs;
mod make_credential;
mod pin_protocol;
mod program_key;
mod read;
mod status;

pub use authenticator_data::{AttestedCredential, AuthenticatorData, Flags};
pub use client_pin::{ClientPinRequest, ClientPinResponse, Permissions, PinCommand};
pub use command::{Command, respond, split_response};
pub use cose::{CosePublicKey, ES256, Es256PublicKey};
pub use credential_management::{ManageCommand, ManageParams, ManageRequest, ManageResponse};
pub use entities::{
    CredentialDescriptor, CredentialParameters, Options, PUBLIC_KEY, RpEntity, UserEntity,
};
pub use get_assertion::{GetAssertionRequest, GetAssertionResponse};
pub use get_info::GetInfo;
pub use hmac_secret::HmacSecretInput;
pub use large_blobs::{LargeBlobsRequest, large_blobs_response};
pub use make_credential::{MakeCredentialRequest, MakeCredentialResponse};
pub use pin_protocol::{AgreementKey, PinProtocol, SharedSecret, TOKEN_LEN, authenticate_matches};
pub use program_key::NewKey;
pub use status::Status;

use crate::cbor;

/// Entries that any list of a message may have.
pub const MAX_LIST: usize = 256;
/// Bytes of a credential id; the limit that WebAuthn gives.
pub const MAX_CREDENTIAL_ID: usize = 1023;
/// Bytes of a user id; the limit that WebAuthn gives. At least one byte is needed.
pub const MAX_USER_ID: usize = 64;
/// Bytes of an rp id: more than any domain name has.
pub const MAX_RP_ID: usize = 255;
/// Bytes of a name shown to people, and of identifiers such as a credential type.
pub const MAX_TEXT: usize = 4096;
/// Bytes of a whole message, either direction: the limit of deployed clients.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Why bytes are not the CTAP2 item they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is not even a status byte.
    #[error("the CTAP message is empty")]
    Empty,
    /// The message is longer than [`MAX_MESSAGE`].
    #[error("the CTAP message is longer than {MAX_MESSAGE} bytes")]
    MessageTooLong,
    /// Not CBOR, or not in the form asked for.
    #[error("the CTAP message is not valid CBOR")]
    Cbor(#[from] cbor::Error),
    /// A member has another CBOR type than it should.
    #[error("{field} has the wrong type")]
    WrongType {
        /// The member's name in the specification.
        field: &'static str,
    },
    /// A member that is required is not there.
    #[error("{field} is missing")]
    Missing {
        /// The member's name in the specification.
        field: &'static str,
    },
    /// A member of fixed size, or one that may not be empty, has another size.
    #[error("{field} has the wrong length")]
    WrongLength {
        /// The member's name in the specification.
        field: &'static str,
    },
    /// A member is longer than this crate takes.
    #[error("{field} is too long")]
    TooLong {
        /// The member's name in the specification.
        field: &'static str,
    },
    /// Authenticator data is cut short, or bytes follow it.
    #[error("authenticator data does not have the length that it announces")]
    AuthenticatorData,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Empty | Error::WrongLength { .. } => Self::INVALID_LENGTH,
            Error::MessageTooLong => Self::REQUEST_TOO_LARGE,
            Error::Cbor(_) => Self::INVALID_CBOR,
            Error::WrongType { .. } => Self::CBOR_UNEXPECTED_TYPE,
            Error::Missing { .. } => Self::MISSING_PARAMETER,
            Error::TooLong { .. } => Self::LIMIT_EXCEEDED,
            Error::AuthenticatorData => Self::INVALID_PARAMETER,
        }
    }
}

#[cfg(test)]
mod tests;
