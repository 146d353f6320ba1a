//! What a message asks for, as far as the order of things depends on it.
//!
//! Programs ask for a touch in ways that look like registrations: such a request is for choosing a
//! key, makes no passkey, and must not be shown as a site's. Depends on `ctap` only.

use crate::ctap::{Command, GetAssertionRequest, MakeCredentialRequest, Status};

/// SHA-256 of nothing, which OpenSSH signs when it asks for a touch.
const HASH_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// How a message is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the key can do: answered at once, always.
    Info,
    /// No command that there is: told so at once, too. fido2-token asks for some beside getInfo.
    Unknown(Status),
    /// Needs no user, and can wait until another request is answered.
    Quick,
    /// A touch, whatever it looks like.
    Touch,
    /// Needs the user, or changes something.
    User,
}

/// Sorts a message. A command that cannot be read is quick: whoever answers says what is wrong with it.
pub(crate) fn kind(message: &[u8]) -> Kind {
    match Command::split(message) {
        Ok((Command::GetInfo, [])) => Kind::Info,
        Ok((Command::MakeCredential, body)) => {
            MakeCredentialRequest::decode(body).map_or(Kind::Quick, |request| make(&request))
        }
        Ok((Command::GetAssertion, body)) => {
            GetAssertionRequest::decode(body).map_or(Kind::Quick, |request| get(&request))
        }
        Ok((Command::GetInfo | Command::GetNextAssertion, _)) => Kind::Quick,
        Err(status) => Kind::Unknown(status),
        Ok(_) => Kind::User,
    }
}

fn make(request: &MakeCredentialRequest) -> Kind {
    let openssh = request.rp.id == "localhost"
        && request.user.name.as_deref() == Some("dummy")
        && request.client_data_hash == HASH_OF_NOTHING;
    let dummy = matches!(request.rp.id.as_str(), "make.me.blink" | ".dummy");
    match dummy || openssh || is_empty(&request.pin_uv_auth_param) {
        true => Kind::Touch,
        false => Kind::User,
    }
}

fn get(request: &GetAssertionRequest) -> Kind {
    let options = &request.options;
    match (options.up, options.uv) {
        _ if is_empty(&request.pin_uv_auth_param) => Kind::Touch,
        (Some(false), None | Some(false)) => Kind::Quick,
        _ => Kind::User,
    }
}

fn is_empty(param: &Option<Vec<u8>>) -> bool {
    param.as_ref().is_some_and(Vec::is_empty)
}
