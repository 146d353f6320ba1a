//! The advert: 20 bytes of service data that prove nearness, and the optional suffix behind them.
//!
//! Sixteen bytes of plaintext are sealed with one AES block (two phones may scan one QR, so a key
//! stream would be reused) and a tag of four bytes (`tag`). Depends on `keys`, `tunnel` and `cbor`.
//!
//! Specification: CTAP 2.2 section 11.5.1; the suffix is CTAP 2.3's.

mod tag;

use std::fmt;

use aes::Aes256;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use rand_core::{CryptoRng, RngCore};
use subtle::ConstantTimeEq;

use self::tag::TagKey;
use super::keys::EidKey;
use super::tunnel::{RoutingId, TunnelServiceId};
use crate::cbor::{self, Value};

/// Service data of an advert without suffix: 16 sealed bytes and 4 of tag.
pub const ADVERT_LEN: usize = 20;

/// Longest service data that is looked at: a legacy advertisement has 31 bytes in all, an extended
/// one 254. Beyond this a sighting is not ours.
pub const MAX_SERVICE_DATA: usize = 255;

const SEALED_LEN: usize = 16;

/// The 10 random bytes that make each advert, and so each PSK, fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionNonce([u8; 10]);

impl ConnectionNonce {
    /// Draws a nonce; one per transaction.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut bytes = [0; 10];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl From<[u8; 10]> for ConnectionNonce {
    fn from(bytes: [u8; 10]) -> Self {
        Self(bytes)
    }
}

/// What an advert says once opened. `Debug` is redacted: the PSK is derived from these bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdvertPlaintext([u8; 16]);

impl AdvertPlaintext {
    /// Puts the plaintext together: a zero byte, nonce, routing ID, tunnel service in little-endian.
    #[must_use]
    pub fn new(nonce: ConnectionNonce, routing: RoutingId, service: TunnelServiceId) -> Self {
        let mut bytes = [0; 16];
        let fields = nonce.0.into_iter().chain(routing.to_bytes()).chain(service.to_le_bytes());
        bytes.iter_mut().skip(1).zip(fields).for_each(|(b, f)| *b = f);
        Self(bytes)
    }

    /// The 16 bytes, which salt the PSK.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> ConnectionNonce {
        let [_, a, b, c, d, e, f, g, h, i, j, ..] = self.0;
        ConnectionNonce([a, b, c, d, e, f, g, h, i, j])
    }

    /// The routing ID that the tunnel service gave the phone.
    #[must_use]
    pub fn routing_id(&self) -> RoutingId {
        let [.., a, b, c, _, _] = self.0;
        RoutingId::new([a, b, c])
    }

    /// The tunnel service, assigned or not.
    #[must_use]
    pub fn service(&self) -> TunnelServiceId {
        let [.., low, high] = self.0;
        TunnelServiceId::from_le_bytes([low, high])
    }

    /// Reads 16 bytes; `None` unless the reserved first byte is zero.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        matches!(bytes, [0, ..]).then_some(Self(bytes))
    }
}

impl fmt::Debug for AdvertPlaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AdvertPlaintext(redacted, {:?})", self.service())
    }
}

/// An L2CAP protocol/service multiplexer: where the phone's data channel listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Psm(pub u16);

/// What stands behind the 20 bytes. **Not authenticated**: anybody can copy an advert and append a
/// suffix, so a failure to connect to what it names must fall back to the tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdvertSuffix {
    /// The phone offers an L2CAP data channel here.
    pub psm: Option<Psm>,
}

impl AdvertSuffix {
    /// Encodes as the CBOR map {1: PSM}; empty when there is nothing to say.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self.psm {
            Some(Psm(psm)) => cbor::encode(&Value::int_map([(1, Value::Uint(psm.into()))])),
            None => Vec::new(),
        }
    }

    /// Decodes; a suffix that makes no sense is an empty one, so that the advert stays usable.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let map = cbor::decode_lenient(bytes).ok();
        let psm = map.as_ref().and_then(|map| map.get(1)).and_then(Value::as_uint);
        Self { psm: psm.and_then(|psm| u16::try_from(psm).ok()).map(Psm) }
    }
}

/// An advert that belongs to this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// The authenticated part.
    pub plaintext: AdvertPlaintext,
    /// The unauthenticated part.
    pub suffix: AdvertSuffix,
}

/// Seals a plaintext into the 20 bytes of service data.
#[must_use]
pub fn seal(key: &EidKey, plaintext: &AdvertPlaintext) -> [u8; ADVERT_LEN] {
    let mut block = plaintext.0.into();
    aes(key).encrypt_block(&mut block);
    let tag = TagKey::new(key.hmac()).tag(&block.into());
    let mut out = [0; ADVERT_LEN];
    out.iter_mut().zip(block.iter().chain(&tag)).for_each(|(o, b)| *o = *b);
    out
}

/// Tries adverts against one key, with the key schedules kept ready: other phones' adverts come by
/// the thousand, and each costs one HMAC of 16 bytes and nothing else.
#[derive(Clone)]
pub struct TrialOpener {
    aes: Aes256,
    tag: TagKey,
}

impl TrialOpener {
    /// Expands both halves of the key.
    #[must_use]
    pub fn new(key: &EidKey) -> Self {
        Self { aes: aes(key), tag: TagKey::new(key.hmac()) }
    }

    /// Opens an advert if it was sealed for this transaction.
    ///
    /// Phones in other transactions advertise under the same service UUID, so `None` is the usual
    /// answer and callers keep scanning. The tag is compared in constant time. It has 4 bytes only:
    /// a match says "probably ours", and proof comes from the handshake, whose PSK depends on the
    /// returned plaintext. Whether the tunnel service is one that we know is the caller's to judge.
    #[must_use]
    pub fn open(&self, service_data: &[u8]) -> Option<Advert> {
        if service_data.len() > MAX_SERVICE_DATA {
            return None;
        }
        let (sealed, rest) = service_data.split_first_chunk::<SEALED_LEN>()?;
        let (tag, suffix) = rest.split_first_chunk::<4>()?;
        if !bool::from(self.tag.tag(sealed).ct_eq(tag)) {
            return None;
        }
        let mut block = (*sealed).into();
        self.aes.decrypt_block(&mut block);
        let plaintext = AdvertPlaintext::from_bytes(block.into())?;
        Some(Advert { plaintext, suffix: AdvertSuffix::decode(suffix) })
    }
}

impl fmt::Debug for TrialOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrialOpener(redacted)")
    }
}

/// Opens one advert; see [`TrialOpener::open`], which is what a scan should use.
#[must_use]
pub fn trial_open(key: &EidKey, service_data: &[u8]) -> Option<Advert> {
    TrialOpener::new(key).open(service_data)
}

fn aes(key: &EidKey) -> Aes256 {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.aes());
    Aes256::new(&bytes.into())
}
