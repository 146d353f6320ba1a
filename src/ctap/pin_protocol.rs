//! PIN/UV auth protocols one and two: key agreement, encryption, authentication.
//!
//! Calculations only: keys, tokens and initialisation vectors are arguments, and what a token is good
//! for is the engine's business. Depends on [`crate::secret`], the curve and the ciphers, and the
//! siblings `cose` and `status`. Specification: CTAP 2.2, sections 6.5.6 and 6.5.7.

use std::fmt;

use aes::Aes256;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{NonZeroScalar, PublicKey};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::Es256PublicKey;
use crate::secret::Secret;

/// Bytes of a PIN or UV token; both protocols allow this size.
pub const TOKEN_LEN: usize = 32;

const BLOCK: usize = 16;

/// Which of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PinProtocol {
    /// The one of CTAP 2.0: one key for all, no initialisation vector.
    One = 1,
    /// The one of CTAP 2.1.
    Two = 2,
}

impl PinProtocol {
    /// Preferred first, as getInfo lists them.
    pub const ALL: [Self; 2] = [Self::Two, Self::One];

    /// The protocol of that number, if there is one.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| *protocol as u64 == number)
    }

    /// The authentication of a message under a key, as this protocol cuts it.
    #[must_use]
    pub fn authenticate(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut tag = hmac(key, message).to_vec();
        tag.truncate(match self {
            Self::One => 16,
            Self::Two => 32,
        });
        tag
    }
}

/// Whether `given` authenticates the message, compared in constant time.
#[must_use]
pub fn authenticate_matches(
    protocol: PinProtocol,
    key: &[u8],
    message: &[u8],
    given: &[u8],
) -> bool {
    protocol.authenticate(key, message).ct_eq(given).into()
}

/// The authenticator's half of the key agreement; wiped when dropped.
pub struct AgreementKey(Zeroizing<NonZeroScalar>);

impl AgreementKey {
    /// Draws a key. A fresh one is due at start, and after each wrong PIN.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(Zeroizing::new(NonZeroScalar::random(rng)))
    }

    /// The public half, for the client.
    #[must_use]
    pub fn public(&self) -> Option<Es256PublicKey> {
        let point = PublicKey::from_secret_scalar(&self.0).to_encoded_point(false);
        Es256PublicKey::from_sec1(point.as_bytes())
    }

    /// What both sides share; `None` for a peer's key that is no point of the curve.
    #[must_use]
    pub fn agree(&self, protocol: PinProtocol, peer: &Es256PublicKey) -> Option<SharedSecret> {
        let peer = PublicKey::from_sec1_bytes(&peer.to_sec1()).ok()?;
        let shared = diffie_hellman(*self.0, peer.as_affine());
        Some(SharedSecret::derive(protocol, shared.raw_secret_bytes()))
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgreementKey(redacted)")
    }
}

/// The keys of one exchange between client and authenticator.
#[derive(Debug)]
pub struct SharedSecret {
    protocol: PinProtocol,
    hmac_key: Secret<32>,
    aes_key: Secret<32>,
}

impl SharedSecret {
    fn derive(protocol: PinProtocol, point_x: &[u8]) -> Self {
        let (hmac_key, aes_key) = match protocol {
            PinProtocol::One => {
                let key = Secret::new(Sha256::digest(point_x).into());
                (key.clone(), key)
            }
            PinProtocol::Two => {
                (expand(point_x, b"CTAP2 HMAC key"), expand(point_x, b"CTAP2 AES key"))
            }
        };
        Self { protocol, hmac_key, aes_key }
    }

    /// Which protocol it belongs to.
    #[must_use]
    pub fn protocol(&self) -> PinProtocol {
        self.protocol
    }

    /// Encrypts whole blocks; bytes beyond the last whole block are not taken. Protocol one has no
    /// room for `iv` and leaves it out.
    #[must_use]
    pub fn encrypt(&self, iv: [u8; BLOCK], plaintext: &[u8]) -> Vec<u8> {
        let (mut previous, mut out) = match self.protocol {
            PinProtocol::One => ([0; BLOCK], Vec::new()),
            PinProtocol::Two => (iv, iv.to_vec()),
        };
        let cipher = Aes256::new(self.aes_key.expose().into());
        for block in plaintext.chunks_exact(BLOCK) {
            previous.iter_mut().zip(block).for_each(|(a, b)| *a ^= b);
            cipher.encrypt_block((&mut previous).into());
            out.extend_from_slice(&previous);
        }
        out
    }

