//! A passkey on a phone for a program of this machine that is no web site: what is asked, and what of
//! the reply is kept.

use rand_core::RngCore as _;

use super::failure::{Failure, Status};
use super::{advice, system};
use crate::client::webauthn::{Error, Refusal};
use crate::ctap::{
    AuthenticatorData, CosePublicKey, Es256PublicKey, GetInfo, MAX_RP_ID, MakeCredentialResponse,
    NewKey, split_response,
};

/// What is asked of the phone.
pub(super) struct Wanted<'a>(pub(super) NewKey<'a>);

/// What the phone made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: Vec<u8>,
    pub(super) public: Es256PublicKey,
}

/// An account's handle that names nobody. Phones keep one passkey for an account, whatever they are
/// asked for: with a handle of its own no key takes the place of another.
pub(super) fn nobody() -> Vec<u8> {
    random().to_vec()
}

pub(super) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    system::random().fill_bytes(&mut bytes);
    bytes
}

/// Whether this can be the name of what a passkey is for.
pub(super) fn is_rp_id(text: &str) -> bool {
    text.len() <= MAX_RP_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Wanted<'_> {
    /// The message for a phone that can do this much.
    pub(super) fn message(&self, info: &GetInfo) -> Vec<u8> {
        // There is no client data: nobody looks at the attestation that would sign it.
        self.0.request(info, random()).encode()
    }

    /// What the reply says, if it is an answer to this.
    pub(super) fn read(&self, reply: &[u8]) -> Result<Made, Failure> {
        let (status, body) = split_response(reply).map_err(|error| broken(&error.to_string()))?;
        if !status.is_ok() {
            return Err(advice::webauthn(&Error::from(Refusal { status })));
        }
        let data = MakeCredentialResponse::decode(body)
            .and_then(|response| AuthenticatorData::decode(&response.auth_data))
            .map_err(|error| broken(&error.to_string()))?;
        if !data.is_for(self.0.rp_id) {
            return Err(broken("the phone answered for something else"));
        }
        if !data.is_verified_for(self.0.verification) {
            let error = "the phone did not verify who is there, as --verify-required wants";
            let hint = "set up a screen lock on the phone, or leave out --verify-required";
            return Err(Failure::new(Status::Refused, error, hint));
        }
        match data.attested.map(|made| (made.id, made.public_key)) {
            Some((id, CosePublicKey::Es256(public))) if !id.is_empty() => Ok(Made { id, public }),
            _ => Err(broken("the phone's answer has no key of ECDSA with P-256")),
        }
    }
}

pub(super) fn broken(error: &str) -> Failure {
    let hint = "try again; if it stays, the phone's software is to blame";
    Failure::new(Status::Protocol, error, hint)
}

/// The name of this machine; `localhost` where it has none.
pub(super) fn machine() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The name that whoever logged in has.
pub(super) fn login() -> Option<String> {
    ["USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok()).find(|n| !n.is_empty())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::cbor::Value;
    use crate::ctap::{AttestedCredential, Flags, MakeCredentialRequest, Status as Ctap, respond};

    const PUBLIC: Es256PublicKey = Es256PublicKey { x: [1; 32], y: [2; 32] };

    fn wanted(resident: bool, verification: bool) -> Wanted<'static> {
        let (user_id, user_name) = (nobody(), "openssh");
        Wanted(NewKey { rp_id: "ssh:", user_id, user_name, resident, verification })
    }

    fn reply(rp_id: &str, flags: Flags, public_key: CosePublicKey) -> Vec<u8> {
        let attested = AttestedCredential { aaguid: [0; 16], id: vec![3; 16], public_key };
        let data = AuthenticatorData {
            rp_id_hash: Sha256::digest(rp_id).into(),
            flags,
            sign_count: 0,
            attested: Some(attested),
            extensions: None,
        };
        let response = MakeCredentialResponse {
            fmt: "none".to_owned(),
            auth_data: data.encode(),
            att_stmt: Value::Map(vec![]),
            ep_att: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        respond(Ok(response.encode()))
    }

    #[test]
    fn only_what_the_phone_can_do_is_asked() {
        let mut info = GetInfo::default();
        let asked = |wanted: Wanted<'_>, info: &GetInfo| {
            let message = wanted.message(info);
            let request = MakeCredentialRequest::decode(&message[1..]).unwrap();
            (request.extensions, request.options.rk, request.options.uv)
        };
        assert_eq!(asked(wanted(true, true), &info), (vec![], Some(true), None));
        info.extensions.push("credProtect".to_owned());
        info.options.push(("uv".to_owned(), true));
        let level = |level| vec![("credProtect".to_owned(), Value::int(level))];
        assert_eq!(asked(wanted(true, true), &info), (level(3), Some(true), Some(true)));
        assert_eq!(asked(wanted(true, false), &info), (level(2), Some(true), None));
        assert_eq!(asked(wanted(false, false), &info), (vec![], None, None));
    }

    #[test]
    fn only_an_answer_to_the_question_is_taken() {
        let key = || CosePublicKey::Es256(PUBLIC);
        let present = Flags::USER_PRESENT;
        let plain = wanted(false, false);
        let made = plain.read(&reply("ssh:", present, key())).unwrap();
        assert_eq!((made.id, made.public), (vec![3; 16], PUBLIC));
        let verified = reply("ssh:", present | Flags::USER_VERIFIED, key());
        wanted(false, true).read(&verified).unwrap();

        let failed = |wanted: Wanted<'_>, reply: &[u8]| wanted.read(reply).unwrap_err().status;
        let other = CosePublicKey::Other(Value::Map(vec![]));
        assert_eq!(failed(wanted(false, true), &reply("ssh:", present, key())), Status::Refused);
        assert_eq!(failed(wanted(false, false), &[Ctap::OPERATION_DENIED.0]), Status::Refused);
        for wrong in
            [reply("ssh:x", present, key()), reply("ssh:", present, other), vec![], vec![0]]
        {
            assert_eq!(failed(wanted(false, false), &wrong), Status::Protocol);
        }
    }
}
