//! The secrets of a transaction and the typed derivations between them.
//!
//! One function, HKDF-SHA-256 with the purpose as four little-endian bytes of info, gives
//! everything; the types say which secret and which salt each purpose may take. Depends on
//! `secret`, `advert` and `tunnel` types only.
//!
//! Specification: CTAP 2.2 section 11.5.1.

use hkdf::Hkdf;
use rand_core::{CryptoRng, RngCore};
use sha2::Sha256;

use super::advert::AdvertPlaintext;
use super::tunnel::TunnelId;
use crate::secret::Secret;

/// What a derived key is for; the number is on the wire only in the sense that both sides use it.
#[derive(Clone, Copy)]
enum KeyPurpose {
    Eid = 1,
    TunnelId = 2,
    Psk = 3,
}

fn derive<const N: usize>(secret: &[u8], salt: &[u8], purpose: KeyPurpose) -> Secret<N> {
    let mut out = [0; N];
    let info = (purpose as u32).to_le_bytes();
    // HKDF-SHA-256 refuses only more than 255 blocks; N is 64 at most.
    let _fits = Hkdf::<Sha256>::new(Some(salt), secret).expand(&info, &mut out);
    Secret::new(out)
}

/// The secret of one QR. Whoever read the QR has it; it lives as long as the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrSecret(Secret<16>);

impl QrSecret {
    /// Draws a fresh secret; one per QR, never reused.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes 16 bytes read from a QR.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// The key under which this transaction's advert is sealed.
    #[must_use]
    pub fn eid_key(&self) -> EidKey {
        EidKey(derive(self.expose(), &[], KeyPurpose::Eid))
    }

    /// The tunnel at which both sides meet. It depends on the QR alone, so that the phone can open
    /// it before the client knows the advert.
    #[must_use]
    pub fn tunnel_id(&self) -> TunnelId {
        let id: Secret<16> = derive(self.expose(), &[], KeyPurpose::TunnelId);
        TunnelId::new(*id.expose())
    }

    /// The pre-shared key of the handshake. It depends on the advert, so that only a client which
    /// *received* the advert can finish: this is the proximity check.
    #[must_use]
    pub fn psk(&self, advert: &AdvertPlaintext) -> Psk {
        Psk(derive(self.expose(), advert.as_bytes(), KeyPurpose::Psk))
    }
}

/// The long-lived secret of a linked phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSecret(Secret<32>);

impl LinkSecret {
    /// Draws a fresh secret, as a phone that offers linking does.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(Secret::random(rng))
    }

    /// Takes 32 bytes from linking information.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The 32 bytes, for storing them sealed.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The key under which the advert of a state-assisted transaction is sealed.
    #[must_use]
    pub fn eid_key(&self, nonce: &ClientNonce) -> EidKey {
        EidKey(derive(self.expose(), &nonce.0, KeyPurpose::Eid))
    }

    /// The pre-shared key of a state-assisted handshake.
    #[must_use]
    pub fn psk(&self, advert: &AdvertPlaintext) -> Psk {
        Psk(derive(self.expose(), advert.as_bytes(), KeyPurpose::Psk))
    }
}

/// Freshness from the client in a state-assisted transaction: 16 random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientNonce(pub(super) [u8; 16]);

impl ClientNonce {
    /// Draws a nonce; one per request.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for ClientNonce {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Seals and opens adverts: an AES-256 key, then an HMAC-SHA-256 key, 32 bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EidKey(Secret<64>);

impl EidKey {
    /// Takes 64 bytes, as test vectors give them.
    #[must_use]
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The AES-256 half.
    pub(super) fn aes(&self) -> &[u8] {
        self.0.expose().split_at(32).0
    }

    /// The HMAC half.
    pub(super) fn hmac(&self) -> &[u8] {
        self.0.expose().split_at(32).1
    }

    /// All 64 bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 64] {
        self.0.expose()
    }
}

/// The pre-shared key of the Noise handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Psk(Secret<32>);

impl Psk {
    /// Takes 32 bytes, as test vectors give them.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}
