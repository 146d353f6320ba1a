//! A certificate authority to throw away, and one certificate of it for a tunnel service.
//!
//! The few forms of DER that this takes are written here, in place of a crate for all of them. Nothing is
//! revoked and nothing expires: the authority's key is gone when [`issue`] returns. RFC 5280, RFC 5958.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::authenticator::Random;
use crate::ctap::Es256PublicKey;

/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-ecPublicKey with secp256r1, as an AlgorithmIdentifier.
const EC_P256: &[u8] = &[
    0x30, 0x13, 0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    3, 1, 7,
];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

/// What was issued, in PEM form.
pub(super) struct Issued {
    /// The authority's certificate.
    pub(super) authority: String,
    /// The service's certificate.
    pub(super) certificate: String,
    /// Its key.
    pub(super) key: Zeroizing<String>,
    /// SHA-256 of its public key in base64: what Chromium can be told to believe.
    pub(super) pin: String,
}

/// Issues a certificate for these host names and for 127.0.0.1.
pub(super) fn issue(names: &[&str], mut rng: Random<'_>) -> Issued {
    let [authority, service] = [(); 2].map(|()| SigningKey::random(&mut rng));
    let [issuer, subject] = ["cabled testbed authority", "cabled testbed relay"].map(name);
    // Critical: an authority, whose key signs certificates.
    let usage = [
        extension(BASIC_CONSTRAINTS, true, &of(SEQUENCE, &[&[0x01, 1, 0xff]])),
        extension(KEY_USAGE, true, &[BIT_STRING, 2, 2, 0x04]),
    ];
    let own = certificate(&authority, &issuer, (&issuer, &authority), &usage);
    let hosts: Vec<_> = names.iter().map(|name| of(DNS_NAME, &[name.as_bytes()])).collect();
    let hosts = of(SEQUENCE, &[&hosts.concat(), &of(ADDRESS, &[&[127, 0, 0, 1]])]);
    let hosts = [extension(ALTERNATIVE_NAMES, false, &hosts)];
    let issued = certificate(&service, &subject, (&issuer, &authority), &hosts);
    Issued {
        authority: pem("CERTIFICATE", &own),
        certificate: pem("CERTIFICATE", &issued),
        key: Zeroizing::new(pem("PRIVATE KEY", &pkcs8(&service))),
        pin: STANDARD.encode(Sha256::digest(spki(&service))),
    }
}

fn certificate(
    key: &SigningKey,
    subject: &[u8],
    (issuer, signer): (&[u8], &SigningKey),
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let algorithm = of(SEQUENCE, &[&of(OBJECT, &[ECDSA_SHA256])]);
    // The latest there is means that it does not expire (RFC 5280, section 4.1.2.5).
    let validity = of(
        SEQUENCE,
        &[&of(UTC_TIME, &[b"000101000000Z"]), &of(GENERALIZED_TIME, &[b"99991231235959Z"])],
    );
    let spki = spki(key);
    let [a, b, c, d, e, f, g, ..]: [u8; 32] = Sha256::digest(&spki).into();
    // Positive, and another one for each key.
    let serial = [a & 0x3f | 0x40, b, c, d, e, f, g];
    let content = of(
        SEQUENCE,
        &[
            &of(0xa0, &[&of(INTEGER, &[&[2]])]),
            &of(INTEGER, &[&serial]),
            &algorithm,
            issuer,
            &validity,
            subject,
            &spki,
            &of(0xa3, &[&of(SEQUENCE, &[&extensions.concat()])]),
        ],
    );
    let signature: Signature = signer.sign(&content);
    let signature = of(BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
    of(SEQUENCE, &[&content, &algorithm, &signature])
}

fn name(text: &str) -> Vec<u8> {
    let part = of(SEQUENCE, &[&of(OBJECT, &[COMMON_NAME]), &of(UTF8, &[text.as_bytes()])]);
    of(SEQUENCE, &[&of(SET, &[&part])])
}

fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 1, 0xff] } else { &[] };
    of(SEQUENCE, &[&of(OBJECT, &[id]), critical, &of(OCTET_STRING, &[content])])
}

fn point(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_encoded_point(false).as_bytes().to_vec()
}

fn spki(key: &SigningKey) -> Vec<u8> {
    // An uncompressed point always has the form that is read here.
    Es256PublicKey::from_sec1(&point(key)).map_or_else(Vec::new, Es256PublicKey::to_spki)
}

fn pkcs8(key: &SigningKey) -> Zeroizing<Vec<u8>> {
    let secret = Zeroizing::new(key.to_bytes());
    let public = of(0xa1, &[&of(BIT_STRING, &[&[0], &point(key)])]);
    let inner = Zeroizing::new(of(
        SEQUENCE,
        &[&of(INTEGER, &[&[1]]), &Zeroizing::new(of(OCTET_STRING, &[&secret])), &public],
    ));
    let wrapped = Zeroizing::new(of(OCTET_STRING, &[&inner]));
    Zeroizing::new(of(SEQUENCE, &[&of(INTEGER, &[&[0]]), EC_P256, &wrapped]))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + "-----END " + label + "-----\n"
}

/// One element of DER, below 64 KiB.
fn of(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = Zeroizing::new(parts.concat());
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, short @ 0..=0x7f) => &[tag, short],
        (0, long) => &[tag, 0x81, long],
        (high, low) => &[tag, 0x82, high, low],
    };
    [head, &content].concat()
}
