//! authenticatorClientPIN: request and response, and what a token may permit.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 6.5.5.

use std::fmt;

use super::cose::ECDH;
use super::read::{self, Fields, present};
use super::{Command, Error, Es256PublicKey, MAX_RP_ID, Status};
use crate::cbor::{self, Value};

/// What is asked of authenticatorClientPIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PinCommand {
    /// How many wrong PINs are left.
    GetPinRetries = 0x01,
    /// The authenticator's half of the key agreement.
    GetKeyAgreement = 0x02,
    /// A first PIN.
    SetPin = 0x03,
    /// Another PIN.
    ChangePin = 0x04,
    /// A token by PIN, as CTAP 2.0 had it.
    GetPinToken = 0x05,
    /// A token by the authenticator's own verification.
    GetTokenUsingUv = 0x06,
    /// How many failed verifications are left.
    GetUvRetries = 0x07,
    /// A token by PIN.
    GetTokenUsingPin = 0x09,
}

impl PinCommand {
    const ALL: [Self; 8] = [
        Self::GetPinRetries,
        Self::GetKeyAgreement,
        Self::SetPin,
        Self::ChangePin,
        Self::GetPinToken,
        Self::GetTokenUsingUv,
        Self::GetUvRetries,
        Self::GetTokenUsingPin,
    ];

    /// The command of that number.
    ///
    /// # Errors
    ///
    /// `INVALID_SUBCOMMAND`.
    pub fn from_number(number: u64) -> Result<Self, Status> {
        let found = Self::ALL.into_iter().find(|command| *command as u64 == number);
        found.ok_or(Status::INVALID_SUBCOMMAND)
    }
}

/// What a token is good for: a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(pub u8);

impl Permissions {
    /// Making passkeys.
    pub const MAKE_CREDENTIAL: Self = Self(0x01);
    /// Signing in.
    pub const GET_ASSERTION: Self = Self(0x02);
    /// Listing, renaming and deleting passkeys.
    pub const MANAGE: Self = Self(0x04);
    /// Fingerprints.
    pub const BIO: Self = Self(0x08);
    /// Writing large blobs.
    pub const LARGE_BLOBS: Self = Self(0x10);
    /// Settings.
    pub const CONFIG: Self = Self(0x20);

    /// Whether every bit of `other` is in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` as well.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that are in both.
    #[must_use]
    pub fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is permitted.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A request of authenticatorClientPIN.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientPinRequest {
    /// Number of the protocol.
    pub protocol: Option<u64>,
    /// Number of the subcommand; see [`PinCommand::from_number`].
    pub command: u64,
    /// The client's half of the key agreement; `None` too if it is not a key for that.
    pub key_agreement: Option<Es256PublicKey>,
    /// Authentication of what is encrypted.
    pub pin_uv_auth_param: Option<Vec<u8>>,
    /// The new PIN, padded and encrypted.
    pub new_pin_enc: Option<Vec<u8>>,
    /// The first half of the PIN's hash, encrypted.
    pub pin_hash_enc: Option<Vec<u8>>,
    /// Bits of [`Permissions`].
    pub permissions: Option<u64>,
    /// The relying party that the token is for.
    pub rp_id: Option<String>,
}

impl ClientPinRequest {
    /// A request without parameters.
    #[must_use]
    pub fn new(protocol: u64, command: PinCommand) -> Self {
        Self {
            protocol: Some(protocol),
            command: command as u64,
            key_agreement: None,
            pin_uv_auth_param: None,
            new_pin_enc: None,
            pin_hash_enc: None,
            permissions: None,
            rp_id: None,
        }
    }

    /// The whole message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.clone().map(Value::from);
        let body = Value::int_map(present([
            (1, self.protocol.map(Value::from)),
            (2, Some(Value::from(self.command))),
            (3, self.key_agreement.map(|key| key.to_value_for(ECDH))),
            (4, bytes(&self.pin_uv_auth_param)),
            (5, bytes(&self.new_pin_enc)),
            (6, bytes(&self.pin_hash_enc)),
            (9, self.permissions.map(Value::from)),
            (10, self.rp_id.clone().map(Value::from)),
        ]));
        read::message(Command::ClientPin, &body)
    }

    /// Reads what follows the command byte.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn decode(body: &[u8]) -> Result<Self, Status> {
        let value = read::strict(body)?;
        let fields = Fields::of(&value, "clientPIN")?;
        let key = fields.optional(3, "keyAgreement", read::value)?;
        let key = key.map(|key| Es256PublicKey::read_for(&key, ECDH));
        if key == Some(None) {
            return Err(Status::INVALID_PARAMETER);
        }
        Ok(Self {
            protocol: fields.optional(1, "pinUvAuthProtocol", read::uint)?,
            command: fields.required(2, "subCommand", read::uint)?,
            key_agreement: key.flatten(),
            pin_uv_auth_param: fields.optional(4, "pinUvAuthParam", read::bytes::<64>)?,
            new_pin_enc: fields.optional(5, "newPinEnc", read::bytes::<128>)?,
            pin_hash_enc: fields.optional(6, "pinHashEnc", read::bytes::<64>)?,
            permissions: fields.optional(9, "permissions", read::uint)?,
            rp_id: fields.optional(10, "rpId", read::text::<MAX_RP_ID>)?,
        })
    }
}

impl fmt::Debug for ClientPinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPinRequest")
            .field("protocol", &self.protocol)
            .field("command", &self.command)
            .field("permissions", &self.permissions)
            .field("rp_id", &self.rp_id)
            .finish_non_exhaustive()
    }
}

/// The answer of authenticatorClientPIN: the members that the subcommand has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientPinResponse {
    /// The authenticator's half of the key agreement.
    pub key_agreement: Option<Es256PublicKey>,
    /// A token, encrypted.
    pub token: Option<Vec<u8>>,
    /// Wrong PINs left.
    pub pin_retries: Option<u64>,
    /// No PIN is taken at present.
    pub power_cycle: Option<bool>,
    /// Failed verifications left.
    pub uv_retries: Option<u64>,
}

impl ClientPinResponse {
    /// The body behind the status byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map(present([
            (1, self.key_agreement.map(|key| key.to_value_for(ECDH))),
            (2, self.token.clone().map(Value::from)),
            (3, self.pin_retries.map(Value::from)),
            (4, self.power_cycle.map(Value::from)),
            (5, self.uv_retries.map(Value::from)),
        ])))
    }

    /// Reads what follows the status byte.
    ///
    /// # Errors
    ///
    /// Not CBOR, or a member of another type.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let value = read::lenient(body)?;
        let fields = Fields::of(&value, "clientPIN response")?;
        let key = fields.optional(1, "keyAgreement", read::value)?;
        Ok(Self {
            key_agreement: key.and_then(|key| Es256PublicKey::read_for(&key, ECDH)),
            token: fields.optional(2, "pinUvAuthToken", read::bytes::<128>)?,
            pin_retries: fields.optional(3, "pinRetries", read::uint)?,
            power_cycle: fields.optional(4, "powerCycleState", read::boolean)?,
            uv_retries: fields.optional(5, "uvRetries", read::uint)?,
        })
    }
}

impl fmt::Debug for ClientPinResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPinResponse")
            .field("pin_retries", &self.pin_retries)
            .field("power_cycle", &self.power_cycle)
            .field("uv_retries", &self.uv_retries)
            .finish_non_exhaustive()
    }
}
