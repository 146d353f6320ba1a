//! The `hmac-secret` extension: `prf` as security keys have it, its salts and outputs encrypted.
//!
//! Depends on [`crate::cbor`], [`crate::ctap`] and siblings only. Specification: CTAP 2.2, section
//! 12.5.

use zeroize::Zeroizing;

use super::token::{Tokens, protocol};
use crate::authenticator::Random;
use crate::authenticator::mac::hmac_sha256;
use crate::authenticator::passkey::Passkey;
use crate::cbor::Value;
use crate::ctap::{Flags, HmacSecretInput, PinProtocol, SharedSecret, Status};

pub(super) const HMAC_SECRET: &str = "hmac-secret";

/// Bytes of a salt.
const SALT: usize = 32;

/// Whether a registration asks for it.
pub(super) fn asked(inputs: &[(String, Value)]) -> Result<bool, Status> {
    let input = inputs.iter().find(|(name, _)| name == HMAC_SECRET);
    input.map_or(Ok(false), |(_, value)| value.as_bool().ok_or(Status::CBOR_UNEXPECTED_TYPE))
}

/// The salts of a sign-in, opened.
pub(super) struct HmacSecret {
    shared: SharedSecret,
    salts: Zeroizing<Vec<u8>>,
}

impl HmacSecret {
    /// The input, if there is one.
    pub(super) fn read(
        inputs: &[(String, Value)],
        tokens: &Tokens,
    ) -> Result<Option<Self>, Status> {
        let input = inputs.iter().find(|(name, _)| name == HMAC_SECRET);
        input.map(|(_, value)| Self::open(value, tokens)).transpose()
    }

    fn open(value: &Value, tokens: &Tokens) -> Result<Self, Status> {
        let input = HmacSecretInput::read(value)?;
        let number = input.protocol.unwrap_or(PinProtocol::One as u64);
        let shared = tokens.shared(protocol(Some(number))?, &input.key_agreement)?;
        if !shared.verify(&input.salt_enc, &input.salt_auth) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        let salts = shared.decrypt(&input.salt_enc).ok_or(Status::INVALID_LENGTH)?;
        if salts.len() != SALT && salts.len() != 2 * SALT {
            return Err(Status::INVALID_LENGTH);
        }
        Ok(Self { shared, salts })
    }

    /// The outputs, encrypted for the client that sent the salts.
    pub(super) fn evaluate(&self, passkey: &Passkey, flags: Flags, rng: Random<'_>) -> Value {
        let seeds = &passkey.prf_seeds;
        let verified = flags.contains(Flags::USER_VERIFIED);
        let seed = if verified { &seeds.verified } else { &seeds.unverified };
        let mut outputs = Zeroizing::new(Vec::with_capacity(2 * SALT));
        for salt in self.salts.chunks(SALT) {
            outputs.extend(Zeroizing::new(hmac_sha256(seed, &[salt])).iter());
        }
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        Value::from(self.shared.encrypt(iv, &outputs))
    }
}
