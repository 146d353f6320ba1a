//! What to do about a message of a program, before anybody is asked. Pure.
//!
//! Depends on `ctap` and on the kinds of messages that `uhid` tells apart.

use crate::cbor::Value;
use crate::ctap::{
    AuthenticatorData, Command, CredentialDescriptor, CredentialParameters, ES256, Flags,
    GetAssertionRequest, GetAssertionResponse, GetInfo, MAX_CREDENTIAL_ID, MAX_LIST,
    MakeCredentialRequest, Status,
};
use crate::uhid::probe::Kind;

/// The longest message of CTAPHID: what 129 packets hold.
const MAX_MESSAGE_HID: u64 = 7609;

/// The make that this key states: it is no phone, and the passkeys that come through it state their own.
const AAGUID: [u8; 16] = [
    0xca, 0xe7, 0xad, 0xdc, 0xe8, 0xb9, 0x4b, 0x05, 0xbe, 0x9a, 0x33, 0x23, 0xc2, 0x18, 0x50, 0x78,
];

/// In the place of a signature, where a program only wants to know whether a passkey is there: r = s = 1,
/// which verifies for no key.
const PLACEHOLDER: [u8; 8] = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01];

const HMAC_SECRET: [&str; 2] = ["hmac-secret", "hmac-secret-mc"];

/// What to do about a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Refuse at once.
    Refuse(Status),
    /// Ask which key is meant.
    Touch,
    /// Say whether these passkeys are there, without a signature.
    Look(GetAssertionRequest),
    /// Ask the phone for a passkey.
    Make(Box<MakeCredentialRequest>),
    /// Ask the phone for a signature.
    Sign(GetAssertionRequest),
    /// Ask it for the next account's.
    Next,
}

/// What the key says of itself: what programs need to hear, and nothing that a phone could not keep.
///
/// No PIN protocols and no tokens: the phone verifies its user. Both limits of lists are told, so that
/// browsers send one command and not a look for each passkey. credProtect is what `ssh-keygen` needs to
/// hear before it makes a resident key. hmac-secret would have to be inside of what the phone signs.
pub(super) fn info() -> Vec<u8> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let options = [("rk", true), ("up", true), ("uv", true), ("plat", false)];
    let info = GetInfo {
        versions: texts(&["FIDO_2_0", "FIDO_2_1"]),
        extensions: texts(&["credProtect"]),
        aaguid: AAGUID,
        options: options.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        max_msg_size: Some(MAX_MESSAGE_HID),
        max_credential_count_in_list: Some(MAX_LIST as u64),
        max_credential_id_length: Some(MAX_CREDENTIAL_ID as u64),
        // A site that stores this list finds the passkey again, through this key or without it.
        transports: texts(&["usb", "hybrid", "internal"]),
        algorithms: vec![CredentialParameters::new(ES256)],
        ..GetInfo::default()
    };
    info.encode()
}

/// What to do about a message of this kind.
pub(super) fn plan(kind: Kind, message: &[u8]) -> Plan {
    if kind == Kind::Touch {
        return Plan::Touch;
    }
    let planned = match Command::split(message) {
        Ok((Command::MakeCredential, body)) => make(body),
        Ok((Command::GetAssertion, body)) => get(body),
        Ok((Command::GetNextAssertion, [])) => Ok(Plan::Next),
        Ok((Command::Selection, [])) => Ok(Plan::Touch),
        Ok((Command::GetInfo | Command::GetNextAssertion | Command::Selection, _)) => {
            Err(Status::INVALID_LENGTH)
        }
        // PINs, credential management and large blobs are the phone's own business.
        Ok(_) => Err(Status::INVALID_COMMAND),
        Err(status) => Err(status),
    };
    planned.unwrap_or_else(Plan::Refuse)
}

