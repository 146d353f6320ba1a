//! authenticatorGetAssertion and authenticatorGetNextAssertion.
//!
//! Depends on the pure modules and siblings only. Specification: CTAP 2.2, sections 6.2 and 6.3.

use std::cmp::Reverse;

use super::extensions::Prf;
use super::silent::is_silent;
use super::{
    Answer, Engine, Failure, Outcome, SeveralAccounts, Transport, attest, no_pin_protocol,
    valid_rp_id,
};
use crate::authenticator::Verification;
use crate::authenticator::consent::{AccountView, Consent, ConsentRequest};
use crate::authenticator::passkey::{CredentialId, Passkey, PasskeyStore, Timestamp};
use crate::ctap::{
    CredentialDescriptor, Flags, GetAssertionRequest, GetAssertionResponse, PUBLIC_KEY, Status,
    UserEntity,
};

/// Seconds that a client may take between two accounts of a listing.
const NEXT_WITHIN: u64 = 30;

/// What the signatures of one request have in common.
struct SignIn {
    client_data_hash: [u8; 32],
    prf: Option<Prf>,
    proof: Verification,
    /// Whether the client wants to hear that the user was present.
    present: bool,
}

/// Accounts that the client has yet to fetch, the next one last.
pub(super) struct Listing {
    sign_in: SignIn,
    rest: Vec<Passkey>,
    until: Timestamp,
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) async fn get_assertion(
        &mut self,
        body: &[u8],
        transport: Transport,
        now: Timestamp,
    ) -> Answer {
        let request = read(body, transport)?;
        if is_silent(&request) {
            return self.look(&request);
        }
        let present = request.options.up != Some(false);
        let prf = Prf::read(&request.extensions)?;
        let named = !request.allow_list.is_empty();
        let mut passkeys = self.candidates(&request)?;
        if passkeys.is_empty() {
            return Err(self.nothing_found(request.rp_id).await.into());
        }
        let pick = self.picks();
        let accounts = passkeys.iter().map(AccountView::from).collect();
        let approval = self.ask(ConsentRequest::SignIn { rp_id: request.rp_id, accounts, pick });
        let approval = approval.await?;
        let client_data_hash = request.client_data_hash;
        let sign_in = SignIn { client_data_hash, prf, proof: approval.verification, present };
        if !pick && !named && passkeys.len() > 1 {
            return self.list(sign_in, passkeys, now);
        }
        let passkey = passkeys.swap_remove(if pick { approval.account } else { 0 });
        let mut response = sign_in.respond(&passkey)?;
        response.user_selected = (pick && !named).then_some(true);
        response.user = user(&passkey, false);
        let first_proof = named && passkey.delivered_at.is_none();
        let outcome = Outcome::SignedIn { credential: passkey.id, first_proof };
        Ok((response.encode(), outcome))
    }

    pub(super) fn get_next_assertion(
        &mut self,
        listing: Option<Listing>,
        now: Timestamp,
    ) -> Answer {
        let current = listing.filter(|listing| now <= listing.until);
        self.list_next(current.ok_or(Status::NOT_ALLOWED)?, None, now)
    }

    /// Answers with the first of several accounts and keeps the others for the client to fetch.
    fn list(&mut self, sign_in: SignIn, mut rest: Vec<Passkey>, now: Timestamp) -> Answer {
        let count = u64::try_from(rest.len()).ok();
        rest.reverse();
        self.list_next(Listing { sign_in, rest, until: now }, count, now)
    }

    fn list_next(&mut self, mut listing: Listing, count: Option<u64>, now: Timestamp) -> Answer {
        let passkey = listing.rest.pop().ok_or(Status::NOT_ALLOWED)?;
        let mut response = listing.sign_in.respond(&passkey)?;
        response.number_of_credentials = count;
        response.user = user(&passkey, true);
        listing.until = Timestamp(now.0.saturating_add(NEXT_WITHIN));
        self.listing = (!listing.rest.is_empty()).then_some(listing);
        Ok((response.encode(), Outcome::Offered { credential: passkey.id }))
    }

    /// Whether the user chooses among accounts here, rather than on the client.
    fn picks(&self) -> bool {
        self.consent.can_pick() && self.config.several_accounts == SeveralAccounts::AskUser
    }

    /// Passkeys that may answer, the best to offer first: what a site is known to have before
    /// possible orphans, then the newest.
    pub(super) fn candidates(
        &self,
        request: &GetAssertionRequest,
    ) -> Result<Vec<Passkey>, Failure> {
        let mut passkeys = if request.allow_list.is_empty() {
            let mut all = self.store.find_by_rp(&request.rp_id)?;
            all.retain(|passkey| passkey.discoverable);
            all
        } else {
            self.named(&request.rp_id, &request.allow_list)?
        };
        passkeys.sort_by_key(|p| (p.delivered_at.is_none(), Reverse(p.created_at)));
        Ok(passkeys)
    }

    /// Passkeys of the list that are here and of that relying party, each once.
    pub(super) fn named(
        &self,
        rp_id: &str,
        list: &[CredentialDescriptor],
    ) -> Result<Vec<Passkey>, Failure> {
        let known = list.iter().filter(|descriptor| descriptor.kind == PUBLIC_KEY);
        let ids: std::collections::BTreeSet<_> =
            known.filter_map(|descriptor| CredentialId::from_bytes(&descriptor.id)).collect();
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.store.find_by_id(&id)?.filter(|passkey| passkey.rp.id == rp_id));
        }
        Ok(found)
    }

    async fn nothing_found(&self, rp_id: String) -> Status {
        match self.ask(ConsentRequest::NothingFound { rp_id }).await {
            Err(unanswered @ (Status::USER_ACTION_TIMEOUT | Status::KEEPALIVE_CANCEL)) => {
                unanswered
            }
            _ => Status::NO_CREDENTIALS,
        }
    }
}

