//! COSE public keys: ES256 understood, others carried along.
//!
//! Depends on [`crate::cbor`] and p256 only. Specification: RFC 9052 section 7, RFC 9053 section 7.1.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::cbor::Value;

/// COSE number of ECDSA on P-256 with SHA-256.
pub const ES256: i64 = -7;

/// COSE number that key agreement keys carry (ECDH-ES with HKDF-256, though CTAP derives otherwise).
pub(super) const ECDH: i64 = -25;

/// A passkey's public key in authenticator data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CosePublicKey {
    /// ECDSA on P-256.
    Es256(Es256PublicKey),
    /// Any other kind, as it came.
    Other(Value),
}

impl CosePublicKey {
    /// The COSE algorithm number, if the key says one.
    #[must_use]
    pub fn algorithm(&self) -> Option<i64> {
        match self {
            Self::Es256(_) => Some(ES256),
            Self::Other(value) => value.get(3).and_then(Value::as_int),
        }
    }

    pub(super) fn read(value: Value) -> Self {
        Es256PublicKey::read(&value).map_or(Self::Other(value), Self::Es256)
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Es256(key) => key.to_value(),
            Self::Other(value) => value.clone(),
        }
    }
}

/// Affine coordinates of a P-256 point, big endian.
///
/// That it lies on the curve is not checked here; [`Self::verifies`] finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Es256PublicKey {
    /// The x coordinate.
    pub x: [u8; 32],
    /// The y coordinate.
    pub y: [u8; 32],
}

impl Es256PublicKey {
    /// From the 65 bytes 04, x, y; `None` for any other form.
    #[must_use]
    pub fn from_sec1(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        Some(Self { x: x.try_into().ok()?, y: y.try_into().ok()? })
    }

    /// The 65 bytes 04, x, y.
    #[must_use]
    pub fn to_sec1(self) -> Vec<u8> {
        [&[4], &self.x[..], &self.y[..]].concat()
    }

    /// SubjectPublicKeyInfo in DER, 91 bytes: what WebAuthn's `getPublicKey()` gives to a page.
    #[must_use]
    pub fn to_spki(self) -> Vec<u8> {
        const ID_EC_PUBLIC_KEY: [u8; 9] = [0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const SECP256R1: [u8; 10] = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        let header = [&[0x30, 0x59, 0x30, 0x13], &ID_EC_PUBLIC_KEY[..], &SECP256R1[..]].concat();
        [&header[..], &[0x03, 0x42, 0x00], &self.to_sec1()].concat()
    }

    /// Whether this is the signature, in DER, of that message with the private half.
    #[must_use]
    pub fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        let key = VerifyingKey::from_sec1_bytes(&self.to_sec1());
        let (Ok(key), Ok(signature)) = (key, Signature::from_der(signature)) else { return false };
        key.verify(message, &signature).is_ok()
    }

    fn read(value: &Value) -> Option<Self> {
        Self::read_for(value, ES256)
    }

    /// A key for that algorithm and no other.
    pub(super) fn read_for(value: &Value, algorithm: i64) -> Option<Self> {
        let member = |key| value.as_map()?.iter().find(|(k, _)| k.as_int() == Some(key));
        let number = |key| member(key).and_then(|(_, v)| v.as_int());
        let bytes = |key| member(key).and_then(|(_, v)| v.as_bytes()?.try_into().ok());
        let kind = (number(1), number(3), number(-1));
        let is_es256 = kind == (Some(2), Some(algorithm), Some(1));
        is_es256.then_some(Self { x: bytes(-2)?, y: bytes(-3)? })
    }

    fn to_value(self) -> Value {
        self.to_value_for(ES256)
    }

    pub(super) fn to_value_for(self, algorithm: i64) -> Value {
        Value::Map(vec![
            (Value::int(1), Value::int(2)),
            (Value::int(3), Value::int(algorithm)),
            (Value::int(-1), Value::int(1)),
            (Value::int(-2), Value::from(self.x)),
            (Value::int(-3), Value::from(self.y)),
        ])
    }
}
