//! Bytes sealed under a key of their own and bound to their place: AES-256-GCM, the random nonce in front.
//!
//! Depends on `secret` only.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use rand_core::RngCore;
use zeroize::Zeroizing;

use crate::secret::Secret;

const NONCE: usize = 12;

/// Seals `plaintext` for the place that `context` names. `None` only for more bytes than the algorithm
/// takes, 64 GiB.
#[must_use]
pub fn seal(
    key: &Secret<32>,
    context: &[u8],
    plaintext: &[u8],
    rng: &mut (impl RngCore + ?Sized),
) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: plaintext, aad: context };
    let sealed = Aes256Gcm::new(key.expose().into()).encrypt(&nonce.into(), payload).ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Undoes [`seal`]; `None` if key, context or bytes are not the same.
#[must_use]
pub fn open(key: &Secret<32>, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: context };
    let opened = Aes256Gcm::new(key.expose().into()).decrypt(&(*nonce).into(), payload);
    opened.map(Zeroizing::new).ok()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn only_the_same_key_place_and_bytes_open() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Secret::new([7; 32]);
        let sealed = seal(&key, b"here", b"secret", &mut rng).unwrap();
        assert_eq!(open(&key, b"here", &sealed).unwrap()[..], b"secret"[..]);
        assert!(open(&key, b"there", &sealed).is_none());
        assert!(open(&Secret::new([8; 32]), b"here", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut spoiled = sealed.clone();
            spoiled[at] ^= 1;
            assert!(open(&key, b"here", &spoiled).is_none());
            assert!(open(&key, b"here", &sealed[..at]).is_none());
        }
        assert_ne!(seal(&key, b"here", b"secret", &mut rng).unwrap(), sealed);
    }
}
