use super::*;

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = vec![0x81; levels];
    bytes.push(0);
    bytes
}

#[test]
fn encodes_maps_in_canonical_order() {
    let map = Value::Map(vec![
        (Value::from("b"), Value::Uint(1)),
        (Value::int(-1), Value::Uint(2)),
        (Value::from("aa"), Value::Uint(3)),
        (Value::Uint(300), Value::Uint(4)),
        (Value::Uint(3), Value::Uint(5)),
    ]);
    let bytes = encode(&map);
    assert_eq!(bytes, [0xa5, 3, 5, 0x19, 1, 44, 4, 0x20, 2, 0x61, b'b', 1, 0x62, b'a', b'a', 3]);
    let Value::Map(entries) = decode(&bytes).unwrap() else { panic!("a map went in") };
    assert_eq!(entries.len(), 5);
}

#[test]
fn integers_cover_the_whole_range() {
    for n in [0, 1, 23, 24, 255, 256, 65_535, 65_536, i64::MAX, -1, -24, -25, -257, i64::MIN] {
        let value = Value::int(n);
        assert_eq!(value.as_int(), Some(n));
        assert_eq!(decode(&encode(&value)), Ok(value));
    }
    let smallest = Value::Nint(u64::MAX);
    assert_eq!(encode(&smallest), [0x3b, 255, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(decode(&encode(&smallest)), Ok(smallest));
}

#[test]
fn refuses_what_ctap_does_not_use() {
    for (bytes, error) in [
        (&[0xf9, 0x3c, 0x00][..], Error::Unsupported),
        (&[0xc0, 0x60], Error::Unsupported),
        (&[0x9f, 0xff], Error::Unsupported),
        (&[0xbf, 0xff], Error::Unsupported),
        (&[0x5f, 0x41, 0, 0xff], Error::Unsupported),
        (&[0xf7], Error::Unsupported),
        (&[0x00, 0x00], Error::TrailingBytes),
        (&[], Error::Malformed),
        (&[0x41], Error::Malformed),
        (&[0x61, 0xff], Error::Malformed),
        (&[0xa2, 1, 1, 1, 2], Error::DuplicateKey),
        (&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], Error::Malformed),
    ] {
        assert_eq!(decode_lenient(bytes), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn only_the_strict_decoder_wants_canonical_form() {
    for bytes in [&[0x18, 0x01][..], &[0xa2, 2, 0, 1, 0], &[0x58, 1, 7]] {
        assert_eq!(decode(bytes), Err(Error::NotCanonical));
        assert!(decode_lenient(bytes).is_ok());
    }
}

#[test]
fn what_came_in_another_order_is_the_same() {
    // {"a": {2: 0, 1: 0}, 1: 0, -1: 0}
    let bytes = [&[0xa3, 0x61, b'a', 0xa2, 2, 0, 1, 0][..], &[1, 0, 0x20, 0]].concat();
    let value = decode_lenient(&bytes).unwrap();
    assert_ne!(encode(&value), bytes);
    assert_eq!(decode(&encode(&value)), Ok(value));
}

#[test]
fn nesting_is_bounded() {
    assert!(decode(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(decode(&nested(MAX_DEPTH + 1)), Err(Error::TooDeep));
    assert_eq!(decode(&nested(100_000)), Err(Error::TooDeep));
}

#[test]
fn a_prefix_leaves_the_rest() {
    assert_eq!(decode_prefix(&[0x01, 0xaa, 0xbb]), Ok((Value::Uint(1), &[0xaa, 0xbb][..])));
}

proptest::proptest! {
    #[test]
    fn decoding_never_panics_and_round_trips(bytes: Vec<u8>) {
        if let Ok(value) = decode_lenient(&bytes) {
            assert_eq!(decode(&encode(&value)), Ok(value));
        }
    }
}
