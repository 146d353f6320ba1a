//! The phone's first message: what decodes means the same once written again, also behind the
//! padding of the first revision.
#![no_main]

use cabled::hybrid::post_handshake::PostHandshake;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(message) = PostHandshake::decode(data) else { return };
    let encoded = message.encode();
    assert_eq!(PostHandshake::decode(&encoded).as_ref(), Ok(&message));
    assert_eq!(PostHandshake::decode(&pad(&encoded)).as_ref(), Ok(&message));
});

/// As phones of the first revision do.
fn pad(message: &[u8]) -> Vec<u8> {
    let zeros = 511 - (message.len() + 1) % 512;
    let count = u16::try_from(zeros).expect("below 512").to_le_bytes();
    [message, &vec![0; zeros][..], &count].concat()
}
