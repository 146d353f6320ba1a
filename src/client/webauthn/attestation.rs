//! How much of the phone's attestation the relying party gets to see.
//!
//! Depends on [`crate::ctap`], [`crate::cbor`]. Specification: WebAuthn Level 3, sections 5.1.3
//! (last steps) and 5.4.7.

use crate::cbor::{self, Value};
use crate::ctap::{AttestedCredential, MakeCredentialResponse};

/// The relying party's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conveyance {
    /// The statement is dropped.
    None,
    /// The statement passes untouched.
    Direct,
}

impl Conveyance {
    /// Unknown values count as `none`. `indirect` would allow us to anonymise, but does not ask for
    /// it; `enterprise` without an agreement is `direct`.
    pub(super) fn new(preference: Option<&str>) -> Self {
        match preference {
            Some("direct" | "indirect" | "enterprise") => Self::Direct,
            _ => Self::None,
        }
    }

    /// The attestation object in CTAP2 canonical CBOR; the authenticator data in it is the phone's,
    /// byte for byte.
    ///
    /// The AAGUID stays in either case, as Level 3 has it: it tells the make, not the device.
    pub(super) fn object(
        self,
        response: &MakeCredentialResponse,
        passkey: &AttestedCredential,
    ) -> Vec<u8> {
        let keep = self == Self::Direct || is_self_attestation(response, passkey);
        let (fmt, statement) = match keep {
            true => (&response.fmt[..], response.att_stmt.clone()),
            false => ("none", Value::Map(Vec::new())),
        };
        cbor::encode(&Value::text_map([
            ("fmt", Value::from(fmt)),
            ("attStmt", statement),
            ("authData", Value::from(&response.auth_data[..])),
        ]))
    }
}

/// A statement signed by the passkey itself says nothing about the phone.
fn is_self_attestation(response: &MakeCredentialResponse, passkey: &AttestedCredential) -> bool {
    let anonymous = passkey.aaguid == [0; 16];
    anonymous && response.fmt == "packed" && response.att_stmt.get_text("x5c").is_none()
}
