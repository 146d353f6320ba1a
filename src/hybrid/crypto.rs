//! The two primitives that cost anything: P-256 and AES-256-GCM, each behind one small type.
//!
//! With the feature `aws-lc` they are AWS-LC's, otherwise pure Rust; the bytes are the same. A
//! point that arrives compressed (in a QR) is always opened by `p256`, which is the faster of the
//! two at it. Depends on `secret` only.

use std::fmt;

use p256::elliptic_curve::sec1::ToEncodedPoint;
use rand_core::{CryptoRng, RngCore};

use crate::secret::Secret;

#[cfg(feature = "aws-lc")]
#[path = "crypto/aws_lc.rs"]
mod backend;
#[cfg(not(feature = "aws-lc"))]
#[path = "crypto/pure_rust.rs"]
mod backend;

pub(super) use backend::Aead;

/// Bytes that AES-GCM adds to a plaintext.
pub(super) const TAG_LEN: usize = 16;

/// A P-256 public key that is on the curve, 65 bytes uncompressed as it goes into Noise.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 65]);

impl PublicKey {
    /// Reads a SEC1 point, 33 bytes compressed or 65 uncompressed; `None` if it is not on the curve.
    #[must_use]
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let key = p256::PublicKey::from_sec1_bytes(bytes).ok()?;
        Self::from_point(&key)
    }

    fn from_point(key: &p256::PublicKey) -> Option<Self> {
        key.to_encoded_point(false).as_bytes().try_into().ok().map(Self)
    }

    /// The uncompressed point.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The compressed point: the parity of y, then x.
    #[must_use]
    pub fn compressed(&self) -> [u8; 33] {
        let [_, xy @ ..] = &self.0;
        let (x, y) = xy.split_at(32);
        let mut out = [2; 33];
        if let ([parity, rest @ ..], Some(last)) = (&mut out, y.last()) {
            *parity += last & 1;
            rest.copy_from_slice(x);
        }
        out
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

/// A P-256 private key: identity key or ephemeral key, by use.
#[derive(Clone)]
pub struct PrivateKey {
    scalar: Secret<32>,
    agreement: backend::Agreement,
    public: PublicKey,
}

impl PrivateKey {
    /// Draws a key from `rng`.
    pub fn generate(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        loop {
            // All but one in 2^32 draws are scalars below the group order.
            if let Some(key) = Self::from_scalar(&Secret::random(rng)) {
                return key;
            }
        }
    }

    /// Takes a big-endian scalar; `None` if it is zero or not below the group order.
    #[must_use]
    pub fn from_scalar(scalar: &Secret<32>) -> Option<Self> {
        let (agreement, public) = backend::Agreement::new(scalar)?;
        Some(Self { scalar: scalar.clone(), agreement, public: PublicKey(public) })
    }

    /// The big-endian scalar, for storing it sealed.
    #[must_use]
    pub fn scalar(&self) -> &Secret<32> {
        &self.scalar
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The x-coordinate of the shared point.
    ///
    /// `None` when `peer` is not a point on the curve, which only unchecked wire bytes can be.
    pub(super) fn agree(&self, peer: &[u8]) -> Option<Secret<32>> {
        self.agreement.agree(peer)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn agreement_matches_the_pure_curve() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        for _ in 0..8 {
            let (a, b) = (PrivateKey::generate(&mut rng), PrivateKey::generate(&mut rng));
            let secret = p256::SecretKey::from_slice(a.scalar().expose()).unwrap();
            let peer = p256::PublicKey::from_sec1_bytes(b.public().as_bytes()).unwrap();
            let x = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
            assert_eq!(
                a.agree(b.public().as_bytes()).unwrap().expose()[..],
                x.raw_secret_bytes()[..]
            );
            assert_eq!(a.agree(b.public().as_bytes()), b.agree(a.public().as_bytes()));
            assert_eq!(PublicKey::from_sec1(&a.public().compressed()), Some(*a.public()));
        }
    }

    #[test]
    fn bad_scalars_and_points_are_refused() {
        assert!(PrivateKey::from_scalar(&Secret::new([0; 32])).is_none());
        assert!(PrivateKey::from_scalar(&Secret::new([0xff; 32])).is_none());
        let key = PrivateKey::from_scalar(&Secret::new([1; 32])).unwrap();
        let mut point = *key.public().as_bytes();
        point[64] ^= 1;
        assert!(PublicKey::from_sec1(&point).is_none());
        for bytes in [&point[..], &point[..64], &[0], &[]] {
            assert!(key.agree(bytes).is_none());
        }
    }

    #[test]
    fn aead_is_aes_256_gcm() {
        use aes_gcm::aead::{AeadInPlace, KeyInit};
        let (key, nonce) = ([7; 32], [9; 12]);
        let mut ours = vec![1, 2, 3];
        Aead::new(&key).seal(nonce, b"ad", &mut ours).unwrap();
        let mut theirs = vec![1, 2, 3];
        let cipher = aes_gcm::Aes256Gcm::new(&key.into());
        cipher.encrypt_in_place(&nonce.into(), b"ad", &mut theirs).unwrap();
        assert_eq!(ours, theirs);
        assert!(Aead::new(&key).open(nonce, b"", &mut ours.clone()).is_none());
        Aead::new(&key).open(nonce, b"ad", &mut ours).unwrap();
        assert_eq!(ours, [1, 2, 3]);
    }
}
