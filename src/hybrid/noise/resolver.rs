//! Our primitives as snow wants them, in `noise` because nothing else may import snow.

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};

use crate::hybrid::crypto::{Aead, PrivateKey};
use crate::secret::Secret;

/// Hands our primitives to snow; its one "random" draw is the ephemeral key that we were given.
pub(super) struct Resolver {
    pub(super) identity: Option<PrivateKey>,
    pub(super) ephemeral: PrivateKey,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(NoRandom))
    }

    fn resolve_dh(&self, _: &DHChoice) -> Option<Box<dyn Dh>> {
        let (identity, ephemeral) = (self.identity.clone(), self.ephemeral.clone());
        Some(Box::new(P256 { identity, ephemeral, set: None }))
    }

    fn resolve_hash(&self, _: &HashChoice) -> Option<Box<dyn Hash>> {
        Some(Box::<Sha256>::default())
    }

    fn resolve_cipher(&self, _: &CipherChoice) -> Option<Box<dyn Cipher>> {
        Some(Box::new(AesGcm(None)))
    }
}

struct NoRandom;

impl Random for NoRandom {
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), snow::Error> {
        Err(snow::Error::Rng)
    }
}

/// A key slot: `set` fills it with a static key, `generate` with the ephemeral one.
struct P256 {
    identity: Option<PrivateKey>,
    ephemeral: PrivateKey,
    set: Option<PrivateKey>,
}

impl Dh for P256 {
    fn name(&self) -> &'static str {
        "P256"
    }

    fn pub_len(&self) -> usize {
        65
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn dh_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        // Snow only ever sets the identity key that we gave it; having its public half at hand
        // saves a point multiplication.
        let wanted = Secret::try_from(privkey).ok();
        self.set = self.identity.take().filter(|key| wanted.as_ref() == Some(key.scalar()));
    }

    fn generate(&mut self, _: &mut dyn Random) -> Result<(), snow::Error> {
        self.set = Some(self.ephemeral.clone());
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.set.as_ref().map_or(&[0; 65], |key| key.public().as_bytes())
    }

    fn privkey(&self) -> &[u8] {
        self.set.as_ref().map_or(&[0; 32], |key| key.scalar().expose())
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // Snow hands its whole 65-byte-or-longer buffer in; only the point is the key.
        let point = pubkey.get(..65).ok_or(snow::Error::Dh)?;
        let x = self.set.as_ref().and_then(|key| key.agree(point)).ok_or(snow::Error::Dh)?;
        out.get_mut(..32).ok_or(snow::Error::Dh)?.copy_from_slice(x.expose());
        Ok(())
    }
}

#[derive(Default)]
struct Sha256(sha2::Sha256);

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        sha2::Digest::reset(&mut self.0);
    }

    fn input(&mut self, data: &[u8]) {
        sha2::Digest::update(&mut self.0, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = sha2::Digest::finalize_reset(&mut self.0);
        out.iter_mut().zip(hash).for_each(|(o, h)| *o = h);
    }
}

/// AES-256-GCM for the two handshake tags; frames have their own nonce rule, see `frame`.
struct AesGcm(Option<Aead>);

impl AesGcm {
    fn nonce(counter: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.iter_mut().skip(4).zip(counter.to_be_bytes()).for_each(|(n, c)| *n = c);
        nonce
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Aead::new(key));
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let mut buffer = plaintext.to_vec();
        let sealed =
            self.0.as_ref().and_then(|a| a.seal(Self::nonce(nonce), authtext, &mut buffer));
        match (sealed, out.get_mut(..buffer.len())) {
            (Some(()), Some(out)) => out.copy_from_slice(&buffer),
            // Snow checks lengths first; a short count fails its caller, see `write`.
            _ => return 0,
        }
        buffer.len()
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let mut buffer = ciphertext.to_vec();
        let aead = self.0.as_ref().ok_or(snow::Error::Decrypt)?;
        aead.open(Self::nonce(nonce), authtext, &mut buffer).ok_or(snow::Error::Decrypt)?;
        out.get_mut(..buffer.len()).ok_or(snow::Error::Decrypt)?.copy_from_slice(&buffer);
        Ok(buffer.len())
    }
}
