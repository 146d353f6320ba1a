//! Bytes that WebAuthn's JSON writes as base64url without padding. Depends on serde only.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Padding is never written; some servers write it, and nothing is won by refusing it.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes whose JSON form is base64url without padding.
///
/// `Debug` prints the length only: some of these are derived secrets, others name a person.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Base64Url(pub Vec<u8>);

impl Base64Url {
    /// Reads base64url, with or without padding; `None` if it is anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        ENGINE.decode(text).ok().map(Self)
    }

    /// Writes base64url without padding.
    #[must_use]
    pub fn encode(&self) -> String {
        ENGINE.encode(&self.0)
    }
}

impl<T: Into<Vec<u8>>> From<T> for Base64Url {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Base64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Url({} bytes)", self.0.len())
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| D::Error::custom("a value is not base64url"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_read_but_never_written() {
        assert_eq!(Base64Url::decode("-_8"), Some(Base64Url(vec![0xfb, 0xff])));
        assert_eq!(Base64Url::decode("-_8="), Some(Base64Url(vec![0xfb, 0xff])));
        assert_eq!(Base64Url(vec![0xfb, 0xff]).encode(), "-_8");
    }

    #[test]
    fn the_other_alphabet_is_refused() {
        assert_eq!(Base64Url::decode("+/8"), None);
        assert_eq!(Base64Url::decode("a b"), None);
    }
}
