//! Messages in a stream of bytes, in both framings and with one that has to be found out. What is
//! found does not depend on how the stream was cut, and framed again it is what was received.
#![no_main]

use cabled::channel::MAX_MESSAGE_LEN;
use cabled::channel::l2cap::{Framing, fuzz_frame, fuzz_framing};
use libfuzzer_sys::fuzz_target;

/// More than any prefix, terminator and what is read with the end of a message.
const SLACK: usize = 1024;

fuzz_target!(|data: &[u8]| {
    let [how, piece, bytes @ ..] = data else { return };
    let framing = match how % 3 {
        0 => None,
        1 => Some(Framing::LengthPrefix),
        _ => Some(Framing::CrLf),
    };
    let (messages, failed, most) = fuzz_framing(framing, bytes, usize::from(*piece));
    assert!(most <= MAX_MESSAGE_LEN + SLACK, "{most} bytes held");
    assert!(messages.iter().all(|message| message.len() <= MAX_MESSAGE_LEN));
    let (whole, whole_failed, _) = fuzz_framing(framing, bytes, bytes.len());
    assert_eq!((&messages, failed), (&whole, whole_failed), "the cut matters");

    let known = framing.or(match bytes.first() {
        Some(0) => Some(Framing::LengthPrefix),
        Some(4) => Some(Framing::CrLf),
        _ => None,
    });
    let Some(known) = known else {
        assert!(messages.is_empty() && failed != bytes.is_empty());
        return;
    };
    let again: Vec<u8> = messages.iter().flat_map(|m| fuzz_frame(known, m)).collect();
    assert!(bytes.starts_with(&again), "not what was received");

    let framed = fuzz_frame(Framing::LengthPrefix, bytes);
    let (found, failed, _) = fuzz_framing(Some(Framing::LengthPrefix), &framed, 3);
    assert_eq!((found, failed), (vec![bytes.to_vec()], false));
});
