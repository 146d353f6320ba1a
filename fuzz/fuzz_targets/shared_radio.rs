//! What machines that share a radio send each other: frames, messages, the hello behind what a login prints, and
//! codes that a person types. What is found does not depend on the cut, and encoded again it is what was received.
#![no_main]

use cabled::ble::remote::{fuzz_code, fuzz_frames, fuzz_hello, fuzz_messages};
use libfuzzer_sys::fuzz_target;

/// The length and all of a longest frame but its last byte.
const MOST_HELD: usize = 255;

fuzz_target!(|data: &[u8]| {
    let [piece, bytes @ ..] = data else { return };
    let piece = usize::from(*piece);

    let (frames, most) = fuzz_frames(bytes, piece);
    assert!(most <= MOST_HELD, "{most} bytes held");
    assert_eq!(frames, fuzz_frames(bytes, bytes.len()).0, "the cut matters");
    let again: Vec<u8> =
        frames.iter().flat_map(|frame| [&[frame.len() as u8], &frame[..]].concat()).collect();
    assert!(bytes.starts_with(&again), "not what was received");
    for message in frames.iter().map(Vec::as_slice).chain([bytes]) {
        for encoded in fuzz_messages(message).into_iter().flatten() {
            assert_eq!(encoded, message);
        }
    }

    assert_eq!(fuzz_hello(bytes, piece), fuzz_hello(bytes, bytes.len()), "the cut matters");

    if let Some(code) = std::str::from_utf8(bytes).ok().and_then(fuzz_code) {
        assert_eq!(fuzz_code(&code), Some(code));
    }
});
