//! Sealed frames and the plaintext in them: hostile bytes are refused, also right after good ones,
//! and what is sealed opens.
#![no_main]

use cabled::hybrid::frame::{Frame, Opener, Sealer};
use cabled::secret::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let key = Secret::new([9; 32]);
    assert!(Opener::new(&key).open(data).is_err(), "forged a frame");

    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    let Ok(frame) = Frame::decode(data) else { return };
    let Ok(sealed) = sealer.seal(frame) else { return };
    let plaintext = opener.open(&sealed).expect("our own frame opens");
    assert_eq!(Frame::decode(&plaintext), Ok(frame));
    assert!(opener.open(&sealed).is_err(), "took a frame twice");
});
