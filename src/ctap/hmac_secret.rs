//! The input of the `hmac-secret` extension at sign-in.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 12.5.

use super::cose::ECDH;
use super::read::{self, Fields, present};
use super::{Es256PublicKey, Status};
use crate::cbor::Value;

/// One or two salts, encrypted under a secret that client and authenticator share.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacSecretInput {
    /// The client's half of the key agreement.
    pub key_agreement: Es256PublicKey,
    /// The salts, encrypted.
    pub salt_enc: Vec<u8>,
    /// Authentication of `salt_enc`.
    pub salt_auth: Vec<u8>,
    /// Number of the protocol; 1 where the client says none.
    pub protocol: Option<u64>,
}

impl HmacSecretInput {
    /// The extension's value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::int_map(present([
            (1, Some(self.key_agreement.to_value_for(ECDH))),
            (2, Some(Value::from(self.salt_enc.as_slice()))),
            (3, Some(Value::from(self.salt_auth.as_slice()))),
            (4, self.protocol.map(Value::from)),
        ]))
    }

    /// Reads the extension's value.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn read(value: &Value) -> Result<Self, Status> {
        let fields = Fields::of(value, "hmac-secret")?;
        let key = fields.required(1, "keyAgreement", read::value)?;
        Ok(Self {
            key_agreement: Es256PublicKey::read_for(&key, ECDH).ok_or(Status::INVALID_PARAMETER)?,
            salt_enc: fields.required(2, "saltEnc", read::bytes::<80>)?,
            salt_auth: fields.required(3, "saltAuth", read::bytes::<32>)?,
            protocol: fields.optional(4, "pinUvAuthProtocol", read::uint)?,
        })
    }
}

impl std::fmt::Debug for HmacSecretInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HmacSecretInput").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}
