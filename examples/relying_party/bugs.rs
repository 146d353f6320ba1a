//! Bugs that a site may have, to plant: whoever tests sites can see here that the tests find them.

use std::collections::HashMap;

use cabled::client::webauthn::Base64Url;
use clap::ValueEnum;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bug {
    /// Signatures are verified, but not that they are for this sign-in: one that was overheard is good for ever
    SkipChallenge,
    /// A new passkey is verified, and then not kept
    LoseCredential,
    /// That the user was verified is asked for, and not looked at
    IgnoreUv,
}

/// What a site keeps that verifies by itself, and badly.
#[derive(Default)]
pub(crate) struct OwnKeys(HashMap<String, VerifyingKey>);

impl OwnKeys {
    /// Keeps the key that a browser gives beside a registration.
    pub(crate) fn keep(&mut self, credential: &Value) -> Option<()> {
        let id = credential.get("id")?.as_str()?;
        let key = bytes(credential, "publicKey")?;
        // The point ends a SubjectPublicKeyInfo of P-256.
        let point = key.get(key.len().checked_sub(65)?..)?;
        self.0.insert(id.to_owned(), VerifyingKey::from_sec1_bytes(point).ok()?);
        Some(())
    }

    /// Whether the signature is good, whatever the challenge: the bug. Gives the passkey's id.
    pub(crate) fn verify(&self, credential: &Value) -> Option<Vec<u8>> {
        let id = credential.get("id")?.as_str()?;
        let signature = Signature::from_der(&bytes(credential, "signature")?).ok()?;
        let client_data = Sha256::digest(bytes(credential, "clientDataJSON")?);
        let signed = [bytes(credential, "authenticatorData")?, client_data.to_vec()].concat();
        self.0.get(id)?.verify(&signed, &signature).ok()?;
        Base64Url::decode(id).map(|id| id.0)
    }
}

fn bytes(credential: &Value, member: &str) -> Option<Vec<u8>> {
    let text = credential.get("response")?.get(member)?.as_str()?;
    Base64Url::decode(text).map(|bytes| bytes.0)
}