fn make(body: &[u8]) -> Result<Plan, Status> {
    let request = MakeCredentialRequest::decode(body)?;
    without_token(request.pin_uv_auth_param.as_ref())?;
    if !request.pub_key_cred_params.iter().any(|param| param.alg == ES256) {
        return Err(Status::UNSUPPORTED_ALGORITHM);
    }
    if wants(&request.extensions) {
        return Err(Status::UNSUPPORTED_OPTION);
    }
    if request.options.up == Some(false) {
        return Err(Status::INVALID_OPTION);
    }
    Ok(Plan::Make(Box::new(request)))
}

fn get(body: &[u8]) -> Result<Plan, Status> {
    let request = GetAssertionRequest::decode(body)?;
    without_token(request.pin_uv_auth_param.as_ref())?;
    if request.options.rk.is_some() {
        return Err(Status::INVALID_OPTION);
    }
    if wants(&request.extensions) {
        return Err(Status::UNSUPPORTED_OPTION);
    }
    Ok(match request.options.up {
        // With uv too, which ssh-keygen sends: nobody is asked for what is only a look.
        Some(false) => Plan::Look(request),
        _ => Plan::Sign(request),
    })
}

/// This key gives out no tokens.
fn without_token(param: Option<&Vec<u8>>) -> Result<(), Status> {
    param.map_or(Ok(()), |_| Err(Status::PIN_AUTH_INVALID))
}

/// Whether a secret is asked for that the phone cannot put into what it signs. Firefox says `false` in
/// every registration.
fn wants(extensions: &[(String, Value)]) -> bool {
    let secret = |(name, value): &(String, Value)| {
        HMAC_SECRET.contains(&name.as_str()) && *value != Value::Bool(false)
    };
    extensions.iter().any(secret)
}

/// "It is there": for a look only, nobody was present and nothing is signed.
pub(super) fn found(rp_id_hash: [u8; 32], credential: CredentialDescriptor) -> Vec<u8> {
    let data = AuthenticatorData {
        rp_id_hash,
        flags: Flags::default(),
        sign_count: 0,
        attested: None,
        extensions: None,
    };
    let response = GetAssertionResponse {
        credential: Some(credential),
        auth_data: data.encode(),
        signature: PLACEHOLDER.to_vec(),
        user: None,
        number_of_credentials: None,
        user_selected: None,
        large_blob_key: None,
        unsigned_extension_outputs: None,
    };
    response.encode()
}

/// The phone's answer as programs on the USB want it: Firefox takes "denied" for a bad fingerprint and
/// asks again at once, for ever.
pub(super) fn over_hid(reply: Vec<u8>) -> Vec<u8> {
    match reply.first() {
        Some(&status) if status == Status::OPERATION_DENIED.0 => {
            vec![Status::USER_ACTION_TIMEOUT.0]
        }
        _ => reply,
    }
}

