//! Frames: arbitrary bytes do not open, any payload that is sealed opens to itself, and an
//! arbitrary authentic plaintext with arbitrary padding is read without a panic.
#![no_main]

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use cabled::hybrid::frame::{Error, Frame, MAX_FRAME, MAX_PAYLOAD, MessageType, Opener, Sealer};
use cabled::secret::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kind, repeat, data) = input;
    let key = Secret::new([9; 32]);
    let opened = Opener::new(&key).open(data);
    assert_eq!(opened, Err(Error::NotAuthentic), "nobody can forge a tag by chance");

    let cipher = Aes256Gcm::new(&[9; 32].into());
    let sealed = cipher.encrypt(&Nonce::default(), data).expect("short");
    match (Opener::new(&key).open(&sealed), data.last()) {
        (Ok(plaintext), Some(zeros)) => {
            assert_eq!(plaintext.len() + usize::from(*zeros) + 1, data.len());
            assert!(data.starts_with(&plaintext));
        }
        (opened, last) => {
            assert_eq!(opened, Err(Error::BadPadding));
            assert!(last.is_none_or(|zeros| usize::from(*zeros) >= data.len()));
        }
    }

    if let Ok(frame) = Frame::decode(data) {
        assert_eq!((frame.kind as u8, frame.payload), (data[0], &data[1..]));
    }

    // Now and then longer than a frame can be.
    let times = if repeat == 255 { MAX_FRAME.div_ceil(data.len().max(1)) } else { 1 };
    let payload = data.repeat(times);
    let kind = match kind % 4 {
        0 => MessageType::Shutdown,
        1 => MessageType::Ctap,
        2 => MessageType::Update,
        _ => MessageType::Json,
    };
    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    match sealer.seal(Frame { kind, payload: &payload }) {
        Ok(sealed) => {
            assert_eq!(sealed.len() % 32, 16);
            let plaintext = opener.open(&sealed).expect("our own frame");
            assert_eq!((plaintext[0], &plaintext[1..]), (kind as u8, &payload[..]));
            assert!(opener.open(&sealed).is_err(), "replayed");
        }
        Err(error) => assert!(error == Error::TooLong && payload.len() > MAX_PAYLOAD),
    }
});
