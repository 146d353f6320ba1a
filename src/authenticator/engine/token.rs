//! PIN and UV tokens: who may have one, what it is good for, and when it ends.
//!
//! There is one token at a time: a new one ends the one before. Times are arguments. Depends on the
//! pure modules and siblings only. Specification: CTAP 2.2, sections 6.5.2 and 6.5.3.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::authenticator::{Random, Timestamp};
use crate::ctap::{
    AgreementKey, Es256PublicKey, Permissions, PinProtocol, SharedSecret, Status,
    authenticate_matches,
};
use crate::secret::Secret;

/// Seconds within which a token has to be used first.
const FIRST_USE: u64 = 30;
/// Seconds that a token lives.
const LIFETIME: u64 = 600;
/// Wrong PINs in a row before only the user at the phone can go on.
const MISMATCHES: u8 = 3;

/// A token that was given out.
struct Token {
    protocol: PinProtocol,
    value: Secret<32>,
    permissions: Permissions,
    rp_id: Option<String>,
    /// A PIN or the user at the phone stood behind it, rather than a question put off.
    proven: bool,
    issued: Timestamp,
    used: bool,
}

/// What a client sends to prove that it has a token.
#[derive(Clone, Copy)]
pub(super) struct Proof<'a> {
    pub(super) protocol: Option<u64>,
    pub(super) param: &'a [u8],
    /// What it authenticates.
    pub(super) message: &'a [u8],
}

/// Key agreement, token, and wrong PINs since the user was last seen at the phone.
#[derive(Default)]
pub(super) struct Tokens {
    agreement: Option<AgreementKey>,
    token: Option<Token>,
    mismatches: AtomicU8,
}

/// The protocol of that number.
pub(super) fn protocol(number: Option<u64>) -> Result<PinProtocol, Status> {
    let number = number.ok_or(Status::MISSING_PARAMETER)?;
    PinProtocol::from_number(number).ok_or(Status::INVALID_PARAMETER)
}

impl Tokens {
    /// Our half of the key agreement.
    pub(super) fn public(&mut self, mut rng: Random<'_>) -> Option<Es256PublicKey> {
        self.agreement.get_or_insert_with(|| AgreementKey::random(&mut rng)).public()
    }

    /// What we share with the client. Without a key agreement before it, nothing can fit.
    pub(super) fn shared(
        &self,
        protocol: PinProtocol,
        peer: &Es256PublicKey,
    ) -> Result<SharedSecret, Status> {
        let agreement = self.agreement.as_ref().ok_or(Status::PIN_AUTH_INVALID)?;
        agreement.agree(protocol, peer).ok_or(Status::INVALID_PARAMETER)
    }

    /// Gives out a token, encrypted for the client.
    pub(super) fn issue(
        &mut self,
        shared: &SharedSecret,
        permissions: Permissions,
        rp_id: Option<String>,
        proven: bool,
        now: Timestamp,
        mut rng: Random<'_>,
    ) -> Vec<u8> {
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        let value = Secret::random(&mut rng);
        let sealed = shared.encrypt(iv, value.expose());
        let protocol = shared.protocol();
        let (issued, used) = (now, false);
        self.token = Some(Token { protocol, value, permissions, rp_id, proven, issued, used });
        sealed
    }

    /// Whether the client has a token that permits this.
    pub(super) fn check(
        &mut self,
        proof: Proof<'_>,
        permission: Permissions,
        now: Timestamp,
    ) -> Result<(), Status> {
        let protocol = protocol(proof.protocol)?;
        let token = self.token.take_if(|token| token.lives(now));
        self.token = token;
        let token = self.token.as_mut().ok_or(Status::PIN_AUTH_INVALID)?;
        let key = token.value.expose();
        let fits = authenticate_matches(protocol, key, proof.message, proof.param);
        if !fits || token.protocol != protocol || !token.permissions.contains(permission) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        token.used = true;
        Ok(())
    }

    /// Binds the token to the relying party, if it is bound to none yet.
    pub(super) fn bind(&mut self, rp_id: &str) -> Result<(), Status> {
        let token = self.token.as_mut().ok_or(Status::PIN_AUTH_INVALID)?;
        let bound = token.rp_id.get_or_insert_with(|| rp_id.to_owned());
        if bound == rp_id { Ok(()) } else { Err(Status::PIN_AUTH_INVALID) }
    }

    /// The relying party that the token is bound to.
    pub(super) fn rp_id(&self) -> Option<&str> {
        self.token.as_ref()?.rp_id.as_deref()
    }

    /// Whether the user was verified for the token, and not just will be.
    pub(super) fn proven(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.proven)
    }

    /// After a ceremony, the token is good for large blobs at most: each needs its own.
    pub(super) fn use_up(&mut self) {
        if let Some(token) = &mut self.token {
            token.permissions = token.permissions.only(Permissions::LARGE_BLOBS);
        }
    }

    /// Ends the token.
    pub(super) fn revoke(&mut self) {
        self.token = None;
    }

    /// Whether no PIN is taken until the user was seen at the phone.
    pub(super) fn blocked(&self) -> bool {
        self.mismatches.load(Ordering::Relaxed) >= MISMATCHES
    }

    /// A PIN was wrong: whoever tries the next one has to agree on a key again.
    pub(super) fn mismatch(&mut self) {
        self.agreement = None;
        let count = self.mismatches.get_mut();
        *count = count.saturating_add(1);
    }

    /// The user was verified.
    pub(super) fn verified(&self) {
        self.mismatches.store(0, Ordering::Relaxed);
    }
}

impl Token {
    fn lives(&self, now: Timestamp) -> bool {
        let limit = if self.used { LIFETIME } else { FIRST_USE };
        now.0.checked_sub(self.issued.0).is_some_and(|age| age <= limit)
    }
}
