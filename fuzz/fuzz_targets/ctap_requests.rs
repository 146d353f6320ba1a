//! CTAP2 requests as an authenticator reads them: command byte first.
#![no_main]

use cabled::ctap::{GetAssertionRequest, MakeCredentialRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = MakeCredentialRequest::decode(data) {
        let encoded = request.encode();
        let again = MakeCredentialRequest::decode(&encoded[1..]).expect("our own is valid");
        assert_eq!(again.encode(), encoded);
    }
    if let Ok(request) = GetAssertionRequest::decode(data) {
        let encoded = request.encode();
        let again = GetAssertionRequest::decode(&encoded[1..]).expect("our own is valid");
        assert_eq!(again.encode(), encoded);
    }
});
