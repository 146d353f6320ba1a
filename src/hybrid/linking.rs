//! Linking: what a phone hands out so that the next transaction needs no QR, and how it is proven.
//!
//! The information comes in an update message (or, from old phones, in the post-handshake message)
//! of a QR-initiated transaction. Its signature ties it to that handshake; nothing unsigned is ever
//! stored. Depends on `crypto`, `keys`, `noise` types, `qr::Hint`, `tunnel` and `cbor`.
//!
//! Specification: CTAP 2.2 section 11.5.1, linking and state-assisted transactions.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::crypto::{PrivateKey, PublicKey};
use super::keys::{ClientNonce, LinkSecret};
use super::noise::HandshakeHash;
use super::qr::Hint;
use super::tunnel::{ContactId, TunnelServiceId};
use crate::cbor::{self, Value};

/// Longest phone name taken, in bytes of UTF-8.
pub const MAX_NAME: usize = 256;

/// Which link of the phone is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(pub [u8; 8]);

/// What a phone says about itself, unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkingInfo {
    /// Key 1.
    pub contact_id: ContactId,
    /// Key 2.
    pub link_id: LinkId,
    /// Key 3.
    pub link_secret: LinkSecret,
    /// Key 4: the phone's identity key.
    pub identity: PublicKey,
    /// Key 5: for people. Untrusted text.
    pub name: String,
    /// Key 6: proof that the phone has the identity key and was in this handshake.
    pub signature: [u8; 32],
}

/// Linking information whose signature held: a laptop may store it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedDevice {
    /// How to reach it.
    pub contact_id: ContactId,
    /// Which link.
    pub link_id: LinkId,
    /// The secret of the link; store it sealed.
    pub link_secret: LinkSecret,
    /// Who it is: the key of the store.
    pub identity: PublicKey,
    /// What to call it.
    pub name: String,
    /// Where it can be contacted: the service of the advert that it came with.
    pub service: TunnelServiceId,
}

/// The signature of linking information: an HMAC over the handshake hash under the agreement of
/// the phone's identity key and the key in the QR, which either side can compute.
#[must_use]
pub fn sign(own: &PrivateKey, peer: &PublicKey, hash: &HandshakeHash) -> [u8; 32] {
    mac(own, peer, hash).map(|mac| mac.finalize().into_bytes().into()).unwrap_or_default()
}

fn mac(own: &PrivateKey, peer: &PublicKey, hash: &HandshakeHash) -> Option<Hmac<Sha256>> {
    // A checked point always agrees; the length always suits.
    let shared = own.agree(peer.as_bytes())?;
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(shared.expose()).ok()?;
    Some(mac.chain_update(hash.as_bytes()))
}

impl LinkingInfo {
    /// Checks the signature with the QR's identity key, in constant time, and gives what may be
    /// stored. `None` when it does not hold: drop it silently and keep what was stored before.
    #[must_use]
    pub fn verify(
        self,
        qr_key: &PrivateKey,
        hash: &HandshakeHash,
        service: TunnelServiceId,
    ) -> Option<LinkedDevice> {
        mac(qr_key, &self.identity, hash)?.verify_slice(&self.signature).ok()?;
        let Self { contact_id, link_id, link_secret, identity, name, signature: _ } = self;
        Some(LinkedDevice { contact_id, link_id, link_secret, identity, name, service })
    }

    /// The map with keys 1 to 6.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::int_map([
            (1, Value::from(self.contact_id.expose())),
            (2, Value::from(self.link_id.0)),
            (3, Value::from(*self.link_secret.expose())),
            (4, Value::from(*self.identity.as_bytes())),
            (5, Value::from(self.name.as_str())),
            (6, Value::from(self.signature)),
        ])
    }

    /// Reads the map; further keys are ignored, `None` for anything that is missing or has a wrong
    /// length.
    #[must_use]
    pub fn from_value(map: &Value) -> Option<Self> {
        let bytes = |key| map.get(key).and_then(Value::as_bytes);
        let name = map.get(5).and_then(Value::as_text).filter(|name| name.len() <= MAX_NAME)?;
        Some(Self {
            contact_id: ContactId::new(bytes(1)?.to_vec()).ok()?,
            link_id: LinkId(bytes(2)?.try_into().ok()?),
            link_secret: LinkSecret::new(bytes(3)?.try_into().ok()?),
            identity: bytes(4).filter(|key| key.len() == 65).and_then(PublicKey::from_sec1)?,
            name: name.to_owned(),
            signature: bytes(6)?.try_into().ok()?,
        })
    }
}

/// An update message's payload: {1: linking information}, or only padding under key 0.
#[must_use]
pub fn encode_update(info: Option<&LinkingInfo>) -> Vec<u8> {
    cbor::encode(&Value::int_map(info.map(|info| (1, info.to_value()))))
}

/// Reads an update message; what is not understood says nothing.
#[must_use]
pub fn decode_update(payload: &[u8]) -> Option<LinkingInfo> {
    cbor::decode_lenient(payload).ok()?.get(1).and_then(LinkingInfo::from_value)
}

/// What a laptop tells a linked phone when it rings: which link, freshness, and the hint. Sent in
/// hexadecimal in the header `X-caBLE-Client-Payload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPayload {
    /// Key 1.
    pub link_id: LinkId,
    /// Key 2.
    pub nonce: ClientNonce,
    /// Key 3.
    pub hint: Hint,
}

impl ClientPayload {
    /// The canonical map.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map([
            (1, Value::from(self.link_id.0)),
            (2, Value::from(*self.nonce.as_bytes())),
            (3, Value::from(self.hint.as_str())),
        ]))
    }

    /// Reads the map; `None` when a member is missing or has a wrong length.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let map = cbor::decode_lenient(bytes).ok()?;
        let nonce: [u8; 16] = map.get(2)?.as_bytes()?.try_into().ok()?;
        Some(Self {
            link_id: LinkId(map.get(1)?.as_bytes()?.try_into().ok()?),
            nonce: nonce.into(),
            hint: Hint::from_wire(map.get(3)?.as_text()?),
        })
    }
}
