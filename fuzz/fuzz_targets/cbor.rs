//! CBOR: both decoders end without a panic, and what they take means the same after encoding.
#![no_main]

use cabled::cbor::{decode, decode_lenient, decode_prefix, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let strict = decode(data);
    let Ok(value) = decode_lenient(data) else {
        assert!(strict.is_err(), "strict takes what lenient refuses");
        return;
    };
    let canonical = encode(&value);
    assert_eq!(strict.is_ok(), canonical == data, "strict is lenient plus canonical");
    let again = decode(&canonical).expect("our own encoding is canonical");
    assert_eq!(again, value, "the order in which it came is none of its meaning");

    let followed = [data, b"rest"].concat();
    let (prefix, rest) = decode_prefix(&followed).expect("bytes behind an item are no error");
    assert_eq!((prefix, rest), (value, b"rest".as_slice()));
});
