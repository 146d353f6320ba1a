//! The direct `largeBlob` extension: blobs travel deflated, beside their original size.
//!
//! Depends on [`crate::cbor`], [`crate::ctap`] for its limits. Specification: WebAuthn Level 3,
//! section 10.1.5; the compression (raw deflate) is that of CTAP 2.2, section 6.10.3.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::base64url::Base64Url;
use super::error::AnswerError;
use crate::cbor::Value;
use crate::ctap::MAX_MESSAGE;

/// miniz's default; blobs are small.
const LEVEL: u8 = 6;

/// The input that stores `blob`.
pub(super) fn write_input(blob: &[u8]) -> Value {
    Value::text_map([
        ("write", Value::from(compress_to_vec(blob, LEVEL))),
        ("originalSize", Value::Uint(blob.len() as u64)),
    ])
}

/// The blob in an output, if there is one.
///
/// The announced size bounds what is unpacked, and must be met: a phone could otherwise fill the
/// memory with a few bytes.
pub(super) fn read_output(output: &Value) -> Result<Option<Base64Url>, AnswerError> {
    const INVALID: AnswerError = AnswerError::Extension("largeBlob");
    let Some(blob) = output.get_text("blob") else { return Ok(None) };
    let packed = blob.as_bytes().ok_or(INVALID)?;
    let size = output.get_text("originalSize").and_then(Value::as_uint).ok_or(INVALID)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= MAX_MESSAGE).ok_or(INVALID)?;
    let blob = decompress_to_vec_with_limit(packed, size).map_err(|_| INVALID)?;
    if blob.len() == size { Ok(Some(Base64Url(blob))) } else { Err(INVALID) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(packed: Vec<u8>, size: u64) -> Value {
        Value::text_map([("blob", Value::from(packed)), ("originalSize", Value::Uint(size))])
    }

    #[test]
    fn a_blob_comes_back() {
        for blob in [vec![], vec![7; 5000], (0..=255).collect()] {
            let input = write_input(&blob);
            let packed = input.get_text("write").unwrap().as_bytes().unwrap().to_vec();
            let size = input.get_text("originalSize").unwrap().as_uint().unwrap();
            assert_eq!(read_output(&output(packed, size)), Ok(Some(Base64Url(blob))));
        }
    }

    #[test]
    fn a_bomb_a_lie_and_garbage_are_refused() {
        let bomb = compress_to_vec(&vec![0; 64 << 20], LEVEL);
        let honest = compress_to_vec(&[1; 100], LEVEL);
        let cases = [
            output(bomb.clone(), 64 << 20),
            output(bomb, 1000),
            output(honest.clone(), 99),
            output(honest, 101),
            output(vec![0xff; 9], 100),
            Value::text_map([("blob", Value::from(vec![3, 0]))]),
            Value::text_map([("blob", Value::Bool(true)), ("originalSize", Value::Uint(0))]),
        ];
        for case in cases {
            assert!(read_output(&case).is_err());
        }
        assert_eq!(read_output(&Value::text_map([])), Ok(None));
    }
}
