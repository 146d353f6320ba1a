//! CTAP2 responses as a client reads them, and the authenticator data in them.
#![no_main]

use cabled::ctap::{
    AuthenticatorData, GetAssertionResponse, GetInfo, MakeCredentialResponse, split_response,
};
use libfuzzer_sys::fuzz_target;

/// Reads, writes and reads again.
macro_rules! survives {
    ($kind:ty, $data:expr) => {
        if let Ok(read) = <$kind>::decode($data) {
            let encoded = read.encode();
            let again = <$kind>::decode(&encoded).expect("our own encoding is valid");
            assert_eq!(again.encode(), encoded);
        }
    };
}

fuzz_target!(|data: &[u8]| {
    let _ = split_response(data);
    survives!(MakeCredentialResponse, data);
    survives!(GetAssertionResponse, data);
    survives!(GetInfo, data);
    survives!(AuthenticatorData, data);
});
