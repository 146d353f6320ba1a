//! `clientDataJSON`: the bytes that the passkey's signature binds to challenge and origin.
//!
//! Written by hand, because the order and the escapes are fixed: verifiers may compare bytes.
//! Pure; depends on SHA-256 only.
//!
//! Specification: WebAuthn Level 3, section 5.8.1.1.

use sha2::{Digest, Sha256};

use super::base64url::Base64Url;
use super::origin::Origin;

/// Which ceremony the client data belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

/// The serialized client data.
#[derive(Clone, Debug)]
pub(super) struct ClientData(Vec<u8>);

impl ClientData {
    pub(super) fn new(ceremony: Ceremony, challenge: &Base64Url, origin: &Origin) -> Self {
        let kind = match ceremony {
            Ceremony::Create => "webauthn.create",
            Ceremony::Get => "webauthn.get",
        };
        let challenge = challenge.encode();
        let members = [("type", kind), ("challenge", &challenge), ("origin", origin.as_str())];
        let mut json = String::from("{");
        for (name, value) in members {
            json.extend(["\"", name, "\":"]);
            quote(value, &mut json);
            json.push(',');
        }
        json.push_str("\"crossOrigin\":false}");
        Self(json.into_bytes())
    }

    /// SHA-256 of the bytes, which is all the phone gets to see.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The specification's `CCDToString`.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_specifications() {
        let origin = "https://example.org".parse().unwrap();
        let data = ClientData::new(Ceremony::Create, &vec![0xfb, 0xff].into(), &origin);
        let expected = r#"{"type":"webauthn.create","challenge":"-_8","origin":"https://example.org","crossOrigin":false}"#;
        assert_eq!(data.hash()[..], Sha256::digest(expected)[..]);
        assert_eq!(String::from_utf8(data.into_bytes()).unwrap(), expected);
    }

    #[test]
    fn quoting_escapes_what_must_be_and_no_more() {
        let mut out = String::new();
        quote("a\"b\\c\u{1}\u{1f}\u{7f}/\u{e9}", &mut out);
        assert_eq!(out, "\"a\\\"b\\\\c\\u0001\\u001f\u{7f}/\u{e9}\"");
    }
}
