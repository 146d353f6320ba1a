//! What a QR says: the CBOR map behind `FIDO:/`, both ways.
//!
//! The text is a secret in the sense that whoever has it and is near can take the phone's part; it
//! is never logged. Depends on `digits`, `keys`, `crypto` and `cbor`.
//!
//! Specification: CTAP 2.2 section 11.5.1 (keys 0 to 5), CTAP 2.3 (key 6).

use std::fmt;

use super::crypto::PublicKey;
use super::digits;
use super::keys::QrSecret;
use crate::cbor::{self, Value};

/// What a QR text begins with; written in upper case, for the QR's alphanumeric mode.
pub const SCHEME: &str = "FIDO:/";

/// Longest CBOR taken from a QR, in bytes. A usual one has 69 to 74.
pub const MAX_CBOR: usize = 1024;

/// Longest text taken: the digits of [`MAX_CBOR`] bytes behind the scheme.
pub const MAX_TEXT: usize = SCHEME.len() + MAX_CBOR.div_ceil(7) * 17;

/// Why a text is not a hybrid QR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It begins otherwise; most likely another kind of code.
    #[error("the text does not begin with {SCHEME}")]
    Scheme,
    /// Longer than [`MAX_TEXT`].
    #[error("the text is longer than {MAX_TEXT} characters")]
    TooLong,
    /// The digits do not decode.
    #[error("the digits behind {SCHEME} are damaged")]
    Digits(#[from] digits::Error),
    /// The decoded bytes are not CBOR.
    #[error("the digits do not hold a CBOR map")]
    Cbor(#[from] cbor::Error),
    /// A member that must be there is not, or a member has a wrong type or length.
    #[error("member {0} is missing or has the wrong form")]
    Member(u8),
    /// Member 0 is not a point on P-256.
    #[error("the public key is not on the curve")]
    PublicKey,
}

/// What the laptop is going to ask: it lets the phone show the right thing early and restricts
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `mc`: a registration follows.
    MakeCredential,
    /// `ga`: a sign-in follows. Also stands for any hint that we do not know.
    GetAssertion,
    /// `dcp`: a digital credential is to be shown.
    DigitalCredentialPresentation,
    /// `dci`: a digital credential is to be issued.
    DigitalCredentialIssuance,
}

impl Hint {
    /// The text on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MakeCredential => "mc",
            Self::GetAssertion => "ga",
            Self::DigitalCredentialPresentation => "dcp",
            Self::DigitalCredentialIssuance => "dci",
        }
    }

    /// Reads the text; the unknown is [`Hint::GetAssertion`].
    #[must_use]
    pub fn from_wire(text: &str) -> Self {
        match text {
            "mc" => Self::MakeCredential,
            "dcp" => Self::DigitalCredentialPresentation,
            "dci" => Self::DigitalCredentialIssuance,
            _ => Self::GetAssertion,
        }
    }
}

/// A data channel that the laptop can use, key 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// 0: a WebSocket to the tunnel service.
    Tunnel = 0,
    /// 1: a Bluetooth LE L2CAP channel, without internet.
    L2cap = 1,
}

impl ChannelKind {
    /// The name for machines: `tunnel` or `bluetooth`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::L2cap => "bluetooth",
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tunnel => "tunnel",
            Self::L2cap => "connection over Bluetooth",
        })
    }
}

/// The contents of a QR. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct QrContents {
    /// Key 0: the laptop's identity key for this transaction.
    pub identity: PublicKey,
    /// Key 1: the secret from which everything is derived.
    pub secret: QrSecret,
    /// Key 2: how many assigned tunnel services the laptop knows. A phone uses an assigned one below
    /// this number, or a hashed one.
    pub known_services: u64,
    /// Key 3: when it was shown, Unix seconds.
    pub shown_at: Option<u64>,
    /// Key 4: the laptop wants linking information. Absent and false mean the same but differ on the
    /// wire.
    pub wants_linking: Option<bool>,
    /// Key 5; absent means a sign-in, see [`intent`](Self::intent).
    pub hint: Option<Hint>,
    /// Key 6: absent means the tunnel only. Some phones refuse a QR that has it.
    pub channels: Option<Vec<ChannelKind>>,
    /// An unknown member that some senders add so that readers keep ignoring such: its key and
    /// unsigned value.
    pub grease: Option<(u16, u64)>,
}

