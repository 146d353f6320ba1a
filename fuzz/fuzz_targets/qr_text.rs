//! QR text: decoding any text ends without a panic, and what decodes means the same once written
//! again. The digits below it have one spelling each.
#![no_main]

use cabled::hybrid::digits;
use cabled::hybrid::qr::{MAX_CBOR, QrContents};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(QrContents::decode(text).ok());
        if let Ok(bytes) = digits::decode(text) {
            assert_eq!(digits::encode(&bytes), text, "two spellings");
        }
    }
    let digits = digits::encode(data);
    assert_eq!(digits::decode(&digits).as_deref(), Ok(data));
    // The same bytes as a map: no mutation of digits finds its way through a key on the curve.
    let contents = QrContents::decode_cbor(data).ok();
    if data.len() <= MAX_CBOR {
        assert_eq!(QrContents::decode(&format!("fido:/{digits}")).ok(), contents);
    }
    check(contents);
});

fn check(contents: Option<QrContents>) {
    let Some(contents) = contents else { return };
    let again = QrContents::decode(&contents.encode());
    assert!(again.as_ref() == Ok(&contents), "changed by writing and reading it");
}
