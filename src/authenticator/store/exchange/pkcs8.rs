//! Private keys of P-256 in PKCS #8, as the exchange format has them. Pure.
//!
//! Specification: RFC 5958 (the outer structure), RFC 5915 (the inner one).

use zeroize::Zeroizing;

use crate::secret::Secret;

const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const PRIME_256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// All but the key of the only structure that is written here.
const HEAD: [u8; 35] = [
    SEQUENCE, 65, INTEGER, 1, 0, SEQUENCE, 19, OID, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, OID, 8,
    0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, OCTETS, 39, SEQUENCE, 37, INTEGER, 1, 1, OCTETS, 32,
];

/// Why bytes are no key that can be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// One of another kind.
    OtherAlgorithm,
    /// Not PKCS #8, or not a number that a key can be.
    Broken,
}

pub(super) fn encode(key: &Secret<32>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(HEAD.len() + 32));
    out.extend_from_slice(&HEAD);
    out.extend_from_slice(key.expose());
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Secret<32>, NoKey> {
    let (sequence, rest) = element(SEQUENCE, bytes).ok_or(NoKey::Broken)?;
    if !rest.is_empty() {
        return Err(NoKey::Broken);
    }
    let (_version, rest) = element(INTEGER, sequence).ok_or(NoKey::Broken)?;
    let (algorithm, rest) = element(SEQUENCE, rest).ok_or(NoKey::Broken)?;
    let (kind, parameters) = element(OID, algorithm).ok_or(NoKey::Broken)?;
    let curve = element(OID, parameters).map(|(curve, _)| curve);
    if kind != EC_PUBLIC_KEY || curve != Some(&PRIME_256[..]) {
        return Err(NoKey::OtherAlgorithm);
    }
    scalar(rest).ok_or(NoKey::Broken)
}

fn scalar(rest: &[u8]) -> Option<Secret<32>> {
    let (key, _attributes) = element(OCTETS, rest)?;
    let (key, _) = element(SEQUENCE, key)?;
    let (_version, rest) = element(INTEGER, key)?;
    let (scalar, _public) = element(OCTETS, rest)?;
    let secret = Secret::try_from(scalar).ok()?;
    p256::SecretKey::from_slice(secret.expose()).ok().map(|_| secret)
}

/// The content of an element with that tag, and what follows; lengths of up to two bytes.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        0..=0x7f => (usize::from(*short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_half_of_one_does_not() {
        let key = Secret::new([7; 32]);
        let bytes = encode(&key);
        assert_eq!(decode(&bytes).unwrap(), key);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(decode(&encode(&Secret::new([0; 32]))), Err(NoKey::Broken));
        assert_eq!(decode(&encode(&Secret::new([0xff; 32]))), Err(NoKey::Broken));
        let mut other = bytes.clone();
        other[25] = 8;
        assert_eq!(decode(&other), Err(NoKey::OtherAlgorithm));
    }

    /// Ed25519, with its parameters absent (RFC 8410, section 10.3).
    #[test]
    fn another_algorithm_is_told_from_a_broken_key() {
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        assert_eq!(decode(&[&head[..], &[1; 32]].concat()), Err(NoKey::OtherAlgorithm));
    }
}