impl fmt::Debug for QrContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QrContents({:?}, redacted)", self.intent())
    }
}

impl QrContents {
    /// The `FIDO:/` text.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{SCHEME}{}", digits::encode(&self.encode_cbor()))
    }

    /// The CBOR map behind the digits.
    #[must_use]
    pub fn encode_cbor(&self) -> Vec<u8> {
        let mut map = vec![
            (0, Value::from(self.identity.compressed())),
            (1, Value::from(*self.secret.expose())),
            (2, Value::Uint(self.known_services)),
        ];
        map.extend(self.shown_at.map(|t| (3, Value::Uint(t))));
        map.extend(self.wants_linking.map(|l| (4, Value::Bool(l))));
        map.extend(self.hint.map(|h| (5, Value::from(h.as_str()))));
        if let Some(channels) = &self.channels {
            let ids = channels.iter().map(|c| Value::Uint(*c as u64)).collect();
            map.push((6, Value::Array(ids)));
        }
        map.extend(self.grease.map(|(key, value)| (key.into(), Value::Uint(value))));
        cbor::encode(&Value::int_map(map))
    }

    /// Reads a `FIDO:/` text, its scheme in any case.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the length is checked before anything is decoded.
    pub fn decode(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            return Err(Error::TooLong);
        }
        let (scheme, digits) = text.split_at_checked(SCHEME.len()).ok_or(Error::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(Error::Scheme);
        }
        Self::decode_cbor(&digits::decode(digits)?)
    }

    /// Reads the CBOR map behind the digits.
    ///
    /// Unknown members are ignored; a known one of the wrong type refuses the whole, except key 6,
    /// which had another type in older laptops and then says nothing.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn decode_cbor(bytes: &[u8]) -> Result<Self, Error> {
        let map = cbor::decode_lenient(bytes)?;
        let entries = map.as_map().ok_or(Error::Cbor(cbor::Error::Unsupported))?;
        let identity = map.get(0).and_then(Value::as_bytes).filter(|k| k.len() == 33);
        let secret = map.get(1).and_then(Value::as_bytes).and_then(|s| s.try_into().ok());
        let identity = identity.ok_or(Error::Member(0))?;
        Ok(Self {
            identity: PublicKey::from_sec1(identity).ok_or(Error::PublicKey)?,
            secret: QrSecret::new(secret.ok_or(Error::Member(1))?),
            known_services: member(&map, 2, Value::as_uint)?.unwrap_or_default(),
            shown_at: member(&map, 3, Value::as_uint)?,
            wants_linking: member(&map, 4, Value::as_bool)?,
            hint: member(&map, 5, Value::as_text)?.map(Hint::from_wire),
            channels: map.get(6).and_then(Value::as_array).map(channels),
            grease: entries.iter().find_map(grease),
        })
    }

    /// What the laptop is going to ask, as far as it says.
    #[must_use]
    pub fn intent(&self) -> Hint {
        self.hint.unwrap_or(Hint::GetAssertion)
    }

    /// Whether the laptop can use this data channel.
    #[must_use]
    pub fn offers(&self, channel: ChannelKind) -> bool {
        match &self.channels {
            Some(channels) => channels.contains(&channel),
            None => channel == ChannelKind::Tunnel,
        }
    }
}

/// An optional member: absent is fine, of another type is not.
fn member<'a, T>(
    map: &'a Value,
    key: u8,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, Error> {
    match map.get(key.into()) {
        Some(value) => read(value).map(Some).ok_or(Error::Member(key)),
        None => Ok(None),
    }
}

fn channels(ids: &[Value]) -> Vec<ChannelKind> {
    let known = |id: &Value| match id.as_uint() {
        Some(0) => Some(ChannelKind::Tunnel),
        Some(1) => Some(ChannelKind::L2cap),
        _ => None,
    };
    ids.iter().filter_map(known).collect()
}

fn grease((key, value): &(Value, Value)) -> Option<(u16, u64)> {
    let key = key.as_uint().filter(|k| *k > 6)?;
    Some((u16::try_from(key).ok()?, value.as_uint()?))
}
