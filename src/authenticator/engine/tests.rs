mod hid;
mod mutations;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::*;
use crate::authenticator::consent::AccountView;
use crate::authenticator::passkey::{CredProtect, CredentialId, Passkey, State};
use crate::authenticator::store::{KdfCost, Pin, Store};
use crate::authenticator::upkeep::Upkeep;
use crate::cbor::{self, Value};
use crate::ctap::*;

const NOW: Timestamp = Timestamp(1_700_000_000);
const HASH: [u8; 32] = [0xcd; 32];
const RP: &str = "contoso.com";

/// Answers from a script; an empty script never answers.
struct Script {
    answers: Mutex<VecDeque<Decision>>,
    asked: Mutex<Vec<ConsentRequest>>,
    can_pick: bool,
}

impl Consent for Script {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(decision) => decision,
            None => std::future::pending().await,
        }
    }

    fn can_pick(&self) -> bool {
        self.can_pick
    }
}

fn approve(account: usize) -> Decision {
    Decision::Approved { account, verification: Verification::standing_approval() }
}

struct Phone {
    engine: Engine<Store, Arc<Script>>,
    store: Store,
    script: Arc<Script>,
    rng: ChaCha20Rng,
    now: Timestamp,
    _dir: tempfile::TempDir,
}

impl Phone {
    fn new() -> Self {
        Self::with(Config::default(), true)
    }

    fn with(config: Config, can_pick: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let weak = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let pin = Pin::new("1234".to_owned()).unwrap();
        let store = Store::create_with_cost(dir.path(), &pin, weak, &mut rng).unwrap();
        let (answers, asked) = Default::default();
        let script = Arc::new(Script { answers, asked, can_pick });
        let engine = Engine::new(store.clone(), Arc::clone(&script), config);
        Self { engine, store, script, rng, now: NOW, _dir: dir }
    }

    async fn send(&mut self, message: &[u8], answers: &[Decision]) -> Reply {
        self.script.answers.lock().unwrap().extend(answers);
        self.now.0 += 1;
        let reply = self.engine.handle(message, Transport::Hybrid, self.now, &mut self.rng).await;
        assert!(self.script.answers.lock().unwrap().is_empty(), "asked less than expected");
        reply
    }

    async fn status(&mut self, message: &[u8], answers: &[Decision]) -> Status {
        self.send(message, answers).await.status()
    }

    fn asked(&self) -> Vec<ConsentRequest> {
        std::mem::take(&mut *self.script.asked.lock().unwrap())
    }

    fn deliver(&mut self, reply: &Reply) {
        self.engine.delivered(&reply.outcome, self.now, &mut self.rng).unwrap();
    }

    /// Registers, delivers, and gives the passkey's id.
    async fn registered(&mut self, request: &MakeCredentialRequest) -> CredentialId {
        let reply = self.send(&request.encode(), &[approve(0)]).await;
        self.deliver(&reply);
        let Outcome::Saved { credential } = reply.outcome else { panic!("{reply:?}") };
        self.asked();
        credential
    }

    fn passkey(&self, id: &CredentialId) -> Passkey {
        self.store.find_by_id(id).unwrap().unwrap()
    }
}

fn make(user: &str) -> MakeCredentialRequest {
    MakeCredentialRequest {
        client_data_hash: HASH,
        rp: RpEntity { id: RP.to_owned(), name: Some("Contoso".to_owned()) },
        user: UserEntity {
            id: user.as_bytes().to_vec(),
            name: Some(format!("{user}@contoso.com")),
            display_name: Some(user.to_uppercase()),
        },
        pub_key_cred_params: vec![CredentialParameters::new(-257), CredentialParameters::new(-7)],
        exclude_list: Vec::new(),
        extensions: Vec::new(),
        options: Options { rk: Some(true), up: None, uv: Some(true) },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
    }
}

