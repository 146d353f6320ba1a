//! Linking information, updates, and what a laptop sends to ring a linked phone.
#![no_main]

use cabled::cbor;
use cabled::hybrid::linking::{ClientPayload, LinkingInfo, decode_update, encode_update};
use cabled::hybrid::tunnel::{decode_client_payload, encode_client_payload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let alone = cbor::decode_lenient(data).ok();
    let alone = alone.as_ref().and_then(LinkingInfo::from_value);
    for info in alone.into_iter().chain(decode_update(data)) {
        let again = decode_update(&encode_update(Some(&info))).expect("our own update is valid");
        assert_eq!(again.to_value(), info.to_value());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(bytes) = decode_client_payload(text)
    {
        assert!(encode_client_payload(&bytes).eq_ignore_ascii_case(text));
    }
    if let Some(payload) = ClientPayload::decode(data) {
        assert_eq!(ClientPayload::decode(&payload.encode()), Some(payload));
    }
});
