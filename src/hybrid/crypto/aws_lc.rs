//! P-256 and AES-256-GCM by AWS-LC.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};

use crate::secret::Secret;

#[derive(Clone)]
pub(super) struct Agreement(Arc<agreement::PrivateKey>);

impl Agreement {
    /// The key and its uncompressed public point.
    pub(super) fn new(scalar: &Secret<32>) -> Option<(Self, [u8; 65])> {
        let key = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar.expose()).ok()?;
        let public = key.compute_public_key().ok()?;
        Some((Self(Arc::new(key)), public.as_ref().try_into().ok()?))
    }

    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret<32>> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
        agreement::agree(&self.0, peer, (), |x| Secret::try_from(x).map_err(drop)).ok()
    }
}

pub(in crate::hybrid) struct Aead(Option<LessSafeKey>);

impl Aead {
    /// Expands the key once; sealing and opening reuse the schedule.
    pub(in crate::hybrid) fn new(key: &[u8; 32]) -> Self {
        // The length is right by type, so this is never empty.
        Self(UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new))
    }

    /// Encrypts in place and appends the tag.
    pub(in crate::hybrid) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.as_ref()?.seal_in_place_append_tag(nonce, Aad::from(aad), buffer).ok()
    }

    /// Checks and removes the tag and decrypts in place; on `None` the buffer is garbage.
    pub(in crate::hybrid) fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = self.0.as_ref()?.open_in_place(nonce, Aad::from(aad), buffer).ok()?.len();
        buffer.truncate(len);
        Some(())
    }
}
