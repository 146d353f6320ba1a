//! authenticatorCredentialManagement: counts, lists, deletes and renames discoverable passkeys.
//!
//! Everything takes a token that the user gave for it; the list itself is nobody else's business.
//! Depends on the pure modules and siblings only. Specification: CTAP 2.2, section 6.8.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::register::bounded;
use super::token::Proof;
use super::{Answer, Engine, Failure, Outcome, Session, attest};
use crate::authenticator::Random;
use crate::authenticator::consent::Consent;
use crate::authenticator::passkey::{CredentialId, Passkey, PasskeyStore, Timestamp};
use crate::ctap::{
    CredentialDescriptor, ManageCommand, ManageParams, ManageRequest, ManageResponse, Permissions,
    RpEntity, Status, UserEntity,
};

/// Passkeys that the store is known to hold without slowing down.
const ROOM: u64 = 10_000;

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) fn manage(
        &mut self,
        body: &[u8],
        session: Option<Session>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let request = ManageRequest::decode(body)?;
        let command = ManageCommand::from_number(request.command)?;
        let response = match (command, session) {
            (ManageCommand::RpsNext, Some(Session::Rps(rest))) => self.next_rp(rest)?,
            (ManageCommand::CredentialsNext, Some(Session::Passkeys(rest))) => {
                self.next_passkey(rest)?
            }
            (ManageCommand::RpsNext | ManageCommand::CredentialsNext, _) => {
                return Err(Status::NOT_ALLOWED.into());
            }
            _ => {
                let param = request.pin_uv_auth_param.as_deref().ok_or(Status::PUAT_REQUIRED)?;
                let (protocol, message) = (request.protocol, request.authenticated.as_slice());
                let proof = Proof { protocol, param, message };
                self.tokens.check(proof, Permissions::MANAGE, now)?;
                self.managed(command, &request.params, rng)?
            }
        };
        Ok((response.encode(), Outcome::Answered))
    }

    fn managed(
        &mut self,
        command: ManageCommand,
        params: &ManageParams,
        rng: Random<'_>,
    ) -> Result<ManageResponse, Failure> {
        match command {
            ManageCommand::Metadata => {
                self.for_all_rps()?;
                let existing = self.discoverable()?.len() as u64;
                let remaining = Some(ROOM.saturating_sub(existing));
                Ok(ManageResponse { existing: Some(existing), remaining, ..Default::default() })
            }
            ManageCommand::RpsBegin => self.first_rp(),
            ManageCommand::CredentialsBegin => {
                let hash = params.rp_id_hash.ok_or(Status::MISSING_PARAMETER)?;
                self.first_passkey(hash)
            }
            ManageCommand::Delete => {
                let passkey = self.named_by(params)?;
                self.store.remove(&passkey.id, rng)?;
                Ok(ManageResponse::default())
            }
            ManageCommand::UpdateUser => self.update(params, rng),
            ManageCommand::RpsNext | ManageCommand::CredentialsNext => {
                Err(Status::NOT_ALLOWED.into())
            }
        }
    }

    fn discoverable(&self) -> Result<Vec<Passkey>, Failure> {
        let mut passkeys = self.store.all()?;
        passkeys.retain(|passkey| passkey.discoverable);
        Ok(passkeys)
    }

    /// A token for one site does not tell about the others.
    fn for_all_rps(&self) -> Result<(), Status> {
        if self.tokens.rp_id().is_some() { Err(Status::PIN_AUTH_INVALID) } else { Ok(()) }
    }

    fn for_rp(&self, hash: &[u8; 32]) -> Result<(), Status> {
        let fits = self.tokens.rp_id().is_none_or(|rp_id| rp_id_hash(rp_id) == *hash);
        if fits { Ok(()) } else { Err(Status::PIN_AUTH_INVALID) }
    }

    fn first_rp(&mut self) -> Result<ManageResponse, Failure> {
        self.for_all_rps()?;
        let passkeys = self.discoverable()?;
        let rps = passkeys.into_iter().map(|passkey| (passkey.rp.id, passkey.rp.name));
        let rps: BTreeMap<_, _> = rps.collect();
        if rps.is_empty() {
            return Err(Status::NO_CREDENTIALS.into());
        }
        let total_rps = Some(rps.len() as u64);
        let rest = rps.into_iter().rev().map(|(id, name)| RpEntity { id, name }).collect();
        Ok(ManageResponse { total_rps, ..self.next_rp(rest)? })
    }

    fn next_rp(&mut self, mut rest: Vec<RpEntity>) -> Result<ManageResponse, Failure> {
        let rp = rest.pop().ok_or(Status::NOT_ALLOWED)?;
        self.session = Some(Session::Rps(rest)).filter(|session| !session.is_over());
        let rp_id_hash = Some(rp_id_hash(&rp.id));
        Ok(ManageResponse { rp: Some(rp), rp_id_hash, ..Default::default() })
    }

    fn first_passkey(&mut self, hash: [u8; 32]) -> Result<ManageResponse, Failure> {
        self.for_rp(&hash)?;
        let mut passkeys = self.discoverable()?;
        passkeys.retain(|passkey| rp_id_hash(&passkey.rp.id) == hash);
        if passkeys.is_empty() {
            return Err(Status::NO_CREDENTIALS.into());
        }
        let total_credentials = Some(passkeys.len() as u64);
        passkeys.reverse();
        Ok(ManageResponse { total_credentials, ..self.next_passkey(passkeys)? })
    }

    fn next_passkey(&mut self, mut rest: Vec<Passkey>) -> Result<ManageResponse, Failure> {
        let passkey = rest.pop().ok_or(Status::NOT_ALLOWED)?;
        self.session = Some(Session::Passkeys(rest)).filter(|session| !session.is_over());
        let key = attest::signing_key(&passkey)?;
        Ok(ManageResponse {
            user: Some(passkey.user.clone()),
            credential: Some(CredentialDescriptor::new(passkey.id.as_bytes().to_vec())),
            public_key: Some(attest::public_key(&key)?),
            cred_protect: Some(passkey.cred_protect.level()),
            large_blob_key: passkey.large_blob_key.as_ref().map(|key| key.expose().to_vec()),
            ..Default::default()
        })
    }

    fn named_by(&self, params: &ManageParams) -> Result<Passkey, Failure> {
        let credential = params.credential.as_ref().ok_or(Status::MISSING_PARAMETER)?;
        let id = CredentialId::from_bytes(&credential.id).ok_or(Status::NO_CREDENTIALS)?;
        let found = self.store.find_by_id(&id)?.filter(|passkey| passkey.discoverable);
        let passkey = found.ok_or(Status::NO_CREDENTIALS)?;
        self.for_rp(&rp_id_hash(&passkey.rp.id))?;
        Ok(passkey)
    }

    fn update(
        &mut self,
        params: &ManageParams,
        rng: Random<'_>,
    ) -> Result<ManageResponse, Failure> {
        let user = params.user.as_ref().ok_or(Status::MISSING_PARAMETER)?;
        let passkey = self.named_by(params)?;
        if passkey.user.id != user.id {
            return Err(Status::INVALID_PARAMETER.into());
        }
        // An empty name is the way to remove it.
        let name = |name: &Option<String>| name.as_deref().filter(|n| !n.is_empty()).map(bounded);
        let (name, display_name) = (name(&user.name), name(&user.display_name));
        let user = UserEntity { id: user.id.clone(), name, display_name };
        self.store.set_user(&passkey.id, &user, rng)?;
        Ok(ManageResponse::default())
    }
}

fn rp_id_hash(rp_id: &str) -> [u8; 32] {
    Sha256::digest(rp_id).into()
}
