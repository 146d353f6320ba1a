//! Hex, base32 digits and base64url: the three alphabets of tunnel URLs.
//!
//! Depends on nothing. Written out because the pure core carries no encoding crate.

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Only the low 5 bits of `value` count.
pub(super) fn base32_digit(value: u8) -> char {
    BASE32.get(usize::from(value & 31)).copied().map_or('a', char::from)
}

/// Upper case, as the specification prints it.
pub(super) fn encode_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).map(|c| c.to_ascii_uppercase()).collect()
}

/// Without padding.
pub(super) fn encode_base64url(bytes: &[u8]) -> String {
    let digit = |bits: u32| BASE64.get((bits & 63) as usize).copied().map_or('A', char::from);
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        [18, 12, 6, 0].map(|shift| digit(bits >> shift)).into_iter().take(chunk.len() + 1)
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// Without padding; `None` also for bits left over that are not zero, so that each byte string has
/// one spelling.
pub(super) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let groups = text.as_bytes().chunks(4).map(decode_group).collect::<Option<Vec<_>>>()?;
    Some(groups.concat())
}

fn decode_group(group: &[u8]) -> Option<Vec<u8>> {
    let mut bits = 0_u32;
    for digit in group {
        bits = bits << 6 | u32::try_from(BASE64.iter().position(|c| c == digit)?).ok()?;
    }
    bits <<= 6 * (4 - group.len());
    let [_, bytes @ ..] = bits.to_be_bytes();
    let (value, rest) = bytes.split_at_checked(group.len().checked_sub(1)?)?;
    (group.len() > 1 && rest.iter().all(|byte| *byte == 0)).then(|| value.to_vec())
}
