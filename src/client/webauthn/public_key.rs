//! A passkey's public key as SubjectPublicKeyInfo, the form that web pages can import.
//!
//! Depends on [`crate::ctap`], [`crate::cbor`] and the P-256 curve.
//!
//! Specification: WebAuthn Level 3, section 5.2.1.1 (ES256, EdDSA and RS256 are a must).

use super::error::AnswerError;
use crate::cbor::Value;
use crate::ctap::CosePublicKey;

const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// SPKI in DER; `None` for a kind of key that this client does not know.
///
/// A P-256 point is checked to be on the curve: a page would otherwise find out much later.
pub(super) fn spki(key: &CosePublicKey) -> Result<Option<Vec<u8>>, AnswerError> {
    match key {
        CosePublicKey::Es256(key) => {
            p256::PublicKey::from_sec1_bytes(&key.to_sec1()).map_err(|_| AnswerError::PublicKey)?;
            Ok(Some(key.to_spki()))
        }
        CosePublicKey::Other(value) => Ok(other_spki(value)),
    }
}

fn other_spki(key: &Value) -> Option<Vec<u8>> {
    let member = |label: i64| {
        let entry = key.as_map()?.iter().find(|(k, _)| k.as_int() == Some(label));
        entry.map(|(_, value)| value)
    };
    let bytes = |label| member(label).and_then(Value::as_bytes);
    match (member(1)?.as_int()?, member(3)?.as_int()?) {
        (1, EDDSA) if member(-1)?.as_int() == Some(6) => ed25519(bytes(-2)?),
        (3, RS256) => rsa(bytes(-1)?, bytes(-2)?),
        _ => None,
    }
}

fn ed25519(x: &[u8]) -> Option<Vec<u8>> {
    let algorithm = der(0x30, &[&[0x06, 3, 0x2b, 0x65, 0x70]])?;
    let key = der(0x03, &[&[0], x])?;
    if x.len() == 32 { der(0x30, &[&algorithm, &key]) } else { None }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    const RSA_ENCRYPTION: [u8; 13] =
        [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];
    let key = der(0x30, &[&der_unsigned(modulus)?, &der_unsigned(exponent)?])?;
    let algorithm = der(0x30, &[&RSA_ENCRYPTION])?;
    der(0x30, &[&algorithm, &der(0x03, &[&[0], &key])?])
}

/// DER integers are signed: a zero byte goes before a set top bit, and leading zeros go away.
fn der_unsigned(bytes: &[u8]) -> Option<Vec<u8>> {
    let start = bytes.iter().position(|b| *b != 0)?;
    let bytes = bytes.get(start..)?;
    let sign: &[u8] = if bytes.first()? & 0x80 == 0 { &[] } else { &[0] };
    der(0x02, &[sign, bytes])
}

fn der(tag: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let body = parts.concat();
    let len = u16::try_from(body.len()).ok()?;
    let [high, low] = len.to_be_bytes();
    let header = match len {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    Some([header, body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(n: i64) -> Value {
        Value::int(n)
    }

    #[test]
    fn ed25519_is_the_form_of_rfc_8410() {
        let key = Value::Map(vec![
            (int(1), int(1)),
            (int(3), int(-8)),
            (int(-1), int(6)),
            (int(-2), Value::from([9; 32])),
        ]);
        let spki = spki(&CosePublicKey::Other(key)).unwrap().unwrap();
        assert_eq!(spki[..12], [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]);
        assert_eq!(spki[12..], [9; 32]);
    }

    #[test]
    fn rsa_has_a_sign_byte_and_long_lengths() {
        let key = Value::Map(vec![
            (int(1), int(3)),
            (int(3), int(-257)),
            (int(-1), Value::from(vec![0x81; 256])),
            (int(-2), Value::from([1, 0, 1])),
        ]);
        let spki = spki(&CosePublicKey::Other(key)).unwrap().unwrap();
        // The length of every 2048-bit RSA SPKI with exponent 65537.
        assert_eq!(spki.len(), 294);
        assert_eq!(spki[..4], [0x30, 0x82, 0x01, 0x22]);
        assert_eq!(spki[28..38], [0x02, 0x82, 1, 1, 0, 0x81, 0x81, 0x81, 0x81, 0x81]);
        assert!(spki.ends_with(&[0x02, 3, 1, 0, 1]));
    }

    #[test]
    fn unknown_keys_have_no_spki() {
        let key = Value::Map(vec![(int(1), int(2)), (int(3), int(-47))]);
        assert_eq!(spki(&CosePublicKey::Other(key)), Ok(None));
        assert_eq!(spki(&CosePublicKey::Other(Value::Null)), Ok(None));
    }
}
