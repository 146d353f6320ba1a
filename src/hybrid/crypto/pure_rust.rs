//! P-256 and AES-256-GCM in Rust alone.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use p256::elliptic_curve::sec1::ToEncodedPoint;

use crate::secret::Secret;

#[derive(Clone)]
pub(super) struct Agreement(p256::SecretKey);

impl Agreement {
    /// The key and its uncompressed public point.
    pub(super) fn new(scalar: &Secret<32>) -> Option<(Self, [u8; 65])> {
        let key = p256::SecretKey::from_slice(scalar.expose()).ok()?;
        let public = key.public_key().to_encoded_point(false).as_bytes().try_into().ok()?;
        Some((Self(key), public))
    }

    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret<32>> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).ok()?;
        let x = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Secret::try_from(&x.raw_secret_bytes()[..]).ok()
    }
}

pub(in crate::hybrid) struct Aead(Box<Aes256Gcm>);

impl Aead {
    /// Expands the key once; sealing and opening reuse the schedule.
    pub(in crate::hybrid) fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(Aes256Gcm::new(key.into())))
    }

    /// Encrypts in place and appends the tag.
    pub(in crate::hybrid) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        self.0.encrypt_in_place(&nonce.into(), aad, buffer).ok()
    }

    /// Checks and removes the tag and decrypts in place; on `None` the buffer is garbage.
    pub(in crate::hybrid) fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        self.0.decrypt_in_place(&nonce.into(), aad, buffer).ok()
    }
}
