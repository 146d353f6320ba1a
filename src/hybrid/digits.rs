//! Bytes as decimal digits: what makes a `FIDO:/` text fit a QR's numeric mode.
//!
//! Seven bytes become 17 digits, a tail of n bytes the fewest digits that always hold it. Pure
//! and without dependencies.
//!
//! Specification: CTAP 2.2 section 11.5.1, QR encoding.

/// Digits for a chunk of 0 to 7 bytes.
const DIGITS: [usize; 8] = [0, 3, 5, 8, 10, 13, 15, 17];

/// Why digits were not an encoding of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that is not an ASCII digit.
    #[error("a character is not a digit")]
    NotADigit,
    /// No number of bytes has this many digits.
    #[error("the number of digits is impossible")]
    Length,
    /// A group of digits is larger than its bytes can be.
    #[error("a group of digits is too large")]
    Range,
}

/// Writes bytes as digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len().div_ceil(7) * 17);
    for chunk in bytes.chunks(7) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(w, b)| *w = *b);
        let width = DIGITS.get(chunk.len()).copied().unwrap_or_default();
        // A String takes everything.
        let _infallible = write!(out, "{:0width$}", u64::from_le_bytes(word));
    }
    out
}

/// Reads digits back. The caller bounds the text first; the result has at most 7 bytes per 17
/// digits.
///
/// # Errors
///
/// See [`Error`]. No input has two readings: leading zeros are part of the form.
pub fn decode(digits: &str) -> Result<Vec<u8>, Error> {
    let digits = digits.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Error::NotADigit);
    }
    let mut out = Vec::with_capacity(digits.len().div_ceil(17) * 7);
    for group in digits.chunks(17) {
        let len = DIGITS.iter().position(|d| *d == group.len()).ok_or(Error::Length)?;
        let word =
            group.iter().fold(0_u64, |word, d| word * 10 + u64::from(d - b'0')).to_le_bytes();
        let (bytes, rest) = word.split_at(len);
        if rest.iter().any(|b| *b != 0) {
            return Err(Error::Range);
        }
        out.extend_from_slice(bytes);
    }
    Ok(out)
}
