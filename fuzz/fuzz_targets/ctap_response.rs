//! CTAP2 responses as the laptop reads them: what decodes encodes to something that decodes equal.
#![no_main]

use cabled::ctap::{
    AuthenticatorData, CosePublicKey, GetAssertionResponse, GetInfo, MakeCredentialResponse,
    split_response,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(info) = GetInfo::decode(data) {
        assert_eq!(GetInfo::decode(&info.encode()).map(sorted), Ok(sorted(info)));
    }
    check_authenticator_data(data);
    let Ok((status, body)) = split_response(data) else {
        assert!(data.is_empty());
        return;
    };
    assert_eq!(status.0, data[0]);
    assert!(!status.name().is_empty() && !status.meaning().is_empty());
    if let Ok(response) = MakeCredentialResponse::decode(body) {
        let encoded = response.encode();
        let again = MakeCredentialResponse::decode(&encoded);
        assert_eq!(again.map(|again| again.encode()), Ok(encoded));
        check_authenticator_data(&response.auth_data);
    }
    if let Ok(response) = GetAssertionResponse::decode(body) {
        let again = GetAssertionResponse::decode(&response.encode());
        assert_eq!(again.map(|again| again.encode()), Ok(response.encode()));
        check_authenticator_data(&response.auth_data);
    }
});

/// In the order that encoding gives them.
fn sorted(mut info: GetInfo) -> GetInfo {
    info.options.sort_by_key(|(name, _)| (name.len(), name.clone()));
    info.other.sort_by_key(|(key, _)| *key);
    let canonical = cabled::cbor::decode_lenient(&info.encode()).expect("our own encoding");
    for (key, value) in &mut info.other {
        value.clone_from(canonical.get(*key).expect("it was encoded"));
    }
    info
}

fn check_authenticator_data(bytes: &[u8]) {
    let Ok(data) = AuthenticatorData::decode(bytes) else { return };
    let encoded = data.encode();
    let again = AuthenticatorData::decode(&encoded).expect("our own encoding");
    assert_eq!(again.encode(), encoded);
    assert_eq!((again.rp_id_hash, again.flags), (data.rp_id_hash, data.flags));
    if let Some(passkey) = data.attested {
        let _ = passkey.public_key.algorithm();
        if let CosePublicKey::Es256(key) = passkey.public_key {
            assert_eq!(key.to_spki().len(), 91);
        }
    }
}
