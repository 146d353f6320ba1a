use super::*;

fn pair() -> (Sealer, Opener) {
    let key = Secret::new([7; 32]);
    (Sealer::new(&key), Opener::new(&key))
}

#[test]
fn every_length_round_trips() {
    let (mut sealer, mut opener) = pair();
    for len in (1..200).chain([1024, 65_535, 65_536, MAX_PAYLOAD]) {
        let payload = vec![0xa5; len];
        let sealed = sealer.seal(Frame { kind: MessageType::Ctap, payload: &payload }).unwrap();
        assert_eq!((sealed.len() - TAG_LEN) % PADDING, 0);
        let plaintext = opener.open(&sealed).unwrap();
        let frame = Frame::decode(&plaintext).unwrap();
        assert_eq!((frame.kind, frame.payload), (MessageType::Ctap, &payload[..]));
    }
}

#[test]
fn a_payload_too_long_is_refused_and_takes_no_counter() {
    let (mut sealer, mut opener) = pair();
    let payload = vec![0; MAX_FRAME];
    let frame = Frame { kind: MessageType::Ctap, payload: &payload };
    assert_eq!(sealer.seal(frame), Err(Error::TooLong));
    assert_eq!(opener.open(&vec![0; MAX_FRAME + 1]), Err(Error::TooLong));
    let sealed = sealer.seal(Frame { kind: MessageType::Shutdown, payload: &[] }).unwrap();
    assert_eq!(sealed.len(), 48);
    assert_eq!(opener.open(&sealed).unwrap(), [0]);
}

#[test]
fn a_flipped_bit_a_cut_or_a_replay_does_not_open() {
    let (mut sealer, _) = pair();
    let sealed = sealer.seal_untyped(b"hello").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(pair().1.open(&bad), Err(Error::NotAuthentic));
    }
    for len in 0..sealed.len() {
        assert_eq!(pair().1.open(&sealed[..len]), Err(Error::NotAuthentic));
    }
    let mut opener = pair().1;
    opener.open(&sealed).unwrap();
    assert_eq!(opener.open(&sealed), Err(Error::NotAuthentic));
}

#[test]
fn the_counter_ends() {
    let (mut sealer, _) = pair();
    sealer.skip_to(MAX_COUNTER - 1);
    assert!(sealer.seal_untyped(&[]).is_ok());
    assert_eq!(sealer.seal_untyped(&[]), Err(Error::CounterUsedUp));
}

#[test]
fn padding_as_other_phones_make_it_opens() {
    // Payload padded first, type byte put before it: 33 bytes, not a multiple of 32.
    let aead = Aead::new(&[7; 32]);
    let mut buffer = vec![0; 33];
    buffer[32] = 31;
    aead.seal([0; 12], &[], &mut buffer).unwrap();
    assert_eq!(pair().1.open(&buffer).unwrap(), [0]);
}

#[test]
fn broken_padding_is_an_error() {
    for plaintext in [&[][..], &[1], &[0, 0, 3], &[255; 32]] {
        let mut buffer = plaintext.to_vec();
        Aead::new(&[7; 32]).seal([0; 12], &[], &mut buffer).unwrap();
        assert_eq!(pair().1.open(&buffer), Err(Error::BadPadding), "{plaintext:?}");
    }
}

#[test]
fn types_are_checked() {
    for (plaintext, kind) in [(&[0][..], MessageType::Shutdown), (&[1, 4], MessageType::Ctap)] {
        assert_eq!(Frame::decode(plaintext).unwrap().kind, kind);
    }
    for plaintext in [&[][..], &[1], &[2], &[3], &[4, 1], &[255, 1]] {
        assert_eq!(Frame::decode(plaintext), Err(Error::BadType));
    }
}
