//! The status byte in front of every response.
//!
//! Depends on nothing of this crate.

use std::fmt;

/// One CTAP2 status byte; any value can come from a peer, so any value can be held.
///
/// `Debug` and `Display` give the specification's name and the number.
///
/// Specification: CTAP 2.2, section 8.2.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u8);

impl Status {
    /// The command succeeded.
    pub const OK: Self = Self(0x00);
    /// The command is not supported.
    pub const INVALID_COMMAND: Self = Self(0x01);
    /// A parameter is invalid.
    pub const INVALID_PARAMETER: Self = Self(0x02);
    /// The message or an item has the wrong length.
    pub const INVALID_LENGTH: Self = Self(0x03);
    /// A packet is out of sequence.
    pub const INVALID_SEQ: Self = Self(0x04);
    /// The message timed out.
    pub const TIMEOUT: Self = Self(0x05);
    /// The channel is busy.
    pub const CHANNEL_BUSY: Self = Self(0x06);
    /// The command needs a channel lock.
    pub const LOCK_REQUIRED: Self = Self(0x0a);
    /// The command is not allowed on this channel.
    pub const INVALID_CHANNEL: Self = Self(0x0b);
    /// A CBOR item has an unexpected type.
    pub const CBOR_UNEXPECTED_TYPE: Self = Self(0x11);
    /// The CBOR is invalid.
    pub const INVALID_CBOR: Self = Self(0x12);
    /// A required parameter is missing.
    pub const MISSING_PARAMETER: Self = Self(0x14);
    /// A limit for the number or size of items was exceeded.
    pub const LIMIT_EXCEEDED: Self = Self(0x15);
    /// The fingerprint database is full.
    pub const FP_DATABASE_FULL: Self = Self(0x17);
    /// The large-blob storage is full.
    pub const LARGE_BLOB_STORAGE_FULL: Self = Self(0x18);
    /// A passkey of the exclude list is already there.
    pub const CREDENTIAL_EXCLUDED: Self = Self(0x19);
    /// A lengthy operation is in progress.
    pub const PROCESSING: Self = Self(0x21);
    /// The credential is not valid for this authenticator.
    pub const INVALID_CREDENTIAL: Self = Self(0x22);
    /// A user interaction is pending.
    pub const USER_ACTION_PENDING: Self = Self(0x23);
    /// Another operation is pending.
    pub const OPERATION_PENDING: Self = Self(0x24);
    /// No operation is pending.
    pub const NO_OPERATIONS: Self = Self(0x25);
    /// No offered algorithm is supported.
    pub const UNSUPPORTED_ALGORITHM: Self = Self(0x26);
    /// The user declined.
    pub const OPERATION_DENIED: Self = Self(0x27);
    /// The passkey storage is full.
    pub const KEY_STORE_FULL: Self = Self(0x28);
    /// An option is not supported.
    pub const UNSUPPORTED_OPTION: Self = Self(0x2b);
    /// An option is not valid for the command.
    pub const INVALID_OPTION: Self = Self(0x2c);
    /// The command was cancelled.
    pub const KEEPALIVE_CANCEL: Self = Self(0x2d);
    /// There is no fitting passkey.
    pub const NO_CREDENTIALS: Self = Self(0x2e);
    /// The user did not answer in time.
    pub const USER_ACTION_TIMEOUT: Self = Self(0x2f);
    /// The command is not allowed now.
    pub const NOT_ALLOWED: Self = Self(0x30);
    /// The PIN is wrong.
    pub const PIN_INVALID: Self = Self(0x31);
    /// The PIN is blocked.
    pub const PIN_BLOCKED: Self = Self(0x32);
    /// The PIN authentication is wrong.
    pub const PIN_AUTH_INVALID: Self = Self(0x33);
    /// The PIN is blocked until the authenticator restarts.
    pub const PIN_AUTH_BLOCKED: Self = Self(0x34);
    /// No PIN is set.
    pub const PIN_NOT_SET: Self = Self(0x35);
    /// User verification is required.
    pub const PUAT_REQUIRED: Self = Self(0x36);
    /// The PIN does not meet the policy.
    pub const PIN_POLICY_VIOLATION: Self = Self(0x37);
    /// The request is too large.
    pub const REQUEST_TOO_LARGE: Self = Self(0x39);
    /// The current action timed out.
    pub const ACTION_TIMEOUT: Self = Self(0x3a);
    /// User presence is required.
    pub const UP_REQUIRED: Self = Self(0x3b);
    /// User verification is blocked.
    pub const UV_BLOCKED: Self = Self(0x3c);
    /// A checksum did not match.
    pub const INTEGRITY_FAILURE: Self = Self(0x3d);
    /// The subcommand is invalid.
    pub const INVALID_SUBCOMMAND: Self = Self(0x3e);
    /// User verification failed, another try is possible.
    pub const UV_INVALID: Self = Self(0x3f);
    /// The permission was not granted.
    pub const UNAUTHORIZED_PERMISSION: Self = Self(0x40);
    /// An unspecified error.
    pub const OTHER: Self = Self(0x7f);

