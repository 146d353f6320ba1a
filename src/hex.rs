//! Bytes as hexadecimal digits, and back.

/// Two lower-case digits a byte.
#[cfg(feature = "io")]
pub(crate) fn lower(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that digits of either case stand for; `None` for an odd number of them, and for anything else.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The same for so many bytes. No copy of them is left elsewhere: they may be a secret.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (place, pair) in bytes.iter_mut().zip(pairs) {
        *place = byte(pair)?;
    }
    Some(bytes)
}

fn byte([high, low]: &[u8; 2]) -> Option<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)? << 4 | digit(*low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_either_case_are_read_and_nothing_else() {
        assert_eq!(decode("00aBFf").as_deref(), Some(&[0, 0xab, 0xff][..]));
        assert_eq!(array("00aBFf"), Some([0, 0xab, 0xff]));
        assert_eq!((decode("").as_deref(), array("")), (Some(&[][..]), Some([])));
        for wrong in ["0", "0g", "+1", " 1", "é", "0x"] {
            assert_eq!((decode(wrong), array::<1>(wrong)), (None, None), "{wrong:?}");
        }
        assert_eq!((array::<1>("0000"), array::<2>("00")), (None, None));
    }
}
