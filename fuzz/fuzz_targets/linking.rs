//! Linking: information, updates and client payloads; what decodes means the same once written
//! again, and nothing is linked without the signature.
#![no_main]

use cabled::cbor;
use cabled::hybrid::linking::{ClientPayload, LinkingInfo, decode_update, encode_update, sign};
use cabled::hybrid::noise::HandshakeHash;
use cabled::hybrid::tunnel::TunnelServiceId;
use cabled_fuzz::KEYS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(payload) = ClientPayload::decode(data) {
        assert_eq!(ClientPayload::decode(&payload.encode()), Some(payload));
    }
    let direct = cbor::decode_lenient(data).ok().and_then(|map| LinkingInfo::from_value(&map));
    for info in [decode_update(data), direct].into_iter().flatten() {
        let again = decode_update(&encode_update(Some(&info)));
        assert!(again.as_ref() == Some(&info), "changed by writing and reading it");
        let hash = HandshakeHash::from([5; 32]);
        let right = sign(&KEYS.laptop, &info.identity, &hash);
        let signed = info.signature == right;
        let linked = info.verify(&KEYS.laptop, &hash, TunnelServiceId::GOOGLE);
        assert_eq!(linked.is_some(), signed);
    }
    assert!(decode_update(&encode_update(None)).is_none());
});