/// How many answers more the program may ask for.
pub(super) fn further(reply: &[u8]) -> u64 {
    let body = reply.split_first().filter(|(status, _)| **status == Status::OK.0);
    let response = body.and_then(|(_, body)| GetAssertionResponse::decode(body).ok());
    response.and_then(|response| response.number_of_credentials).unwrap_or(1).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctap::{Options, RpEntity, UserEntity, split_response};

    fn registration() -> MakeCredentialRequest {
        MakeCredentialRequest {
            client_data_hash: [1; 32],
            rp: RpEntity { id: "contoso.com".to_owned(), name: None },
            user: UserEntity { id: vec![1], name: None, display_name: None },
            pub_key_cred_params: vec![CredentialParameters::new(ES256)],
            exclude_list: Vec::new(),
            extensions: Vec::new(),
            options: Options::default(),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
        }
    }

    fn sign_in(up: Option<bool>) -> GetAssertionRequest {
        GetAssertionRequest {
            rp_id: "contoso.com".to_owned(),
            client_data_hash: [1; 32],
            allow_list: Vec::new(),
            extensions: Vec::new(),
            options: Options { up, ..Options::default() },
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        }
    }

    fn planned(message: &[u8]) -> Plan {
        plan(Kind::User, message)
    }

    #[test]
    fn what_a_phone_can_do_goes_to_it() {
        let firefox = ("hmac-secret".to_owned(), Value::Bool(false));
        let request = MakeCredentialRequest { extensions: vec![firefox], ..registration() };
        assert_eq!(planned(&request.encode()), Plan::Make(Box::new(request)));
        for up in [None, Some(true)] {
            assert_eq!(planned(&sign_in(up).encode()), Plan::Sign(sign_in(up)));
        }
        assert_eq!(planned(&[Command::GetNextAssertion as u8]), Plan::Next);
    }

    #[test]
    fn a_look_is_one_with_and_without_verification() {
        for uv in [None, Some(true)] {
            let mut request = sign_in(Some(false));
            request.options.uv = uv;
            assert_eq!(planned(&request.encode()), Plan::Look(request));
        }
    }

    #[test]
    fn what_no_phone_can_do_is_refused_at_once() {
        let eddsa = MakeCredentialRequest {
            pub_key_cred_params: vec![CredentialParameters::new(-8)],
            ..registration()
        };
        assert_eq!(planned(&eddsa.encode()), Plan::Refuse(Status::UNSUPPORTED_ALGORITHM));
        let secret = vec![("hmac-secret".to_owned(), Value::Bool(true))];
        let secret = MakeCredentialRequest { extensions: secret, ..registration() };
        assert_eq!(planned(&secret.encode()), Plan::Refuse(Status::UNSUPPORTED_OPTION));
        let input = vec![("hmac-secret".to_owned(), Value::Uint(1))];
        let input = GetAssertionRequest { extensions: input, ..sign_in(None) };
        assert_eq!(planned(&input.encode()), Plan::Refuse(Status::UNSUPPORTED_OPTION));
        let token = MakeCredentialRequest {
            pin_uv_auth_param: Some(vec![1; 16]),
            pin_uv_auth_protocol: Some(1),
            ..registration()
        };
        assert_eq!(planned(&token.encode()), Plan::Refuse(Status::PIN_AUTH_INVALID));
        for command in [Command::ClientPin, Command::CredentialManagement, Command::Reset] {
            let status = Status::INVALID_COMMAND;
            assert_eq!(planned(&[command as u8]), Plan::Refuse(status), "{command:?}");
        }
        assert_eq!(planned(&[1, 0xff]), Plan::Refuse(Status::INVALID_CBOR));
        assert_eq!(planned(&[8, 1]), Plan::Refuse(Status::INVALID_LENGTH));
    }

    #[test]
    fn a_touch_is_one_whatever_it_looks_like() {
        assert_eq!(plan(Kind::Touch, &registration().encode()), Plan::Touch);
        assert_eq!(planned(&[Command::Selection as u8]), Plan::Touch);
    }

    #[test]
    fn found_says_that_nobody_was_there() {
        let body = found([3; 32], CredentialDescriptor::new(vec![7; 16]));
        let response = GetAssertionResponse::decode(&body).unwrap();
        let data = AuthenticatorData::decode(&response.auth_data).unwrap();
        assert_eq!((data.flags, data.rp_id_hash), (Flags::default(), [3; 32]));
        assert_eq!(response.credential.unwrap().id, [7; 16]);
        assert_eq!(response.signature, PLACEHOLDER);
    }

    #[test]
    fn a_refusal_is_not_one_that_browsers_repeat() {
        assert_eq!(over_hid(vec![0x27]), [0x2f]);
        assert_eq!(over_hid(vec![0x2e]), [0x2e]);
        assert_eq!(over_hid(vec![0, 0xa0]), [0, 0xa0]);
        assert_eq!((further(&[0x27]), further(&[0, 0xa0])), (0, 0));
    }

    #[test]
    fn what_the_key_says_of_itself_can_be_kept() {
        let info = GetInfo::decode(&info()).unwrap();
        assert_eq!(info.option("uv"), Some(true));
        assert_eq!((info.option("clientPin"), info.option("pinUvAuthToken")), (None, None));
        assert!(info.pin_uv_auth_protocols.is_empty() && !info.has_extension("hmac-secret"));
        let (status, _) = split_response(&crate::ctap::respond(Ok(info.encode()))).unwrap();
        assert_eq!(status, Status::OK);
    }
}
