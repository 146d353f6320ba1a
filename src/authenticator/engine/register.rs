//! authenticatorMakeCredential.
//!
//! **Registering an account again.** The new passkey is saved beside the old one, and names it in
//! `replaces`. Only when the laptop is known to have the answer does the store note that and drop
//! the old one, both in one transaction. If the tunnel dies before, both stay: whichever of them
//! the site knows still signs in, and the list shows the new one as possibly orphaned.
//!
//! Depends on the pure modules and siblings only. Specification: CTAP 2.2, section 6.1.2.

use zeroize::Zeroizing;

use super::extensions::{self, CRED_PROTECT, Prf};
use super::hmac_secret::{self, HMAC_SECRET};
use super::site_data::ToKeep;
use super::{Answer, Engine, Failure, Outcome, Transport, attest, proof, valid_rp_id};
use crate::authenticator::consent::{AccountView, Consent, ConsentRequest, printable};
use crate::authenticator::passkey::{
    Backup, CredProtect, CredentialId, Origin, Passkey, PasskeyStore, PrfSeeds, Timestamp,
};
use crate::authenticator::{Random, Verification};
use crate::cbor::Value;
use crate::ctap::{
    ES256, Flags, MakeCredentialRequest, MakeCredentialResponse, PUBLIC_KEY, Permissions, RpEntity,
    Status, UserEntity,
};
use crate::secret::Secret;

/// Bytes kept of a name; sites may send any length.
const MAX_NAME: usize = 255;

/// What is asked for, checked.
struct Registration {
    request: MakeCredentialRequest,
    cred_protect: Option<CredProtect>,
    prf: Option<Prf>,
    hmac_secret: bool,
    keep: ToKeep,
}

impl Registration {
    fn read(body: &[u8], transport: Transport) -> Result<Self, Status> {
        let request = MakeCredentialRequest::decode(body)?;
        valid_rp_id(&request.rp.id)?;
        let fits = |p: &crate::ctap::CredentialParameters| p.alg == ES256 && p.kind == PUBLIC_KEY;
        if !request.pub_key_cred_params.iter().any(fits) {
            return Err(Status::UNSUPPORTED_ALGORITHM);
        }
        if request.options.up == Some(false) {
            return Err(Status::INVALID_OPTION);
        }
        if request.enterprise_attestation.is_some() {
            return Err(Status::INVALID_PARAMETER);
        }
        let cred_protect = extensions::cred_protect(&request.extensions)?;
        // The same secret, in the form that the transport has for it.
        let (prf, hmac_secret) = match transport {
            Transport::Hybrid => (Prf::read(&request.extensions)?, false),
            Transport::Hid => (None, hmac_secret::asked(&request.extensions)?),
        };
        let discoverable = request.options.rk == Some(true);
        let keep = ToKeep::read(&request.extensions, transport, discoverable)?;
        Ok(Self { request, cred_protect, prf, hmac_secret, keep })
    }

    fn discoverable(&self) -> bool {
        self.request.options.rk == Some(true)
    }

    /// Signed extension outputs.
    fn outputs(&self) -> Option<Value> {
        let protect = self.cred_protect.map(|level| (CRED_PROTECT, Value::Uint(level.level())));
        let secret = self.hmac_secret.then_some((HMAC_SECRET, Value::Bool(true)));
        extensions::outputs([protect, secret, self.keep.signed()])
    }

    /// Extension outputs beside the signed data.
    fn unsigned_outputs(&self, passkey: &Passkey) -> Option<Value> {
        let prf = self.prf.as_ref().and_then(|prf| prf.registered(passkey));
        extensions::outputs([prf, self.keep.unsigned()])
    }

    fn consent(&self, replaced: &[Passkey]) -> ConsentRequest {
        let user = &self.request.user;
        let names = [&user.name, &user.display_name];
        let account = names.into_iter().flatten().find(|name| !name.is_empty());
        ConsentRequest::Save {
            rp_id: self.request.rp.id.clone(),
            rp_name: self.request.rp.name.as_deref().map(printable),
            account: account.map(|name| printable(name)),
            replaces: replaced.iter().map(AccountView::from).collect(),
        }
    }