fn get() -> GetAssertionRequest {
    GetAssertionRequest {
        rp_id: RP.to_owned(),
        client_data_hash: HASH,
        allow_list: Vec::new(),
        extensions: Vec::new(),
        options: Options { rk: None, up: None, uv: Some(true) },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

fn allowing(ids: &[&CredentialId]) -> GetAssertionRequest {
    GetAssertionRequest { allow_list: ids.iter().map(|id| descriptor(id)).collect(), ..get() }
}

fn descriptor(id: &CredentialId) -> CredentialDescriptor {
    CredentialDescriptor::new(id.as_bytes().to_vec())
}

fn made(reply: &Reply) -> (MakeCredentialResponse, AuthenticatorData) {
    assert_eq!(reply.status(), Status::OK);
    // Canonical, or a Chromium would refuse it.
    cbor::decode(&reply.bytes[1..]).unwrap();
    let response = MakeCredentialResponse::decode(&reply.bytes[1..]).unwrap();
    let data = AuthenticatorData::decode(&response.auth_data).unwrap();
    (response, data)
}

fn verifying_key(data: &AuthenticatorData) -> VerifyingKey {
    let CosePublicKey::Es256(key) = &data.attested.as_ref().unwrap().public_key else {
        panic!("not ES256")
    };
    VerifyingKey::from_sec1_bytes(&key.to_sec1()).unwrap()
}

fn verify(key: &VerifyingKey, auth_data: &[u8], signature: &[u8]) {
    let signature = Signature::from_der(signature).unwrap();
    key.verify(&[auth_data, &HASH].concat(), &signature).unwrap();
}

/// Checks everything that a relying party would, by the key that the store has.
fn signed(phone: &Phone, reply: &Reply) -> (CredentialId, GetAssertionResponse) {
    assert_eq!(reply.status(), Status::OK);
    cbor::decode(&reply.bytes[1..]).unwrap();
    let response = GetAssertionResponse::decode(&reply.bytes[1..]).unwrap();
    let id = CredentialId::from_bytes(&response.credential.as_ref().unwrap().id).unwrap();
    let secret = phone.passkey(&id).private_key;
    let key = p256::ecdsa::SigningKey::from_slice(secret.expose()).unwrap();
    verify(key.verifying_key(), &response.auth_data, &response.signature);
    let data = AuthenticatorData::decode(&response.auth_data).unwrap();
    assert_eq!(data.rp_id_hash, <[u8; 32]>::from(Sha256::digest(RP)));
    assert_eq!((data.flags, data.sign_count), (Flags(0x0d), 0));
    (id, response)
}

fn sign_in_accounts(request: &ConsentRequest) -> &[AccountView] {
    match request {
        ConsentRequest::SignIn { accounts, .. } => accounts,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn registers_and_signs_in() {
    let mut phone = Phone::new();
    let reply = phone.send(&make("ann").encode(), &[approve(0)]).await;
    let (response, data) = made(&reply);
    let key = verifying_key(&data);
    assert_eq!(response.fmt, "packed");
    verify(
        &key,
        &response.auth_data,
        response.att_stmt.get_text("sig").unwrap().as_bytes().unwrap(),
    );
    assert_eq!((data.flags, data.sign_count), (Flags(0x4d), 0));
    assert_eq!(data.rp_id_hash, <[u8; 32]>::from(Sha256::digest(RP)));
    assert_eq!(data.attested.as_ref().unwrap().aaguid, AAGUID);
    assert_eq!((response.unsigned_extension_outputs, data.extensions), (None, None));
    let asked = phone.asked();
    let [ConsentRequest::Save { rp_id, rp_name, account, replaces }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((rp_id.as_str(), rp_name.as_deref()), (RP, Some("Contoso")));
    assert_eq!((account.as_deref(), &replaces[..]), (Some("ann@contoso.com"), &[][..]));

    let id = CredentialId::from_bytes(&data.attested.unwrap().id).unwrap();
    assert_eq!(phone.passkey(&id).state(), State::Created);
    phone.deliver(&reply);
    assert_eq!(phone.passkey(&id).state(), State::Delivered);

    let reply = phone.send(&get().encode(), &[approve(0)]).await;
    let (used, response) = signed(&phone, &reply);
    verify(&key, &response.auth_data, &response.signature);
    assert_eq!((&used, response.user_selected), (&id, Some(true)));
    let user = response.user.unwrap();
    assert_eq!((&user.id[..], user.name, user.display_name), (&b"ann"[..], None, None));
    assert_eq!(sign_in_accounts(&phone.asked()[0])[0].name, "ann@contoso.com");
    phone.deliver(&reply);
    assert_eq!(phone.passkey(&id).state(), State::Used);
}

#[tokio::test]
async fn attestation_none() {
    let mut phone =
        Phone::with(Config { attestation: Attestation::None, ..Config::default() }, true);
    let (response, _) = made(&phone.send(&make("ann").encode(), &[approve(0)]).await);
    assert_eq!((response.fmt.as_str(), response.att_stmt), ("none", Value::Map(vec![])));
}

#[tokio::test]
async fn refusals_are_statuses_and_save_nothing() {
    let mut phone = Phone::new();
    let cases = [
        (Decision::Declined, Status::OPERATION_DENIED),
        (Decision::TimedOut, Status::USER_ACTION_TIMEOUT),
        (Decision::Cancelled, Status::KEEPALIVE_CANCEL),
        (Decision::NotVerified, Status::UV_INVALID),
        (Decision::LockedOut, Status::UV_BLOCKED),
        (approve(1), Status::OPERATION_DENIED),
    ];
    for (decision, status) in cases {
        assert_eq!(phone.status(&make("ann").encode(), &[decision]).await, status);
    }
    assert_eq!(phone.store.list().unwrap(), []);
    let id = phone.registered(&make("ann")).await;
    for (decision, status) in cases {
        let reply = phone.send(&get().encode(), &[decision]).await;
        assert_eq!(reply.bytes, [status.0]);
        phone.deliver(&reply);
    }
    assert_eq!(phone.passkey(&id).last_used_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_silent_user_times_out() {
    let mut phone = Phone::new();
    assert_eq!(phone.status(&make("ann").encode(), &[]).await, Status::USER_ACTION_TIMEOUT);
    assert_eq!(phone.status(&get().encode(), &[]).await, Status::USER_ACTION_TIMEOUT);
    assert_eq!(phone.status(&[0x0b], &[]).await, Status::USER_ACTION_TIMEOUT);
    assert_eq!(phone.store.list().unwrap(), []);
}

#[tokio::test]
async fn unsupported_requests_do_not_reach_the_user() {
    let mut phone = Phone::new();
    let rs256 = vec![CredentialParameters::new(-257)];
    let odd = vec![CredentialParameters { alg: ES256, kind: "other".to_owned() }];
    let protect = |level| vec![("credProtect".to_owned(), level)];
    let up = Options { up: Some(false), ..Options::default() };
    let cases = [
        (MakeCredentialRequest { pub_key_cred_params: rs256, ..make("a") }, 0x26),
        (MakeCredentialRequest { pub_key_cred_params: odd, ..make("a") }, 0x26),
        (MakeCredentialRequest { pub_key_cred_params: vec![], ..make("a") }, 0x26),
        (MakeCredentialRequest { options: up, ..make("a") }, 0x2c),
        (MakeCredentialRequest { enterprise_attestation: Some(1), ..make("a") }, 0x02),
        (MakeCredentialRequest { pin_uv_auth_param: Some(vec![]), ..make("a") }, 0x02),
        (MakeCredentialRequest { extensions: protect(Value::Uint(4)), ..make("a") }, 0x02),
        (MakeCredentialRequest { extensions: protect(Value::Bool(true)), ..make("a") }, 0x11),
        (MakeCredentialRequest { rp: RpEntity { id: String::new(), name: None }, ..make("a") }, 2),
        (MakeCredentialRequest { rp: RpEntity { id: "a\nb".into(), name: None }, ..make("a") }, 2),
    ];
    for (request, status) in cases {
        assert_eq!(phone.status(&request.encode(), &[]).await, Status(status), "{request:?}");
    }
    let rk = Options { rk: Some(true), ..Options::default() };
    for options in [up, rk] {
        let request = GetAssertionRequest { options, ..get() };
        assert_eq!(phone.status(&request.encode(), &[]).await, Status::UNSUPPORTED_OPTION);
    }
    let token = GetAssertionRequest { pin_uv_auth_protocol: Some(2), ..get() };
    assert_eq!(phone.status(&token.encode(), &[]).await, Status::INVALID_PARAMETER);
    assert_eq!(phone.asked(), []);
}

#[tokio::test]
async fn commands_without_a_body() {
    let mut phone = Phone::new();
    assert_eq!(phone.status(&[], &[]).await, Status::INVALID_LENGTH);
    for unknown in [0x00, 0x03, 0x06, 0x07, 0x09, 0x0a, 0x0c, 0x0d, 0x40, 0xff] {
        assert_eq!(phone.status(&[unknown], &[]).await, Status::INVALID_COMMAND);
    }
    for extra in [[0x04, 0], [0x08, 0xa0], [0x0b, 0]] {
        assert_eq!(phone.status(&extra, &[]).await, Status::INVALID_LENGTH);
    }
    let huge = vec![1; MAX_MESSAGE + 1];
    assert_eq!(phone.status(&huge, &[]).await, Status::REQUEST_TOO_LARGE);
    assert_eq!(phone.status(&[0x08], &[]).await, Status::NOT_ALLOWED);
    assert_eq!(phone.asked(), []);
    assert_eq!(phone.send(&[0x0b], &[approve(0)]).await.bytes, [0]);
    assert_eq!(phone.status(&[0x0b], &[Decision::Declined]).await, Status::OPERATION_DENIED);
    assert_eq!(phone.asked(), [ConsentRequest::Presence, ConsentRequest::Presence]);
}

#[tokio::test]
async fn get_info_is_canonical_and_honest() {
    let mut phone = Phone::new();
    let bytes = phone.engine.get_info(Transport::Hybrid);
    cbor::decode(&bytes).unwrap();
    let info = GetInfo::decode(&bytes).unwrap();
    assert_eq!(info.versions, ["FIDO_2_0", "FIDO_2_1"]);
    assert_eq!(info.extensions, ["credProtect", "largeBlob", "prf"]);
    assert_eq!(info.transports, ["internal", "hybrid"]);
    assert_eq!((info.option("rk"), info.option("uv")), (Some(true), Some(true)));
    assert_eq!(info.option("clientPin"), None);
    assert_eq!((info.aaguid, &info.algorithms[..]), (AAGUID, &[CredentialParameters::new(-7)][..]));
    let reply = phone.send(&[0x04], &[]).await;
    assert_eq!(reply.bytes, [&[0], &bytes[..]].concat());
}

#[tokio::test]
async fn excluded_only_after_the_user_saw_it() {
    let mut phone = Phone::new();
    let reply = phone.send(&make("ann").encode(), &[approve(0)]).await;
    let Outcome::Saved { credential: id } = reply.outcome else { panic!("{reply:?}") };
    phone.asked();
    let stranger = CredentialDescriptor::new(vec![1; 32]);
    let exclude_list = vec![stranger, descriptor(&id)];
    let request = MakeCredentialRequest { exclude_list, ..make("bob") };
    let declined = phone.status(&request.encode(), &[Decision::Declined]).await;
    assert_eq!(declined, Status::OPERATION_DENIED);
    assert_eq!(phone.passkey(&id).state(), State::Created);

    let excluded = phone.status(&request.encode(), &[approve(0)]).await;
    assert_eq!(excluded, Status::CREDENTIAL_EXCLUDED);
    assert_eq!(phone.passkey(&id).state(), State::Delivered, "the site named it");
    assert!(matches!(&phone.asked()[1], ConsentRequest::AlreadyRegistered { account, .. }
        if account.id == id));
    assert_eq!(phone.store.list().unwrap().len(), 1);

    let rp = RpEntity { id: "fabrikam.com".to_owned(), name: None };
    let elsewhere = MakeCredentialRequest { rp, ..request.clone() };
    assert_eq!(phone.status(&elsewhere.encode(), &[approve(0)]).await, Status::OK);
    let mut odd = request;
    odd.exclude_list[1].kind = "other".to_owned();
    assert_eq!(phone.status(&odd.encode(), &[approve(0)]).await, Status::OK);
}

#[tokio::test]
async fn registering_again_replaces_only_after_delivery() {
    let mut phone = Phone::new();
    let old = phone.registered(&make("ann")).await;
    let other = phone.registered(&make("bob")).await;
    let lost = phone.send(&make("ann").encode(), &[approve(0)]).await;
    let asked = phone.asked();
    let [ConsentRequest::Save { replaces, .. }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(replaces.iter().map(|view| &view.id).collect::<Vec<_>>(), [&old]);
    let Outcome::Saved { credential: lost } = lost.outcome else { panic!("{lost:?}") };

    // The answer was lost: the old one signs in and is offered before the possible orphan.
    let reply = phone.send(&get().encode(), &[approve(2)]).await;
    let asked = phone.asked();
    let accounts = sign_in_accounts(&asked[0]);
    assert_eq!(accounts.iter().map(|view| &view.id).collect::<Vec<_>>(), [&other, &old, &lost]);
    assert_eq!(accounts[2].state, State::Created);
    // Chosen all the same, a signature that the laptop took does not cost the old one its life.
    phone.deliver(&reply);
    assert_eq!(phone.passkey(&lost).state(), State::Used);
    assert_eq!(phone.passkey(&old).state(), State::Delivered);

    let new = phone.registered(&make("ann")).await;
    let left: Vec<_> = phone.store.list().unwrap().into_iter().map(|p| p.id).collect();
    assert_eq!(left, [other, new]);
}

#[tokio::test]
async fn a_named_passkey_has_arrived() {
    let mut phone = Phone::new();
    let old = phone.registered(&make("ann")).await;
    let reply = phone.send(&make("ann").encode(), &[approve(0)]).await;
    let Outcome::Saved { credential: new } = reply.outcome else { panic!("{reply:?}") };
    let reply = phone.send(&allowing(&[&new]).encode(), &[approve(0)]).await;
    assert!(matches!(reply.outcome, Outcome::SignedIn { first_proof: true, .. }));
    phone.deliver(&reply);
    assert_eq!(phone.passkey(&new).state(), State::Used);
    assert_eq!(phone.store.find_by_id(&old).unwrap(), None);
    let reply = phone.send(&allowing(&[&new]).encode(), &[approve(0)]).await;
    assert!(matches!(reply.outcome, Outcome::SignedIn { first_proof: false, .. }));
}

#[tokio::test]
async fn non_discoverable_only_through_the_allow_list() {
    let mut phone = Phone::new();
    let options = Options { rk: None, up: None, uv: Some(true) };
    let request = MakeCredentialRequest { options, ..make("ann") };
    let id = phone.registered(&request).await;
    let twin = phone.registered(&request).await;
    assert!(!phone.passkey(&id).discoverable && phone.store.find_by_id(&twin).unwrap().is_some());
    let nothing = phone.status(&get().encode(), &[approve(0)]).await;
    assert_eq!(nothing, Status::NO_CREDENTIALS);

    let reply = phone.send(&allowing(&[&id]).encode(), &[approve(0)]).await;
    let (used, response) = signed(&phone, &reply);
    assert_eq!((used, response.user, response.user_selected), (id, None, None));
}

#[tokio::test]
async fn nothing_found_is_no_silent_oracle() {
    let mut phone = Phone::new();
    let id = phone.registered(&make("ann")).await;
    let mut elsewhere = allowing(&[&id]);
    elsewhere.rp_id = "fabrikam.com".to_owned();
    let stranger = CredentialId::from_bytes(&[9; 32]).unwrap();
    for request in [elsewhere, allowing(&[&stranger])] {
        for (decision, status) in [
            (approve(0), Status::NO_CREDENTIALS),
            (Decision::Declined, Status::NO_CREDENTIALS),
            (Decision::TimedOut, Status::USER_ACTION_TIMEOUT),
            (Decision::Cancelled, Status::KEEPALIVE_CANCEL),
        ] {
            assert_eq!(phone.status(&request.encode(), &[decision]).await, status);
        }
    }
    assert_eq!(phone.asked().len(), 8);
}

#[tokio::test]
async fn the_user_picks_an_account() {
    let mut phone = Phone::new();
    let ann = phone.registered(&make("ann")).await;
    let bob = phone.registered(&make("bob")).await;
    let reply = phone.send(&get().encode(), &[approve(1)]).await;
    let (used, response) = signed(&phone, &reply);
    assert_eq!((&used, response.number_of_credentials), (&ann, None));
    assert_eq!(response.user_selected, Some(true));
    let reply = phone.send(&allowing(&[&ann, &bob]).encode(), &[approve(0)]).await;
    let (used, response) = signed(&phone, &reply);
    assert_eq!((used, response.user_selected), (bob, None));
    assert_eq!(phone.status(&[0x08], &[]).await, Status::NOT_ALLOWED);
}

#[tokio::test]
async fn the_client_picks_an_account() {
    let ask_client = Config { several_accounts: SeveralAccounts::AskClient, ..Config::default() };
    for mut phone in [Phone::with(ask_client, true), Phone::with(Config::default(), false)] {
        let mut ids = Vec::new();
        for user in ["ann", "bob", "eve"] {
            ids.push(phone.registered(&make(user)).await);
        }
        let reply = phone.send(&get().encode(), &[approve(0)]).await;
        let (eve, response) = signed(&phone, &reply);
        assert_eq!((&eve, response.number_of_credentials), (&ids[2], Some(3)));
        assert_eq!(response.user.unwrap().display_name.as_deref(), Some("EVE"));
        assert!(matches!(&phone.asked()[0], ConsentRequest::SignIn { pick: false, .. }));
        phone.deliver(&reply);
        for (id, name) in [(&ids[1], "bob@contoso.com"), (&ids[0], "ann@contoso.com")] {
            let reply = phone.send(&[0x08], &[]).await;
            let (next, response) = signed(&phone, &reply);
            assert_eq!((&next, response.number_of_credentials), (id, None));
            assert_eq!(
                (response.user_selected, response.user.unwrap().name.as_deref()),
                (None, Some(name))
            );
        }
        assert_eq!(phone.status(&[0x08], &[]).await, Status::NOT_ALLOWED);
        assert_eq!(phone.passkey(&ids[2]).last_used_at, None, "who signed in is not known");
    }
}

#[tokio::test]
async fn a_listing_ends() {
    let mut phone = Phone::with(Config::default(), false);
    for user in ["ann", "bob", "eve"] {
        phone.registered(&make(user)).await;
    }
    assert_eq!(phone.status(&get().encode(), &[approve(0)]).await, Status::OK);
    // Another program on the same machine may ask this at any moment.
    assert_eq!(phone.status(&[0x04], &[]).await, Status::OK);
    assert_eq!(phone.status(&[0x08], &[]).await, Status::OK);
    assert_eq!(phone.status(&[0x0b], &[approve(0)]).await, Status::OK);
    assert_eq!(phone.status(&[0x08], &[]).await, Status::NOT_ALLOWED);

    assert_eq!(phone.status(&get().encode(), &[approve(0)]).await, Status::OK);
    phone.now.0 += 29;
    assert_eq!(phone.status(&[0x08], &[]).await, Status::OK);
    phone.now.0 += 30;
    assert_eq!(phone.status(&[0x08], &[]).await, Status::NOT_ALLOWED);
}

#[tokio::test]
async fn cred_protect_is_kept_and_echoed() {
    let mut phone = Phone::new();
    for level in 1..=3 {
        let extensions = vec![("credProtect".to_owned(), Value::Uint(level))];
        let request = MakeCredentialRequest { extensions, ..make("ann") };
        let reply = phone.send(&request.encode(), &[approve(0)]).await;
        let (_, data) = made(&reply);
        assert!(data.flags.contains(Flags::EXTENSIONS));
        assert_eq!(data.extensions.unwrap().get_text("credProtect"), Some(&Value::Uint(level)));
        let Outcome::Saved { credential } = reply.outcome else { panic!("{reply:?}") };
        let kept = phone.passkey(&credential).cred_protect;
        assert_eq!(Some(kept), CredProtect::from_level(level));
    }
}

fn values(first: u8, second: Option<u8>) -> Value {
    let second = second.map(|byte| ("second", Value::from([byte; 32])));
    Value::text_map([("first", Value::from([first; 32]))].into_iter().chain(second))
}

fn prf_input(input: Value) -> Vec<(String, Value)> {
    vec![("prf".to_owned(), input)]
}

fn prf_results(outputs: Option<Value>) -> Value {
    outputs.unwrap().get_text("prf").unwrap().get_text("results").unwrap().clone()
}

#[tokio::test]
async fn prf() {
    let mut phone = Phone::new();
    let extensions = prf_input(Value::text_map([("eval", values(1, Some(2)))]));
    let request = MakeCredentialRequest { extensions, ..make("ann") };
    let reply = phone.send(&request.encode(), &[approve(0)]).await;
    let (response, data) = made(&reply);
    assert_eq!(data.extensions, None, "a Chromium refuses it inside the signed data");
    let outputs = response.unsigned_extension_outputs;
    let enabled = outputs.as_ref().unwrap().get_text("prf").unwrap().get_text("enabled");
    assert_eq!(enabled, Some(&Value::Bool(true)));
    let registered = prf_results(outputs);
    let Outcome::Saved { credential: id } = reply.outcome else { panic!("{reply:?}") };

    let seeds = phone.passkey(&id).prf_seeds;
    let expected = |salt: u8| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, seeds.verified.expose());
        Value::from(aws_lc_rs::hmac::sign(&key, &[salt; 32]).as_ref())
    };
    let both = Value::text_map([("first", expected(1)), ("second", expected(2))]);
    assert_eq!(registered, Value::Map(cbor_map(&both)));

    let own = Value::Map(vec![(Value::from(id.as_bytes()), values(3, None))]);
    let foreign = Value::Map(vec![(Value::from([8; 32]), values(3, None))]);
    let cases = [
        (Value::text_map([("eval", values(1, None))]), Some(1)),
        (Value::text_map([("eval", values(1, None)), ("evalByCredential", own)]), Some(3)),
        (
            Value::text_map([("eval", values(1, None)), ("evalByCredential", foreign.clone())]),
            Some(1),
        ),
        (Value::text_map([("evalByCredential", foreign)]), None),
        (Value::Map(vec![]), None),
    ];
    for (input, salt) in cases {
        let request = GetAssertionRequest { extensions: prf_input(input), ..allowing(&[&id]) };
        let reply = phone.send(&request.encode(), &[approve(0)]).await;
        let (_, response) = signed(&phone, &reply);
        match salt {
            None => assert_eq!(response.unsigned_extension_outputs, None),
            Some(salt) => {
                let results = prf_results(response.unsigned_extension_outputs);
                assert_eq!(results, Value::text_map([("first", expected(salt))]));
            }
        }
    }
}

fn cbor_map(value: &Value) -> Vec<(Value, Value)> {
    value.as_map().unwrap().to_vec()
}

#[tokio::test]
async fn prf_inputs_of_another_shape() {
    let mut phone = Phone::new();
    let short = Value::text_map([("first", Value::from([1; 31]))]);
    let by_text = Value::text_map([("id", values(1, None))]);
    let cases = [
        (Value::Bool(true), Status::CBOR_UNEXPECTED_TYPE),
        (Value::text_map([("eval", Value::Map(vec![]))]), Status::MISSING_PARAMETER),
        (Value::text_map([("eval", short)]), Status::INVALID_LENGTH),
        (Value::text_map([("evalByCredential", by_text)]), Status::CBOR_UNEXPECTED_TYPE),
        (Value::text_map([("evalByCredential", Value::Null)]), Status::CBOR_UNEXPECTED_TYPE),
    ];
    for (input, status) in cases {
        let request = GetAssertionRequest { extensions: prf_input(input.clone()), ..get() };
        assert_eq!(phone.status(&request.encode(), &[]).await, status);
        let request = MakeCredentialRequest { extensions: prf_input(input), ..make("ann") };
        assert_eq!(phone.status(&request.encode(), &[]).await, status);
    }
    let empty = MakeCredentialRequest { extensions: prf_input(Value::Map(vec![])), ..make("ann") };
    let (response, _) = made(&phone.send(&empty.encode(), &[approve(0)]).await);
    let enabled = Value::text_map([("prf", Value::text_map([("enabled", Value::Bool(true))]))]);
    assert_eq!(response.unsigned_extension_outputs, Some(enabled));
}

#[tokio::test]
async fn long_and_disguised_names() {
    let mut phone = Phone::new();
    let mut request = make("ann");
    request.user.name = Some("é".repeat(1000));
    request.rp.name = Some("Contoso\u{202e}\x1b[2J".to_owned());
    let id = phone.registered(&request).await;
    let kept = phone.passkey(&id).user.name.unwrap();
    assert_eq!(kept, "é".repeat(127));
    request.user.id = b"bob".to_vec();
    assert_eq!(phone.status(&request.encode(), &[Decision::Declined]).await.0, 0x27);
    let asked = phone.asked();
    let [ConsentRequest::Save { rp_name, .. }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(rp_name.as_deref(), Some("Contoso\u{fffd}\u{fffd}[2J"));
}

/// The messages of a real Chromium, with the id that this phone gave put in.
#[tokio::test]
async fn a_chromium_registers_and_signs_in() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/vectors/ctap.json")).unwrap();
    let request = |index: usize| {
        let text = vectors["chromium"][index]["request"].as_str().unwrap();
        let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (2..text.len()).step_by(2).map(byte).collect::<Vec<_>>()
    };
    let mut phone = Phone::new();
    let (_, data) = made(&phone.send(&request(0), &[approve(0)]).await);
    let id = data.attested.clone().unwrap().id;
    let mut named = GetAssertionRequest::decode(&request(2)[1..]).unwrap();
    named.allow_list[0].id = id.clone();
    for message in [request(1), named.encode()] {
        let reply = phone.send(&message, &[approve(0)]).await;
        let response = GetAssertionResponse::decode(&reply.bytes[1..]).unwrap();
        let hash = GetAssertionRequest::decode(&message[1..]).unwrap().client_data_hash;
        let signature = Signature::from_der(&response.signature).unwrap();
        let signed = [&response.auth_data[..], &hash].concat();
        verifying_key(&data).verify(&signed, &signature).unwrap();
        assert_eq!(response.credential.unwrap().id, id);
    }
}

#[test]
fn a_driver_may_spawn_it() {
    fn is_send<T: Send>(_: &T) {}
    let Phone { mut engine, mut rng, .. } = Phone::new();
    is_send(&engine.handle(&[0x04], Transport::Hybrid, NOW, &mut rng));
}

#[tokio::test]
async fn debug_shows_nothing() {
    let mut phone = Phone::new();
    phone.registered(&make("ann")).await;
    let extensions = prf_input(Value::text_map([("eval", values(1, None))]));
    let request = GetAssertionRequest { extensions, ..get() };
    let reply = phone.send(&request.encode(), &[approve(0)]).await;
    let (_, response) = signed(&phone, &reply);
    let results = prf_results(response.unsigned_extension_outputs.clone());
    let output = format!("{:?}", results.get_text("first").unwrap().as_bytes().unwrap());
    let debug = format!("{:?} {reply:?} {response:?}", phone.engine);
    assert!(!debug.contains("ann@") && !debug.contains(output.trim_matches(['[', ']'])));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes is answered with a status, and without the user nothing changes.
    #[test]
    fn bad_input_changes_nothing(
        messages in proptest::collection::vec((any::<bool>(), 0_usize..250, any::<u8>(), 0_usize..300), 64)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut phone = Phone::new();
            phone.registered(&make("ann")).await;
            let before = phone.store.list().unwrap();
            for (register, at, byte, cut) in messages {
                let mut message = if register { make("ann").encode() } else { get().encode() };
                if let Some(place) = message.get_mut(at) {
                    *place = byte;
                }
                message.truncate(cut);
                phone.script.answers.lock().unwrap().extend([Decision::Declined]);
                let (now, rng) = (phone.now, &mut phone.rng);
                let reply = phone.engine.handle(&message, Transport::Hybrid, now, rng).await;
                phone.script.answers.lock().unwrap().clear();
                let ok = reply.status().is_ok();
                assert!(!ok || message == [0x04], "answered without the user: {message:02x?}");
            }
            assert_eq!(phone.store.list().unwrap(), before);
        });
    }
}
