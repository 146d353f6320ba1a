//! What a relying party sends: an origin on the first line, options as JSON behind it, and behind
//! a zero byte what the phone answers. The rp id always belongs to the origin, the request that
//! comes of the options is canonical and reads back, and no answer of the phone is too strange.
#![no_main]

use cabled::cbor::{self, Value};
use cabled::client::webauthn::{
    Assertion, CreationOptions, Origin, Progress, Registration, RequestOptions, RpId,
};
use cabled::ctap::{
    Command, GetAssertionRequest, GetAssertionResponse, GetInfo, MakeCredentialRequest,
    MakeCredentialResponse, Status,
};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fuzz_target!(|data: &[u8]| {
    let (origin, rest) = split(data, b'\n');
    let Some(origin) = std::str::from_utf8(origin).ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    let (json, answer) = split(rest, 0);
    let _ = origin_is_stable(&origin).rp_id(std::str::from_utf8(json).ok());
    if let Ok(options) = CreationOptions::parse(json) {
        create(options, &origin, answer);
    }
    if let Ok(options) = RequestOptions::parse(json) {
        get(options, &origin, answer);
    }
});

fn split(data: &[u8], at: u8) -> (&[u8], &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == at);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn origin_is_stable(origin: &Origin) -> &Origin {
    assert_eq!(origin.as_str().parse::<Origin>().as_ref().ok(), Some(origin));
    origin
}

fn belongs(rp_id: &RpId, origin: &Origin) {
    let host = origin.rp_id(None).expect("it is a name");
    let (rp_id, host) = (rp_id.as_str(), host.as_str());
    let below = host.strip_suffix(rp_id).is_some_and(|head| head.ends_with('.'));
    assert!(rp_id == host || below, "{rp_id} for {host}");
}

fn phone() -> GetInfo {
    let extensions = ["prf", "credProtect", "largeBlob", "credBlob", "minPinLength"];
    GetInfo {
        extensions: extensions.map(str::to_owned).to_vec(),
        options: vec![("rk".to_owned(), true), ("uv".to_owned(), true)],
        ..GetInfo::default()
    }
}

/// The phone's authenticator data of the right relying party, then unsigned extension outputs.
fn parts(answer: &[u8], rp_id: &RpId) -> (Vec<u8>, Option<Value>) {
    let (&cut, rest) = answer.split_first().unwrap_or((&0, &[]));
    let (data, outputs) = rest.split_at(rest.len().min(cut.into()));
    let hash = Sha256::digest(rp_id.as_str());
    ([&hash[..], data].concat(), cbor::decode_lenient(outputs).ok())
}

fn create(options: CreationOptions, origin: &Origin, answer: &[u8]) {
    let Ok(registration) = Registration::prepare(options, origin) else { return };
    belongs(registration.rp_id(), origin);
    let rp_id = registration.rp_id().clone();
    let _ = registration.clone().request(&GetInfo::default());
    let Ok(pending) = registration.request(&phone()) else { return };
    let message = pending.message();
    let (command, body) = Command::split(&message).expect("our own message");
    assert_eq!(command, Command::MakeCredential);
    match MakeCredentialRequest::decode(body) {
        Ok(request) => assert_eq!(request.rp.id, rp_id.as_str()),
        Err(status) => assert_eq!(status, Status::LIMIT_EXCEEDED),
    }
    let (auth_data, outputs) = parts(answer, &rp_id);
    let response = MakeCredentialResponse {
        fmt: "packed".to_owned(),
        auth_data,
        att_stmt: Value::Map(Vec::new()),
        ep_att: None,
        large_blob_key: None,
        unsigned_extension_outputs: outputs,
    };
    for response in [&[&[0], &response.encode()[..]].concat()[..], answer] {
        if let Ok(response) = pending.clone().finish(response) {
            serde_json::to_string(&response).expect("it is JSON");
        }
    }
}

fn get(options: RequestOptions, origin: &Origin, answer: &[u8]) {
    let Ok(assertion) = Assertion::prepare(options, origin) else { return };
    belongs(assertion.rp_id(), origin);
    let rp_id = assertion.rp_id().clone();
    let _ = assertion.clone().request(&GetInfo::default());
    let Ok(mut pending) = assertion.request(&phone()) else { return };
    let message = pending.message();
    let (command, body) = Command::split(&message).expect("our own message");
    assert_eq!(command, Command::GetAssertion);
    match GetAssertionRequest::decode(body) {
        Ok(request) => assert_eq!(request.rp_id, rp_id.as_str()),
        Err(status) => assert_eq!(status, Status::LIMIT_EXCEEDED),
    }
    let (auth_data, outputs) = parts(answer, &rp_id);
    let response = GetAssertionResponse {
        credential: None,
        auth_data,
        signature: vec![1],
        user: None,
        number_of_credentials: None,
        user_selected: None,
        large_blob_key: None,
        unsigned_extension_outputs: outputs,
    };
    for response in [&[&[0], &response.encode()[..]].concat()[..], answer] {
        let before = pending.accounts().len();
        match pending.accept(response) {
            Ok(Progress::Complete | Progress::More) => {
                assert_eq!(pending.accounts().len(), before + 1);
                let response = pending.clone().finish(before).expect("it was accepted");
                serde_json::to_string(&response).expect("it is JSON");
            }
            Err(_) => assert_eq!(pending.accounts().len(), before),
        }
    }
}
