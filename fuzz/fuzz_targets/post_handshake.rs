//! The phone's first message, in both revisions.
#![no_main]

use cabled::hybrid::post_handshake::PostHandshake;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = PostHandshake::decode(data) else { return };
    let again = PostHandshake::decode(&message.encode()).expect("our own encoding is valid");
    assert_eq!(again.encode(), message.encode());
});