    /// Undoes [`Self::encrypt`]; `None` unless the ciphertext is one or more whole blocks.
    #[must_use]
    pub fn decrypt(&self, ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (mut previous, blocks) = match self.protocol {
            PinProtocol::One => ([0; BLOCK], ciphertext),
            PinProtocol::Two => ciphertext.split_first_chunk().map(|(iv, rest)| (*iv, rest))?,
        };
        if blocks.is_empty() || blocks.len() % BLOCK != 0 {
            return None;
        }
        let cipher = Aes256::new(self.aes_key.expose().into());
        let mut out = Zeroizing::new(Vec::with_capacity(blocks.len()));
        for block in blocks.chunks_exact(BLOCK) {
            let block: [u8; BLOCK] = block.try_into().ok()?;
            let mut plain = block;
            cipher.decrypt_block((&mut plain).into());
            out.extend(plain.iter().zip(previous).map(|(a, b)| a ^ b));
            plain.zeroize();
            previous = block;
        }
        Some(out)
    }

    /// Whether `given` authenticates the message under the shared secret, in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], given: &[u8]) -> bool {
        authenticate_matches(self.protocol, self.hmac_key.expose(), message, given)
    }

    /// The authentication that a client sends.
    #[must_use]
    pub fn authenticate(&self, message: &[u8]) -> Vec<u8> {
        self.protocol.authenticate(self.hmac_key.expose(), message)
    }
}

fn expand(secret: &[u8], info: &[u8]) -> Secret<32> {
    let mut out = Zeroizing::new([0; 32]);
    // HKDF-SHA-256 refuses only more than 255 blocks.
    let _fits = Hkdf::<Sha256>::new(Some(&[0; 32]), secret).expand(info, &mut *out);
    Secret::new(*out)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block; done here, the constructor cannot fail. No
    // key of these protocols is longer.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn both_sides_agree_and_messages_survive() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for protocol in PinProtocol::ALL {
            let (a, b) = (AgreementKey::random(&mut rng), AgreementKey::random(&mut rng));
            let ours = a.agree(protocol, &b.public().unwrap()).unwrap();
            let theirs = b.agree(protocol, &a.public().unwrap()).unwrap();
            let sealed = ours.encrypt([9; 16], &[7; 64]);
            assert_eq!(sealed.len(), if protocol == PinProtocol::Two { 80 } else { 64 });
            assert_eq!(&theirs.decrypt(&sealed).unwrap()[..], &[7; 64]);
            let tag = theirs.authenticate(b"message");
            assert!(ours.verify(b"message", &tag) && !ours.verify(b"other", &tag));
            assert!(!ours.verify(b"message", &[]) && !ours.verify(b"message", &tag[1..]));
            for cut in [0, 1, 15, 17, sealed.len() - 1] {
                assert!(ours.decrypt(&sealed[..cut]).is_none(), "{cut}");
            }
        }
    }

    /// The vectors of RFC 3602 and NIST SP 800-38A, F.2.5 (CBC with AES-256).
    #[test]
    fn cbc_is_the_standard_one() {
        let hex = |text: &str| -> Vec<u8> {
            let digit = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(digit).collect()
        };
        let key = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let key = Secret::try_from(&key[..]).unwrap();
        let protocol = PinProtocol::Two;
        let shared = SharedSecret { protocol, hmac_key: Secret::new([0; 32]), aes_key: key };
        let iv = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let sealed = hex("f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d");
        assert_eq!(shared.encrypt(iv, &plain), [&iv[..], &sealed].concat());
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = AgreementKey::random(&mut rng);
        let bad = Es256PublicKey { x: [1; 32], y: [1; 32] };
        assert!(key.agree(PinProtocol::Two, &bad).is_none());
        assert!(key.agree(PinProtocol::Two, &Es256PublicKey { x: [0; 32], y: [0; 32] }).is_none());
    }
}
