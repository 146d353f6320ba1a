//! Authenticator data: the bytes that a passkey signs.
//!
//! Depends on [`crate::cbor`] and the sibling `cose` only. Specification: WebAuthn, section 6.1.

use super::{CosePublicKey, Error, MAX_CREDENTIAL_ID};
use crate::cbor::{self, Value};

/// The flag byte of authenticator data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// UP: the user was present.
    pub const USER_PRESENT: Self = Self(0x01);
    /// UV: the user was verified.
    pub const USER_VERIFIED: Self = Self(0x04);
    /// BE: the passkey may be backed up.
    pub const BACKUP_ELIGIBLE: Self = Self(0x08);
    /// BS: the passkey is backed up now.
    pub const BACKED_UP: Self = Self(0x10);
    /// AT: attested credential data follows. Set by [`AuthenticatorData::encode`].
    pub const ATTESTED: Self = Self(0x40);
    /// ED: extension outputs follow. Set by [`AuthenticatorData::encode`].
    pub const EXTENSIONS: Self = Self(0x80);

    /// Whether every flag of `other` is set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the flags of `other` set or cleared.
    #[must_use]
    pub fn with(self, other: Self, set: bool) -> Self {
        if set { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A new passkey inside authenticator data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedCredential {
    /// Make of the authenticator.
    pub aaguid: [u8; 16],
    /// Credential id, at most [`MAX_CREDENTIAL_ID`] bytes.
    pub id: Vec<u8>,
    /// Public half.
    pub public_key: CosePublicKey,
}

/// Authenticator data taken apart.
///
/// Verify signatures over the bytes that came, never over a re-encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// SHA-256 of the rp id.
    pub rp_id_hash: [u8; 32],
    /// Flags; AT and ED follow from the members below when encoding.
    pub flags: Flags,
    /// Signature counter; 0 for ever means that there is none.
    pub sign_count: u32,
    /// The new passkey, in a registration.
    pub attested: Option<AttestedCredential>,
    /// Signed extension outputs.
    pub extensions: Option<Value>,
}

impl AuthenticatorData {
    /// The bytes to sign. An id beyond 65,535 bytes is cut, which no caller of this crate has.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let flags = self.flags.with(Flags::ATTESTED, self.attested.is_some());
        let flags = flags.with(Flags::EXTENSIONS, self.extensions.is_some());
        let mut out = self.rp_id_hash.to_vec();
        out.push(flags.0);
        out.extend(self.sign_count.to_be_bytes());
        if let Some(attested) = &self.attested {
            attested.encode_into(&mut out);
        }
        if let Some(extensions) = &self.extensions {
            out.extend(cbor::encode(extensions));
        }
        out
    }

    /// Takes the bytes apart.
    ///
    /// # Errors
    ///
    /// Cut short, bytes behind the end, a credential id that is too long, or invalid CBOR.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (rp_id_hash, rest) = split(bytes)?;
        let ([flags], rest) = split(rest)?;
        let (sign_count, rest) = split(rest)?;
        let flags = Flags(flags);
        let (attested, rest) = match flags.contains(Flags::ATTESTED) {
            true => AttestedCredential::decode(rest).map(|(a, rest)| (Some(a), rest))?,
            false => (None, rest),
        };
        let (extensions, rest) = match flags.contains(Flags::EXTENSIONS) {
            true => cbor::decode_prefix(rest).map(|(e, rest)| (Some(e), rest))?,
            false => (None, rest),
        };
        if !rest.is_empty() {
            return Err(Error::AuthenticatorData);
        }
        let sign_count = u32::from_be_bytes(sign_count);
        Ok(Self { rp_id_hash, flags, sign_count, attested, extensions })
    }
}

impl AttestedCredential {
    fn encode_into(&self, out: &mut Vec<u8>) {
        let len = u16::try_from(self.id.len()).unwrap_or(u16::MAX);
        out.extend(self.aaguid);
        out.extend(len.to_be_bytes());
        out.extend(self.id.iter().take(len.into()));
        out.extend(cbor::encode(&self.public_key.to_value()));
    }

    fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (aaguid, rest) = split(bytes)?;
        let (len, rest) = split(rest)?;
        let len = usize::from(u16::from_be_bytes(len));
        if len > MAX_CREDENTIAL_ID {
            return Err(Error::TooLong { field: "credential id" });
        }
        let (id, rest) = rest.split_at_checked(len).ok_or(Error::AuthenticatorData)?;
        let (key, rest) = cbor::decode_prefix(rest)?;
        Ok((Self { aaguid, id: id.to_vec(), public_key: CosePublicKey::read(key) }, rest))
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Error> {
    let (head, rest) = bytes.split_first_chunk().ok_or(Error::AuthenticatorData)?;
    Ok((*head, rest))
}
