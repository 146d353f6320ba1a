//! Remarks about a request that is carried out all the same. Depends on nothing of this crate.

use std::fmt;
use std::time::Duration;

/// Something that the relying party or the user may want to know, but that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The challenge has fewer bytes than the 16 that WebAuthn asks for.
    ShortChallenge(usize),
    /// The timeout asked for is outside of what WebAuthn recommends.
    Timeout {
        /// What the relying party asked for.
        asked: Duration,
        /// What is used.
        used: Duration,
    },
    /// `hints` names other kinds of authenticators only.
    HintsWithoutHybrid,
    /// Every passkey in the allow list was last reached in a way that a phone is not.
    TransportsWithoutHybrid,
    /// `enterprise` attestation is a matter between an organisation and its devices.
    EnterpriseAttestation,
    /// The phone does not list an extension that the relying party would like.
    ExtensionUnsupported(&'static str),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortChallenge(len) => {
                write!(f, "the challenge has {len} bytes, WebAuthn asks for 16 or more")
            }
            Self::Timeout { asked, used } => write!(
                f,
                "the timeout of {} s becomes {} s, there is a phone to fetch",
                asked.as_secs(),
                used.as_secs()
            ),
            Self::HintsWithoutHybrid => {
                f.write_str("the relying party's hints do not name phones (\"hybrid\")")
            }
            Self::TransportsWithoutHybrid => {
                f.write_str("none of the passkeys asked for is known to be on a phone")
            }
            Self::EnterpriseAttestation => {
                f.write_str("enterprise attestation is treated as direct attestation")
            }
            Self::ExtensionUnsupported(name) => {
                write!(f, "the phone does not support the extension {name}")
            }
        }
    }
}