impl SignIn {
    fn respond(&self, passkey: &Passkey) -> Result<GetAssertionResponse, Failure> {
        let key = attest::signing_key(passkey)?;
        let mut data = attest::authenticator_data(&passkey.rp.id, self.proof);
        data.flags = data.flags.with(Flags::USER_PRESENT, self.present);
        let auth_data = data.encode();
        let signature = attest::sign(&key, &auth_data, &self.client_data_hash);
        Ok(GetAssertionResponse {
            credential: Some(CredentialDescriptor::new(passkey.id.as_bytes().to_vec())),
            auth_data,
            signature,
            user: None,
            number_of_credentials: None,
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: self.prf.as_ref().and_then(|prf| prf.signed_in(passkey)),
        })
    }
}

/// The account, for a discoverable passkey: its names only where the client has to show them to
/// let its user choose. They may be sent at all only because the user was verified.
pub(super) fn user(passkey: &Passkey, names: bool) -> Option<UserEntity> {
    let shown = |name: &Option<String>| name.clone().filter(|_| names);
    let user = &passkey.user;
    passkey.discoverable.then(|| UserEntity {
        id: user.id.clone(),
        name: shown(&user.name),
        display_name: shown(&user.display_name),
    })
}

fn read(body: &[u8], transport: Transport) -> Result<GetAssertionRequest, Status> {
    let request = GetAssertionRequest::decode(body)?;
    valid_rp_id(&request.rp_id)?;
    no_pin_protocol(&request.pin_uv_auth_param, request.pin_uv_auth_protocol)?;
    // A silent look whether a passkey is here: over hybrid nobody has reason to, and nothing is
    // answered without the user.
    let looks = request.options.up == Some(false) && transport == Transport::Hybrid;
    if request.options.rk.is_some() || looks {
        return Err(Status::UNSUPPORTED_OPTION);
    }
    Ok(request)
}
