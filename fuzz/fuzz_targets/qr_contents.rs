//! `FIDO:/` texts and the CBOR in them: what is read keeps its meaning when written and read again.
#![no_main]

use cabled::hybrid::qr::QrContents;
use libfuzzer_sys::fuzz_target;

fn survives(contents: &QrContents) {
    let again = QrContents::decode(&contents.encode()).expect("our own text is valid");
    assert_eq!(again.encode_cbor(), contents.encode_cbor());
    assert_eq!(again.intent(), contents.intent());
}

fuzz_target!(|data: &[u8]| {
    if let Ok(contents) = QrContents::decode_cbor(data) {
        survives(&contents);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(contents) = QrContents::decode(text)
    {
        survives(&contents);
    }
});
