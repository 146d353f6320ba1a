//! The phone's first sealed message: what it is and what it can.
//!
//! Chromium wants this map canonical, keys ascending; phones of the first revision pad it in
//! another way. Depends on `cbor` and `linking`.
//!
//! Specification: CTAP 2.2 section 11.5.1, post-handshake message.

use super::linking::LinkingInfo;
use crate::cbor::{self, Value};

/// An application that a phone offers over the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `ctap`: CTAP2 messages, type 1.
    Ctap,
    /// `dc`: digital credentials as JSON, type 3.
    DigitalCredentials,
    /// Any other text, kept.
    Unknown(String),
}

impl Feature {
    fn as_str(&self) -> &str {
        match self {
            Self::Ctap => "ctap",
            Self::DigitalCredentials => "dc",
            Self::Unknown(text) => text,
        }
    }

    fn from_wire(text: &str) -> Self {
        match text {
            "ctap" => Self::Ctap,
            "dc" => Self::DigitalCredentials,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

/// The post-handshake message was not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither a CBOR map nor the padded map of the first revision.
    #[error("the phone's first message is not a CBOR map")]
    Cbor(#[source] cbor::Error),
    /// Key 1 (getInfo) or key 3 (features) has the wrong type.
    #[error("the phone's first message has a member of the wrong type")]
    Member,
    /// Features and getInfo contradict each other: CTAP without getInfo, or the reverse.
    #[error("the phone's first message does not say how it is to be used")]
    Contradiction,
}

/// The decoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostHandshake {
    /// Key 1: the CBOR of authenticatorGetInfo without its status byte, as sent. Present exactly
    /// when [`Feature::Ctap`] is offered.
    pub get_info: Option<Vec<u8>>,
    /// Key 3; absent on the wire means CTAP alone.
    pub features: Vec<Feature>,
    /// Key 2, where phones of the first revision put linking information.
    pub linking: Option<LinkingInfo>,
}

impl PostHandshake {
    /// A phone that speaks CTAP2 and has no digital credentials.
    #[must_use]
    pub fn ctap(get_info: Vec<u8>) -> Self {
        Self { get_info: Some(get_info), features: vec![Feature::Ctap], linking: None }
    }

    /// The canonical map.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let features = self.features.iter().map(|f| Value::from(f.as_str())).collect();
        let mut map = vec![(3, Value::Array(features))];
        map.extend(self.get_info.as_deref().map(|info| (1, Value::from(info))));
        map.extend(self.linking.as_ref().map(|linking| (2, linking.to_value())));
        cbor::encode(&Value::int_map(map))
    }

    /// Reads the map, bare or padded as in the first revision.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let map = cbor::decode_lenient(bytes).or_else(|e| {
            let padded = first_revision(bytes).ok_or(e)?;
            cbor::decode_lenient(padded)
        });
        let map = map.map_err(Error::Cbor)?;
        map.as_map().ok_or(Error::Member)?;
        let get_info = match map.get(1) {
            Some(info) => Some(info.as_bytes().ok_or(Error::Member)?.to_vec()),
            None => None,
        };
        let features = match map.get(3) {
            Some(list) => features(list).ok_or(Error::Member)?,
            None => vec![Feature::Ctap],
        };
        if features.contains(&Feature::Ctap) != get_info.is_some() {
            return Err(Error::Contradiction);
        }
        let linking = map.get(2).and_then(LinkingInfo::from_value);
        Ok(Self { get_info, features, linking })
    }
}

fn features(list: &Value) -> Option<Vec<Feature>> {
    list.as_array()?.iter().map(|f| f.as_text().map(Feature::from_wire)).collect()
}

/// The first revision padded with zeros to a multiple of 512 bytes, the last two of which count
/// the zeros in little-endian; earlier still, to 256 with one such byte.
fn first_revision(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, zeros) = match bytes.len() {
        n if n > 0 && n.is_multiple_of(512) => {
            let (rest, zeros) = bytes.split_last_chunk::<2>()?;
            (rest, usize::from(u16::from_le_bytes(*zeros)))
        }
        n if n > 0 && n.is_multiple_of(256) => {
            let (zeros, rest) = bytes.split_last()?;
            (rest, usize::from(*zeros))
        }
        _ => return None,
    };
    rest.get(..rest.len().checked_sub(zeros)?)
}
