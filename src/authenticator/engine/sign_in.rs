//! authenticatorGetAssertion and authenticatorGetNextAssertion.
//!
//! Depends on the pure modules and siblings only. Specification: CTAP 2.2, sections 6.2 and 6.3.

use std::cmp::Reverse;

use super::extensions::{self, Prf};
use super::hmac_secret::{HMAC_SECRET, HmacSecret};
use super::silent::is_silent;
use super::site_data::ToTell;
use super::{
    Answer, Engine, Failure, Outcome, Session, SeveralAccounts, Transport, attest, proof,
    valid_rp_id,
};
use crate::authenticator::consent::{AccountView, Consent, ConsentRequest};
use crate::authenticator::passkey::{CredentialId, Passkey, PasskeyStore, Timestamp};
use crate::authenticator::{Random, Verification};
use crate::ctap::{
    CredentialDescriptor, Flags, GetAssertionRequest, GetAssertionResponse, PUBLIC_KEY,
    Permissions, Status, UserEntity,
};

/// Seconds that a client may take between two accounts of a listing.
const NEXT_WITHIN: u64 = 30;

/// What the signatures of one request have in common.
struct SignIn {
    client_data_hash: [u8; 32],
    prf: Option<Prf>,
    hmac_secret: Option<HmacSecret>,
    tell: ToTell,
    proof: Verification,
    /// Whether the client wants to hear that the user was present.
    present: bool,
    /// Whether the answer says that the user was verified.
    verified: bool,
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
        rng: Random<'_>,
    ) -> Answer {
        let request = read(body, transport)?;
        let (param, hash) = (&request.pin_uv_auth_param, &request.client_data_hash);
        let proof = proof(transport, param, request.pin_uv_auth_protocol, hash);
        let may = Permissions::GET_ASSERTION;
        self.permitted(transport, proof, may, &request.rp_id, now).await?;
        if is_silent(&request) {
            return self.look(&request);
        }
        let present = request.options.up != Some(false);
        // The same secret, in the form that the transport has for it.
        let (prf, hmac_secret) = match transport {
            Transport::Hybrid => (Prf::read(&request.extensions)?, None),
            Transport::Hid => (None, HmacSecret::read(&request.extensions, &self.tokens)?),
        };
        let tell = ToTell::read(&request.extensions, transport)?;
        let named = !request.allow_list.is_empty();
        let mut passkeys = self.candidates(&request)?;
        if passkeys.is_empty() {
            return Err(self.nothing_found(request.rp_id).await.into());
        }
        let pick = self.picks();
        let accounts = passkeys.iter().map(AccountView::from).collect();
        let approval = self.ask(ConsentRequest::SignIn { rp_id: request.rp_id, accounts, pick });
        let approval = approval.await?;
        self.tokens.use_up();
        let client_data_hash = request.client_data_hash;
        let sign_in = SignIn {
            client_data_hash,
            prf,
            hmac_secret,
            tell,
            proof: approval.verification,
            present,
            verified: self.config.claims_verification,
        };
        if !pick && !named && passkeys.len() > 1 {
            return self.list(sign_in, passkeys, now, rng);
        }
        let passkey = passkeys.swap_remove(if pick { approval.account } else { 0 });
        let written = self.write_blob(&sign_in.tell, &passkey, rng)?;
        let mut response = sign_in.respond(&passkey, written, rng)?;
        response.user_selected = (pick && !named).then_some(true);
        response.user = user(&passkey, false);
        let first_proof = named && passkey.delivered_at.is_none();
        let outcome = Outcome::SignedIn { credential: passkey.id, first_proof };
        Ok((response.encode(), outcome))
    }

    pub(super) fn get_next_assertion(
        &mut self,
        session: Option<Session>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        match session {
            Some(Session::Listing(listing)) if now <= listing.until => {
                self.list_next(*listing, None, now, rng)
            }
            _ => Err(Status::NOT_ALLOWED.into()),
        }
    }

    /// Answers with the first of several accounts and keeps the others for the client to fetch.
    fn list(
        &mut self,
        sign_in: SignIn,
        mut rest: Vec<Passkey>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let count = u64::try_from(rest.len()).ok();
        rest.reverse();
        self.list_next(Listing { sign_in, rest, until: now }, count, now, rng)
    }

    fn list_next(
        &mut self,
        mut listing: Listing,
        count: Option<u64>,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let passkey = listing.rest.pop().ok_or(Status::NOT_ALLOWED)?;
        let mut response = listing.sign_in.respond(&passkey, false, rng)?;
        response.number_of_credentials = count;
        response.user = user(&passkey, true);
        listing.until = Timestamp(now.0.saturating_add(NEXT_WITHIN));
        self.session = (!listing.rest.is_empty()).then(|| Session::Listing(Box::new(listing)));
        Ok((response.encode(), Outcome::Offered { credential: passkey.id }))
    }

    /// Keeps the blob that came along, if one did, with the passkey as it is now.
    fn write_blob(
        &self,
        tell: &ToTell,
        passkey: &Passkey,
        rng: Random<'_>,
    ) -> Result<bool, Failure> {
        let Some(blob) = tell.write() else { return Ok(false) };
        let Some(current) = self.store.find_by_id(&passkey.id)? else { return Ok(false) };
        self.store.save(&Passkey { large_blob: Some(blob.clone()), ..current }, rng)?;
        Ok(true)
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
    fn respond(
        &self,
        passkey: &Passkey,
        written: bool,
        rng: Random<'_>,
    ) -> Result<GetAssertionResponse, Failure> {
        let key = attest::signing_key(passkey)?;
        let mut data = attest::authenticator_data(passkey, self.proof);
        data.flags = data.flags.with(Flags::USER_PRESENT, self.present);
        data.flags = data.flags.with(Flags::USER_VERIFIED, self.verified);
        let secret = self.hmac_secret.as_ref().map(|s| s.evaluate(passkey, data.flags, rng));
        let secret = secret.map(|secret| (HMAC_SECRET, secret));
        data.extensions = extensions::outputs([secret, self.tell.signed(passkey)]);
        let auth_data = data.encode();
        let signature = attest::sign(&key, &auth_data, &self.client_data_hash);
        let prf = self.prf.as_ref().and_then(|prf| prf.signed_in(passkey));
        let unsigned = [prf, self.tell.unsigned(passkey, written)];
        Ok(GetAssertionResponse {
            credential: Some(CredentialDescriptor::new(passkey.id.as_bytes().to_vec())),
            auth_data,
            signature,
            user: None,
            number_of_credentials: None,
            user_selected: None,
            large_blob_key: self.tell.key(passkey),
            unsigned_extension_outputs: extensions::outputs(unsigned),
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
    // A silent look whether a passkey is here: over hybrid nobody has reason to, and nothing is
    // answered without the user.
    let looks = request.options.up == Some(false) && transport == Transport::Hybrid;
    if request.options.rk.is_some() || looks {
        return Err(Status::UNSUPPORTED_OPTION);
    }
    Ok(request)
}
