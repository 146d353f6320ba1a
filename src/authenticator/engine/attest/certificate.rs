//! A certificate for a passkey's own key, signed by that key: packed attestation for programs that take
//! nothing without a certificate, such as pamu2fcfg 1.1.0.
//!
//! It vouches for nothing, says so in its name, and tells no two passkeys to be of one phone, since each has
//! its own. Pure: no clock, since it does not expire. Specification: WebAuthn 3, section 8.2.1; RFC 5280.

use p256::ecdsa::Signature;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};

/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// Country, organisation, unit and common name below 2.5.4, in the order that they stand in.
const NAME: [(u8, &str); 4] = [
    (6, "ZZ"),
    (10, "cabled"),
    (11, "Authenticator Attestation"),
    (3, "Signed by the passkey itself"),
];
/// Basic constraints, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// The make, 1.3.6.1.4.1.45724.1.1.4.
const FIDO_AAGUID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04];

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The certificate in DER, for a key whose public half is `spki`.
pub(super) fn certificate(key: &SigningKey, spki: &[u8], aaguid: &[u8; 16]) -> Vec<u8> {
    let algorithm = of(SEQUENCE, &[&of(OBJECT, &[ECDSA_SHA256])]);
    let name = name();
    let validity = of(
        SEQUENCE,
        // The latest there is means that it does not expire (RFC 5280, section 4.1.2.5).
        &[&of(UTC_TIME, &[b"000101000000Z"]), &of(GENERALIZED_TIME, &[b"99991231235959Z"])],
    );
    let constraints = of(
        SEQUENCE,
        &[
            &of(OBJECT, &[BASIC_CONSTRAINTS]),
            &of(BOOLEAN, &[&[0xff]]),
            &of(OCTET_STRING, &[&of(SEQUENCE, &[])]),
        ],
    );
    let make = of(
        SEQUENCE,
        &[&of(OBJECT, &[FIDO_AAGUID]), &of(OCTET_STRING, &[&of(OCTET_STRING, &[aaguid])])],
    );
    let content = of(
        SEQUENCE,
        &[
            &of(VERSION, &[&of(INTEGER, &[&[2]])]),
            &of(INTEGER, &[&serial(spki)]),
            &algorithm,
            &name,
            &validity,
            &name,
            spki,
            &of(EXTENSIONS, &[&of(SEQUENCE, &[&constraints, &make])]),
        ],
    );
    let signature: Signature = key.sign(&content);
    let signature = of(BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
    of(SEQUENCE, &[&content, &algorithm, &signature])
}

fn name() -> Vec<u8> {
    let part = |(kind, text): (u8, &str)| {
        // A country is written in the older alphabet.
        let text = of(if kind == 6 { PRINTABLE } else { UTF8 }, &[text.as_bytes()]);
        of(SET, &[&of(SEQUENCE, &[&of(OBJECT, &[&[0x55, 0x04, kind]]), &text])])
    };
    let parts = NAME.map(part);
    of(SEQUENCE, &parts.each_ref().map(Vec::as_slice))
}

/// Positive, and another one for each key.
fn serial(spki: &[u8]) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(spki).into();
    let mut serial = [0; 16];
    serial.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    let [first, ..] = &mut serial;
    *first = *first & 0x3f | 0x40;
    serial
}

/// One element of DER, below 64 KiB.
fn of(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, short @ 0..=0x7f) => &[tag, short],
        (0, long) => &[tag, 0x81, long],
        (high, low) => &[tag, 0x82, high, low],
    };
    [head, &content].concat()
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::signature::Verifier as _;

    use super::*;
    use crate::ctap::Es256PublicKey;

    const AAGUID: [u8; 16] = [7; 16];

    fn made(scalar: u8) -> (SigningKey, Vec<u8>, Vec<u8>) {
        let key = SigningKey::from_slice(&[scalar; 32]).unwrap();
        let point = key.verifying_key().to_encoded_point(false);
        let spki = Es256PublicKey::from_sec1(point.as_bytes()).unwrap().to_spki();
        let certificate = certificate(&key, &spki, &AAGUID);
        (key, spki, certificate)
    }

    /// The first element: tag, content, and what comes after it.
    fn split(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
        let (length, head) = match bytes[1] {
            short @ 0..=0x7f => (usize::from(short), 2),
            0x81 => (usize::from(bytes[2]), 3),
            0x82 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            other => panic!("{other}"),
        };
        (bytes[0], &bytes[head..head + length], &bytes[head + length..])
    }

    fn elements(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (tag, content, rest) = split(bytes);
            all.push((tag, content));
            bytes = rest;
        }
        all
    }

    #[test]
    fn it_is_signed_by_the_key_that_is_in_it_and_names_the_make() {
        let (key, spki, certificate) = made(1);
        let (SEQUENCE, body, []) = split(&certificate) else { panic!("{certificate:02x?}") };
        let [(SEQUENCE, content), (SEQUENCE, algorithm), (BIT_STRING, [0, signature @ ..])] =
            elements(body)[..]
        else {
            panic!("{body:02x?}")
        };
        // The content with its head, of four bytes as it is longer than 255.
        let signed = &body[..content.len() + 4];
        let signature = Signature::from_der(signature).unwrap();
        key.verifying_key().verify(signed, &signature).unwrap();
        assert_eq!(elements(algorithm), [(OBJECT, ECDSA_SHA256)]);
        let parts = elements(content);
        let tags: Vec<_> = parts.iter().map(|(tag, _)| *tag).collect();
        let all = [VERSION, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, EXTENSIONS];
        assert_eq!(tags, all);
        assert_eq!(parts[3], parts[5], "issuer and subject are the same");
        assert_eq!(split(&spki).1, parts[6].1);
        let units = elements(parts[5].1);
        assert!(units[2].1.ends_with(b"Authenticator Attestation"));
        assert!(parts[7].1.windows(16).any(|window| window == AAGUID));
    }

    #[test]
    fn each_passkey_has_one_of_its_own() {
        let (one, other) = (made(1).2, made(2).2);
        assert_ne!(one, other);
        assert_ne!(serial(&made(1).1), serial(&made(2).1));
        assert!((0x40..0x80).contains(&serial(&made(3).1)[0]));
    }
}
