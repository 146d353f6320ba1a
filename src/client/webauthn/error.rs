//! What goes wrong between a relying party and a phone, sorted by who is to blame.
//!
//! Each error also has the name of the `DOMException` that a browser would give to the page.
//! Depends on [`crate::ctap`] only.

use crate::ctap::{self, Status};

/// Why a registration or a sign-in did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The relying party's options are wrong.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The web site may not use this relying party id, or no passkeys at all.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The phone cannot do what the relying party insists on. Nothing was sent to it.
    #[error(transparent)]
    Unsuitable(#[from] Unsuitable),
    /// The phone said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The phone's answer is not a valid one.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Error {
    /// The name of the `DOMException` (or `TypeError`) that a browser throws in this case.
    #[must_use]
    pub fn web_authn_name(&self) -> &'static str {
        match self {
            Self::Options(error) => error.web_authn_name(),
            Self::Origin(_) => "SecurityError",
            Self::Unsuitable(_) | Self::Answer(_) => "NotAllowedError",
            Self::Refused(refusal) => refusal.web_authn_name(),
        }
    }
}

/// What is wrong with the relying party's options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// Not JSON, or a member is missing or has the wrong type.
    #[error("the relying party's options are not what WebAuthn defines")]
    Json(#[from] serde_json::Error),
    /// The account's handle is empty or too long.
    #[error("user.id has {0} bytes, WebAuthn allows 1 to 64")]
    UserId(usize),
    /// Only authenticators built into this device are wanted.
    #[error("the relying party wants a passkey on this device itself, not on a phone")]
    PlatformOnly,
    /// Algorithms are listed, but none for public keys.
    #[error("pubKeyCredParams has no entry of type public-key")]
    NoAlgorithm,
    /// Passkeys are listed, but none that can be one.
    #[error("allowCredentials has no entry of type public-key")]
    NoAllowedCredential,
    /// A credential id is empty or longer than WebAuthn allows.
    #[error("a credential id has {0} bytes, WebAuthn allows 1 to 1023")]
    CredentialId(usize),
    /// The protection policy is none that exists.
    #[error("credentialProtectionPolicy is none of the values that CTAP defines")]
    ProtectionPolicy,
    /// `evalByCredential` is for sign-in, and there for passkeys in the allow list.
    #[error("prf.evalByCredential needs a sign-in with allowCredentials")]
    PrfByCredential,
    /// A key of `evalByCredential` is no credential id of the allow list, or another spelling of one
    /// that is there already.
    #[error("prf.evalByCredential has a key that is not in allowCredentials, or one of them twice")]
    PrfKey,
    /// Members of `largeBlob` that exclude each other, or belong to the other ceremony.
    #[error("largeBlob has members that do not fit this ceremony or each other")]
    LargeBlob,
}

impl OptionsError {
    fn web_authn_name(&self) -> &'static str {
        match self {
            Self::Json(_) | Self::UserId(_) | Self::ProtectionPolicy => "TypeError",
            Self::PlatformOnly | Self::NoAllowedCredential | Self::CredentialId(_) => {
                "NotAllowedError"
            }
            Self::NoAlgorithm | Self::PrfByCredential | Self::LargeBlob => "NotSupportedError",
            Self::PrfKey => "SyntaxError",
        }
    }
}

/// Why an origin is none, or may not use a relying party id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Not even a URL.
    #[error("the origin is not a URL")]
    NotAnOrigin(#[source] url::ParseError),
    /// User name, path, query or fragment.
    #[error("an origin is scheme, host and port, nothing else")]
    MoreThanAnOrigin,
    /// Not https, and not http on this machine.
    #[error("the origin is neither https nor http on localhost")]
    Insecure,
    /// Passkeys belong to names.
    #[error("{0} is an IP address, and passkeys are bound to domain names")]
    IpAddress(String),
    /// Not a domain in its canonical spelling.
    #[error("the relying party id {0:?} is not a domain name in lower case")]
    NotADomain(String),
    /// Unrelated sites share it.
    #[error("the relying party id {0} is a public suffix, shared by unrelated sites")]
    PublicSuffix(String),
    /// A domain of somebody else.
    #[error("the relying party id {rp_id} is neither {host} nor a parent domain of it")]
    Unrelated {
        /// The relying party id of the options.
        rp_id: String,
        /// The origin's host.
        host: String,
    },
}