    /// True for the one value that a body can follow.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The specification's name without prefix, such as `OPERATION_DENIED`; `UNNAMED` for a
    /// number that has none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OK => "OK",
            Self::INVALID_COMMAND => "INVALID_COMMAND",
            Self::INVALID_PARAMETER => "INVALID_PARAMETER",
            Self::INVALID_LENGTH => "INVALID_LENGTH",
            Self::INVALID_SEQ => "INVALID_SEQ",
            Self::TIMEOUT => "TIMEOUT",
            Self::CHANNEL_BUSY => "CHANNEL_BUSY",
            Self::LOCK_REQUIRED => "LOCK_REQUIRED",
            Self::INVALID_CHANNEL => "INVALID_CHANNEL",
            Self::CBOR_UNEXPECTED_TYPE => "CBOR_UNEXPECTED_TYPE",
            Self::INVALID_CBOR => "INVALID_CBOR",
            Self::MISSING_PARAMETER => "MISSING_PARAMETER",
            Self::LIMIT_EXCEEDED => "LIMIT_EXCEEDED",
            Self::FP_DATABASE_FULL => "FP_DATABASE_FULL",
            Self::LARGE_BLOB_STORAGE_FULL => "LARGE_BLOB_STORAGE_FULL",
            Self::CREDENTIAL_EXCLUDED => "CREDENTIAL_EXCLUDED",
            Self::PROCESSING => "PROCESSING",
            Self::INVALID_CREDENTIAL => "INVALID_CREDENTIAL",
            Self::USER_ACTION_PENDING => "USER_ACTION_PENDING",
            Self::OPERATION_PENDING => "OPERATION_PENDING",
            Self::NO_OPERATIONS => "NO_OPERATIONS",
            Self::UNSUPPORTED_ALGORITHM => "UNSUPPORTED_ALGORITHM",
            Self::OPERATION_DENIED => "OPERATION_DENIED",
            Self::KEY_STORE_FULL => "KEY_STORE_FULL",
            Self::UNSUPPORTED_OPTION => "UNSUPPORTED_OPTION",
            Self::INVALID_OPTION => "INVALID_OPTION",
            Self::KEEPALIVE_CANCEL => "KEEPALIVE_CANCEL",
            Self::NO_CREDENTIALS => "NO_CREDENTIALS",
            Self::USER_ACTION_TIMEOUT => "USER_ACTION_TIMEOUT",
            Self::NOT_ALLOWED => "NOT_ALLOWED",
            Self::PIN_INVALID => "PIN_INVALID",
            Self::PIN_BLOCKED => "PIN_BLOCKED",
            Self::PIN_AUTH_INVALID => "PIN_AUTH_INVALID",
            Self::PIN_AUTH_BLOCKED => "PIN_AUTH_BLOCKED",
            Self::PIN_NOT_SET => "PIN_NOT_SET",
            Self::PUAT_REQUIRED => "PUAT_REQUIRED",
            Self::PIN_POLICY_VIOLATION => "PIN_POLICY_VIOLATION",
            Self::REQUEST_TOO_LARGE => "REQUEST_TOO_LARGE",
            Self::ACTION_TIMEOUT => "ACTION_TIMEOUT",
            Self::UP_REQUIRED => "UP_REQUIRED",
            Self::UV_BLOCKED => "UV_BLOCKED",
            Self::INTEGRITY_FAILURE => "INTEGRITY_FAILURE",
            Self::INVALID_SUBCOMMAND => "INVALID_SUBCOMMAND",
            Self::UV_INVALID => "UV_INVALID",
            Self::UNAUTHORIZED_PERMISSION => "UNAUTHORIZED_PERMISSION",
            Self::OTHER => "OTHER",
            _ => "UNNAMED",
        }
    }

    /// What it means, in words for a sentence about a failure.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::OK => "the command succeeded",
            Self::INVALID_COMMAND => "the command is not supported",
            Self::INVALID_PARAMETER => "a parameter is invalid",
            Self::INVALID_LENGTH => "the message or an item has the wrong length",
            Self::INVALID_SEQ => "a packet is out of sequence",
            Self::TIMEOUT => "the message timed out",
            Self::CHANNEL_BUSY => "the channel is busy",
            Self::LOCK_REQUIRED => "the command needs a channel lock",
            Self::INVALID_CHANNEL => "the command is not allowed on this channel",
            Self::CBOR_UNEXPECTED_TYPE => "a CBOR item has an unexpected type",
            Self::INVALID_CBOR => "the CBOR is invalid",
            Self::MISSING_PARAMETER => "a required parameter is missing",
            Self::LIMIT_EXCEEDED => "a limit for the number or size of items was exceeded",
            Self::FP_DATABASE_FULL => "the fingerprint database is full",
            Self::LARGE_BLOB_STORAGE_FULL => "the large-blob storage is full",
            Self::CREDENTIAL_EXCLUDED => "a passkey of the exclude list is already there",
            Self::PROCESSING => "a lengthy operation is in progress",
            Self::INVALID_CREDENTIAL => "the credential is not valid for this authenticator",
            Self::USER_ACTION_PENDING => "a user interaction is pending",
            Self::OPERATION_PENDING => "another operation is pending",
            Self::NO_OPERATIONS => "no operation is pending",
            Self::UNSUPPORTED_ALGORITHM => "no offered algorithm is supported",
            Self::OPERATION_DENIED => "the user declined",
            Self::KEY_STORE_FULL => "the passkey storage is full",
            Self::UNSUPPORTED_OPTION => "an option is not supported",
            Self::INVALID_OPTION => "an option is not valid for the command",
            Self::KEEPALIVE_CANCEL => "the command was cancelled",
            Self::NO_CREDENTIALS => "there is no fitting passkey",
            Self::USER_ACTION_TIMEOUT => "the user did not answer in time",
            Self::NOT_ALLOWED => "the command is not allowed now",
            Self::PIN_INVALID => "the PIN is wrong",
            Self::PIN_BLOCKED => "the PIN is blocked",
            Self::PIN_AUTH_INVALID => "the PIN authentication is wrong",
            Self::PIN_AUTH_BLOCKED => "the PIN is blocked until the authenticator restarts",
            Self::PIN_NOT_SET => "no PIN is set",
            Self::PUAT_REQUIRED => "user verification is required",
            Self::PIN_POLICY_VIOLATION => "the PIN does not meet the policy",
            Self::REQUEST_TOO_LARGE => "the request is too large",
            Self::ACTION_TIMEOUT => "the current action timed out",
            Self::UP_REQUIRED => "user presence is required",
            Self::UV_BLOCKED => "user verification is blocked",
            Self::INTEGRITY_FAILURE => "a checksum did not match",
            Self::INVALID_SUBCOMMAND => "the subcommand is invalid",
            Self::UV_INVALID => "user verification failed, another try is possible",
            Self::UNAUTHORIZED_PERMISSION => "the permission was not granted",
            Self::OTHER => "an unspecified error",
            _ => "the authenticator gave a reason that has no name",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02x})", self.name(), self.0)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Status {}