    fn new_passkey(&self, replaced: &[Passkey], now: Timestamp, mut rng: Random<'_>) -> Passkey {
        let (rp, user) = (&self.request.rp, &self.request.user);
        Passkey {
            id: CredentialId::random(rng),
            rp: RpEntity { id: rp.id.clone(), name: rp.name.as_deref().map(bounded) },
            user: UserEntity {
                id: user.id.clone(),
                name: user.name.as_deref().map(bounded),
                display_name: user.display_name.as_deref().map(bounded),
            },
            private_key: new_private_key(rng),
            discoverable: self.discoverable(),
            cred_protect: self.cred_protect.unwrap_or_default(),
            prf_seeds: PrfSeeds {
                verified: Secret::random(&mut rng),
                unverified: Secret::random(&mut rng),
            },
            cred_blob: self.keep.cred_blob(),
            large_blob: None,
            large_blob_key: self.keep.large_blob_key.then(|| Secret::random(&mut rng)),
            backup: Backup::ELIGIBLE,
            origin: Origin::Made,
            label: None,
            created_at: now,
            delivered_at: None,
            last_used_at: None,
            replaces: replaced.iter().map(|passkey| passkey.id.clone()).collect(),
        }
    }
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) async fn make_credential(
        &mut self,
        body: &[u8],
        transport: Transport,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Answer {
        let registration = Registration::read(body, transport)?;
        let request = &registration.request;
        let (param, hash) = (&request.pin_uv_auth_param, &request.client_data_hash);
        let proof = proof(transport, param, request.pin_uv_auth_protocol, hash);
        let may = Permissions::MAKE_CREDENTIAL;
        self.permitted(transport, proof, may, &request.rp.id, now).await?;
        if let Some(existing) = self.excluded(&registration.request)? {
            return Err(self.already_registered(&existing, now, rng).await);
        }
        let replaced = self.same_account(&registration)?;
        let approval = self.ask(registration.consent(&replaced)).await?;
        self.tokens.use_up();
        let passkey = registration.new_passkey(&replaced, now, rng);
        // Durable before the laptop hears of it: a passkey that a site knows but the phone lost
        // would be worse than one that only the phone knows.
        self.store.save(&passkey, rng)?;
        let response = self.registered(&registration, &passkey, approval.verification)?;
        Ok((response.encode(), Outcome::Saved { credential: passkey.id }))
    }

    fn excluded(&self, request: &MakeCredentialRequest) -> Result<Option<Passkey>, Failure> {
        self.named(&request.rp.id, &request.exclude_list).map(|found| found.into_iter().next())
    }

    /// The user has to agree to more than silence: otherwise a laptop could find out who is known
    /// here by sending exclude lists.
    async fn already_registered(
        &self,
        existing: &Passkey,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Failure {
        let (rp_id, account) = (existing.rp.id.clone(), AccountView::from(existing));
        let request = ConsentRequest::AlreadyRegistered { rp_id, account };
        let known = match self.ask(request).await {
            Err(status) => return status.into(),
            Ok(_) if existing.delivered_at.is_some() => Ok(()),
            // The site could only name it because our answer arrived.
            Ok(_) => self.store.mark_delivered(&existing.id, now, rng),
        };
        known.map_or_else(Failure::Store, |()| Status::CREDENTIAL_EXCLUDED.into())
    }

    fn same_account(&self, registration: &Registration) -> Result<Vec<Passkey>, Failure> {
        if !registration.discoverable() {
            return Ok(Vec::new());
        }
        let mut passkeys = self.store.find_by_rp(&registration.request.rp.id)?;
        let user_id = &registration.request.user.id;
        passkeys.retain(|passkey| passkey.discoverable && passkey.user.id == *user_id);
        Ok(passkeys)
    }

    fn registered(
        &self,
        registration: &Registration,
        passkey: &Passkey,
        proof: Verification,
    ) -> Result<MakeCredentialResponse, Failure> {
        let key = attest::signing_key(passkey)?;
        let hash = &registration.request.client_data_hash;
        let mut data = attest::authenticator_data(passkey, proof);
        data.flags = data.flags.with(Flags::USER_VERIFIED, self.config.claims_verification);
        data.attested = Some(attest::attested(&self.config, passkey, &key)?);
        data.extensions = registration.outputs();
        let auth_data = data.encode();
        let (fmt, att_stmt) = attest::attestation(&self.config, &key, &auth_data, hash)?;
        Ok(MakeCredentialResponse {
            fmt: fmt.to_owned(),
            auth_data,
            att_stmt,
            ep_att: None,
            large_blob_key: passkey.large_blob_key.as_ref().map(|key| key.expose().to_vec()),
            unsigned_extension_outputs: registration.unsigned_outputs(passkey),
        })
    }
}

/// A scalar of P-256, drawn until it is in range, which it all but always is at once.
fn new_private_key(mut rng: Random<'_>) -> Secret<32> {
    let scalar = Zeroizing::new(p256::NonZeroScalar::random(&mut rng));
    let bytes = Zeroizing::new(<[u8; 32]>::from(scalar.to_bytes()));
    Secret::new(*bytes)
}

/// The text, cut at a character if it is longer than [`MAX_NAME`] bytes.
pub(super) fn bounded(text: &str) -> String {
    let end = (0..=MAX_NAME.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}
