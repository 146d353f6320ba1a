//! authenticatorClientPIN: retries, key agreement, another PIN, tokens.
//!
//! **A token by the phone's own verification** for one relying party, good for nothing but making a
//! passkey or signing in, is given without a question: the command that it is for asks, names the
//! account, and verifies, whatever token there is. So the user is asked once, and about something
//! that can be judged. A token that permits more is asked about here.
//!
//! Depends on the pure modules and siblings only. Specification: CTAP 2.2, section 6.5.

use zeroize::Zeroizing;

use super::token::{Proof, protocol};
use super::{Answer, Engine, Failure, Outcome, valid_rp_id};
use crate::authenticator::consent::{Consent, ConsentRequest};
use crate::authenticator::passkey::{PasskeyStore, Timestamp};
use crate::authenticator::store::{self, Pin};
use crate::authenticator::upkeep::PinHash;
use crate::authenticator::{Random, Transport};
use crate::ctap::{
    ClientPinRequest, ClientPinResponse, Permissions, PinCommand, SharedSecret, Status,
};

/// Bytes that a new PIN is padded to.
const PADDED_PIN: usize = 64;
/// Making passkeys and signing in.
const CEREMONIES: Permissions = Permissions(0x03);
/// All that a token can permit here.
const KNOWN: Permissions = Permissions(0x17);

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) async fn client_pin(
        &mut self,
        body: &[u8],
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let request = ClientPinRequest::decode(body)?;
        let response = match PinCommand::from_number(request.command)? {
            PinCommand::GetPinRetries => self.pin_retries(now)?,
            PinCommand::GetUvRetries => {
                let left = self.store.pin_tries(now)?.left.max(1);
                ClientPinResponse { uv_retries: Some(left.into()), ..Default::default() }
            }
            PinCommand::GetKeyAgreement => {
                protocol(request.protocol)?;
                let key_agreement = self.tokens.public(rng);
                ClientPinResponse { key_agreement, ..Default::default() }
            }
            // There always is one.
            PinCommand::SetPin => return Err(Status::PIN_AUTH_INVALID.into()),
            PinCommand::ChangePin => self.change_pin(&request, now, rng)?,
            PinCommand::GetPinToken => self.token_2_0(&request, now, rng)?,
            PinCommand::GetTokenUsingPin => self.token_by_pin(request, now, rng)?,
            PinCommand::GetTokenUsingUv => self.token_by_uv(request, now, rng).await?,
        };
        let empty = response == ClientPinResponse::default();
        Ok((if empty { Vec::new() } else { response.encode() }, Outcome::Answered))
    }

    /// Never 0: that would have clients tell their user to reset, which destroys all passkeys, where
    /// waiting is enough.
    fn pin_retries(&self, now: Timestamp) -> Result<ClientPinResponse, Failure> {
        let tries = self.store.pin_tries(now)?;
        Ok(ClientPinResponse {
            pin_retries: Some(tries.left.max(1).into()),
            power_cycle: Some(tries.waiting || self.tokens.blocked()),
            ..Default::default()
        })
    }

    fn change_pin(
        &mut self,
        request: &ClientPinRequest,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<ClientPinResponse, Failure> {
        let shared = self.shared(request)?;
        let new = request.new_pin_enc.as_deref().ok_or(Status::MISSING_PARAMETER)?;
        let hash = request.pin_hash_enc.as_deref().ok_or(Status::MISSING_PARAMETER)?;
        let param = request.pin_uv_auth_param.as_deref().ok_or(Status::MISSING_PARAMETER)?;
        if !shared.verify(&[new, hash].concat(), param) {
            return Err(Status::PIN_AUTH_INVALID.into());
        }
        let (hash, new) = (self.pin_hash(&shared, hash)?, new_pin(&shared, new)?);
        let changed = self.store.replace_pin(&hash, &new, now, rng);
        self.judged(changed)?;
        self.tokens.revoke();
        Ok(ClientPinResponse::default())
    }

    /// As CTAP 2.0 had it: for making passkeys and signing in, at whichever site comes first.
    fn token_2_0(
        &mut self,
        request: &ClientPinRequest,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<ClientPinResponse, Failure> {
        if request.permissions.is_some() || request.rp_id.is_some() {
            return Err(Status::INVALID_PARAMETER.into());
        }
        let shared = self.try_pin(request, now)?;
        Ok(token(self.tokens.issue(&shared, CEREMONIES, None, true, now, rng)))
    }

    fn token_by_pin(
        &mut self,
        request: ClientPinRequest,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<ClientPinResponse, Failure> {
        let permissions = permissions(&request)?;
        let shared = self.try_pin(&request, now)?;
        Ok(token(self.tokens.issue(&shared, permissions, request.rp_id, true, now, rng)))
    }

    async fn token_by_uv(
        &mut self,
        request: ClientPinRequest,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<ClientPinResponse, Failure> {
        let permissions = permissions(&request)?;
        let shared = self.shared(&request)?;
        let ask = !CEREMONIES.contains(permissions);
        if ask {
            let rp_id = request.rp_id.clone();
            self.ask(ConsentRequest::Allow { rp_id, permissions }).await?;
        }
        Ok(token(self.tokens.issue(&shared, permissions, request.rp_id, ask, now, rng)))
    }

    fn shared(&self, request: &ClientPinRequest) -> Result<SharedSecret, Status> {
        let protocol = protocol(request.protocol)?;
        let peer = request.key_agreement.as_ref().ok_or(Status::MISSING_PARAMETER)?;
        self.tokens.shared(protocol, peer)
    }

    fn try_pin(
        &mut self,
        request: &ClientPinRequest,
        now: Timestamp,
    ) -> Result<SharedSecret, Failure> {
        let shared = self.shared(request)?;
        let hash = request.pin_hash_enc.as_deref().ok_or(Status::MISSING_PARAMETER)?;
        let hash = self.pin_hash(&shared, hash)?;
        let tried = self.store.try_pin_hash(&hash, now).map(drop);
        self.judged(tried)?;
        Ok(shared)
    }

    fn pin_hash(&self, shared: &SharedSecret, sealed: &[u8]) -> Result<Zeroizing<PinHash>, Status> {
        if self.tokens.blocked() {
            return Err(Status::PIN_AUTH_BLOCKED);
        }
        let hash = shared.decrypt(sealed).ok_or(Status::INVALID_PARAMETER)?;
        PinHash::try_from(&hash[..]).map(Zeroizing::new).map_err(|_| Status::INVALID_PARAMETER)
    }

    /// What the store said of a PIN, and its consequences. Too many wrong ones are a matter of
    /// waiting, so the status is the one that does not advise a reset.
    fn judged(&mut self, tried: Result<(), store::Error>) -> Result<(), Failure> {
        match tried {
            Ok(()) => {
                self.tokens.verified();
                Ok(())
            }
            Err(store::Error::WrongPin { .. }) => {
                self.tokens.mismatch();
                let blocked = self.tokens.blocked();
                let wrong = if blocked { Status::PIN_AUTH_BLOCKED } else { Status::PIN_INVALID };
                Err(wrong.into())
            }
            Err(store::Error::LockedOut { .. }) => Err(Status::PIN_AUTH_BLOCKED.into()),
            Err(store::Error::NotFound) => Err(Status::PIN_NOT_SET.into()),
            Err(other) => Err(other.into()),
        }
    }

    /// Whether the client may do this, by the token that it has if it has one: without one, the
    /// question that follows is what permits. Nothing, in place of a proof, asks for a touch.
    pub(super) async fn permitted(
        &mut self,
        transport: Transport,
        proof: Option<Proof<'_>>,
        permission: Permissions,
        rp_id: &str,
        now: Timestamp,
    ) -> Result<(), Status> {
        match proof {
            None => Ok(()),
            // No token was ever given out over it, and no protocol is announced.
            Some(_) if transport == Transport::Hybrid => Err(Status::INVALID_PARAMETER),
            Some(proof) if proof.param.is_empty() => {
                self.ask(ConsentRequest::Presence).await?;
                Err(Status::PIN_INVALID)
            }
            Some(proof) => {
                self.tokens.check(proof, permission, now)?;
                self.tokens.bind(rp_id)
            }
        }
    }
}

fn token(sealed: Vec<u8>) -> ClientPinResponse {
    ClientPinResponse { token: Some(sealed), ..Default::default() }
}

fn permissions(request: &ClientPinRequest) -> Result<Permissions, Status> {
    let asked = request.permissions.ok_or(Status::MISSING_PARAMETER)?;
    let asked = u8::try_from(asked).map(Permissions).map_err(|_| Status::INVALID_PARAMETER)?;
    if asked.is_empty() {
        return Err(Status::INVALID_PARAMETER);
    }
    if !KNOWN.contains(asked) {
        return Err(Status::UNAUTHORIZED_PERMISSION);
    }
    match &request.rp_id {
        Some(rp_id) => valid_rp_id(rp_id)?,
        None if asked.only(CEREMONIES).is_empty() => {}
        None => return Err(Status::MISSING_PARAMETER),
    }
    Ok(asked)
}

fn new_pin(shared: &SharedSecret, sealed: &[u8]) -> Result<Pin, Status> {
    let padded = shared.decrypt(sealed).filter(|padded| padded.len() == PADDED_PIN);
    let padded = padded.ok_or(Status::INVALID_PARAMETER)?;
    let end = padded.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // The last byte of the padding is part of no PIN.
    let text = padded.get(..end).filter(|text| text.len() < PADDED_PIN);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    let pin = text.and_then(|text| Pin::new(text.to_owned()).ok());
    pin.ok_or(Status::PIN_POLICY_VIOLATION)
}