/// What the phone cannot do, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsuitable {
    /// `userVerification: required`.
    #[error("the relying party requires user verification, which the phone does not offer")]
    UserVerification,
    /// `residentKey: required`.
    #[error("the relying party requires a discoverable passkey, which the phone does not offer")]
    ResidentKey,
    /// `enforceCredentialProtectionPolicy`.
    #[error("the relying party enforces credProtect, which the phone does not support")]
    CredProtect,
    /// `largeBlob.support: required`.
    #[error("the relying party requires largeBlob, which the phone does not support")]
    LargeBlob,
}

/// The status other than success that the phone answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} ({})", self.words(), status.name())]
pub struct Refusal {
    /// The CTAP status.
    pub status: Status,
}

impl Refusal {
    /// The name of the `DOMException` that a browser throws in this case.
    #[must_use]
    pub fn web_authn_name(&self) -> &'static str {
        match self.status {
            Status::CREDENTIAL_EXCLUDED => "InvalidStateError",
            Status::UNSUPPORTED_ALGORITHM => "NotSupportedError",
            _ => "NotAllowedError",
        }
    }

    /// What happened, in words for the person with the phone.
    #[must_use]
    pub fn words(&self) -> &'static str {
        match self.status {
            Status::CREDENTIAL_EXCLUDED => "this phone already has a passkey for this account",
            Status::UNSUPPORTED_ALGORITHM => "the phone supports none of the requested algorithms",
            Status::OPERATION_DENIED | Status::NOT_ALLOWED => {
                "the request was declined on the phone"
            }
            Status::KEEPALIVE_CANCEL => "the request was cancelled on the phone",
            Status::NO_CREDENTIALS | Status::INVALID_CREDENTIAL => {
                "this phone has no passkey for this site and account"
            }
            Status::USER_ACTION_TIMEOUT | Status::ACTION_TIMEOUT | Status::TIMEOUT => {
                "nobody answered on the phone in time"
            }
            Status::KEY_STORE_FULL => "the phone has no room for another passkey",
            Status::PIN_INVALID
            | Status::PIN_AUTH_INVALID
            | Status::UV_INVALID
            | Status::PUAT_REQUIRED => "the phone could not verify its user",
            Status::PIN_BLOCKED | Status::PIN_AUTH_BLOCKED | Status::UV_BLOCKED => {
                "the phone has blocked user verification after too many attempts"
            }
            Status::PIN_NOT_SET => "the phone has no screen lock or PIN to verify its user with",
            Status::UNSUPPORTED_OPTION | Status::INVALID_OPTION => {
                "the phone does not support an option of the request"
            }
            Status::REQUEST_TOO_LARGE | Status::LIMIT_EXCEEDED => {
                "the request is too large for the phone"
            }
            _ => "the phone could not carry out the request",
        }
    }
}

/// What is wrong with the phone's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Not the CTAP2 response it should be.
    #[error("the phone's answer cannot be read")]
    Malformed(#[from] ctap::Error),
    /// Made for another site.
    #[error("the phone's answer is for another relying party")]
    WrongRelyingParty,
    /// The user-present flag is missing.
    #[error("the phone's answer does not say that its user was present")]
    UserNotPresent,
    /// The user-verified flag is missing though required.
    #[error("the phone's answer does not say that its user was verified")]
    UserNotVerified,
    /// A registration without a passkey.
    #[error("the phone's answer has no new passkey in it")]
    NoPasskey,
    /// A sign-in with a new passkey.
    #[error("the phone's answer to a sign-in has a new passkey in it")]
    UnexpectedPasskey,
    /// A credential id is empty or too long.
    #[error("the phone's credential id has {0} bytes, WebAuthn allows 1 to 1023")]
    CredentialId(usize),
    /// A key of an algorithm that nobody asked for, or of none.
    #[error("the phone's passkey has an algorithm that was not asked for")]
    Algorithm,
    /// A key that is not on its curve.
    #[error("the phone's public key is not a valid one")]
    PublicKey,
    /// A passkey that is not in the allow list.
    #[error("the phone signed with a passkey that was not asked for")]
    NotAllowed,
    /// The answer does not say which passkey signed.
    #[error("the phone's answer does not say which passkey signed")]
    NoCredential,
    /// A discoverable sign-in must name the account.
    #[error("the phone's answer does not say which account signs in")]
    NoUser,
    /// The signature is empty.
    #[error("the phone's answer has no signature")]
    NoSignature,
    /// Accounts without end.
    #[error("the phone announces {0} accounts, which is more than a person can choose from")]
    TooManyAccounts(u64),
    /// An extension output of the wrong form.
    #[error("the phone's output of the extension {0} is not a valid one")]
    Extension(&'static str),
    /// No answer yet, or a choice that was not offered.
    #[error("there is no such account to choose")]
    NoSuchAccount,
}
