//! The decimal digits of a QR: what is read is written the same again, and all bytes survive.
#![no_main]

use cabled::hybrid::digits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert_eq!(digits::decode(&digits::encode(data)).as_deref(), Ok(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = digits::decode(text) {
        assert_eq!(digits::encode(&bytes), text);
    }
});
