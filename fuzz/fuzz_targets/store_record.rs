//! What the store keeps in its file, once opened: a record or the PIN's state that decodes encodes
//! to the very same bytes, unknown members aside.
#![no_main]

use cabled::authenticator::store::{fuzz_pin_state, fuzz_record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((passkey, encoded)) = fuzz_record(data) {
        let (again, stable) = fuzz_record(&encoded).expect("our own record");
        assert!(again == passkey && *stable == *encoded);
    }
    if let Ok(encoded) = fuzz_pin_state(data) {
        assert_eq!(fuzz_pin_state(&encoded).ok(), Some(encoded));
    }
});
