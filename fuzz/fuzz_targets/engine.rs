//! The authenticator's engine over a store in memory and a user who does as the fuzzer likes.
//!
//! Whatever is sent, the answer begins with a status byte; the store changes only for a
//! makeCredential that the user approved, or on delivery; nothing is signed without the user; and
//! a passkey answers nobody but its relying party.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use cabled::authenticator::consent::{Consent, ConsentRequest, Decision, Verification};
use cabled::authenticator::engine::{Config, Engine, Outcome, Reply, SeveralAccounts, Transport};
use cabled::authenticator::store::{Error, Pin};
use cabled::authenticator::upkeep::{PinHash, PinTries};
use cabled::authenticator::{CredentialId, Passkey, PasskeyStore, Random, Timestamp, Upkeep};
use cabled::cbor::Value;
use cabled::ctap::{
    AgreementKey, ClientPinRequest, ClientPinResponse, Command, CredentialDescriptor,
    CredentialParameters, Es256PublicKey, GetAssertionRequest, GetAssertionResponse,
    LargeBlobsRequest, MakeCredentialRequest, MakeCredentialResponse, ManageCommand, ManageParams,
    ManageRequest, Options, PinCommand, PinProtocol, RpEntity, SharedSecret, Status, UserEntity,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
struct Script<'a> {
    can_pick: bool,
    ask_client: bool,
    steps: Vec<Step<'a>>,
}

/// The client's half of a key agreement is drawn from a fixed seed, and the shared secret kept, so
/// that tokens can be used; a proof is right unless it is spoilt.
#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Raw(&'a [u8], Answer),
    /// As a security key gets it.
    Key(&'a [u8], Answer),
    Agree {
        two: bool,
    },
    Token {
        by_pin: bool,
        wrong: bool,
        permissions: u8,
        rp: Option<u8>,
        user_says: Answer,
    },
    Manage {
        command: u8,
        rp: u8,
        which: u8,
        spoil: Option<u16>,
    },
    Blobs {
        piece: u8,
        offset: u8,
        length: Option<u8>,
        spoil: Option<u16>,
    },
    Reset(Answer),
    Make {
        rp: u8,
        user: u8,
        rk: bool,
        names: Names,
        prf: bool,
        spoil: Option<u16>,
        user_says: Answer,
    },
    Get {
        rp: u8,
        names: Names,
        prf: bool,
        spoil: Option<u16>,
        user_says: Answer,
    },
    Next,
    Delivered,
    Wait(u8),
    StoreFails(bool),
}

/// Which passkeys a list names.
#[derive(Arbitrary, Debug)]
enum Names {
    Nothing,
    Every,
    One(u8),
    Unknown,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Answer {
    Approve(u8),
    Decline,
    TimeOut,
    Cancel,
    NotVerified,
    LockedOut,
}

/// One runtime for all runs; nothing in it ever waits.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

fuzz_target!(|script: Script<'_>| {
    let user = Arc::new(User::new(script.can_pick));
    let store = Arc::new(Memory::default());
    let several_accounts = match script.ask_client {
        true => SeveralAccounts::AskClient,
        false => SeveralAccounts::AskUser,
    };
    let config = Config { several_accounts, ..Config::default() };
    let mut phone = Phone {
        engine: Engine::new(Shared(Arc::clone(&store)), Arc::clone(&user), config),
        user,
        store,
        rng: ChaCha20Rng::seed_from_u64(1),
        now: Timestamp(1_700_000_000),
        outcome: None,
        listing: false,
        secret: None,
        token: Vec::new(),
        transport: Transport::Hybrid,
    };
    script.steps.iter().for_each(|step| phone.step(step));
});

struct Phone {
    engine: Engine<Shared, Arc<User>>,
    user: Arc<User>,
    store: Arc<Memory>,
    rng: ChaCha20Rng,
    now: Timestamp,
    outcome: Option<Outcome>,
    listing: bool,
    secret: Option<(SharedSecret, Es256PublicKey)>,
    token: Vec<u8>,
    transport: Transport,
}

impl Phone {
    fn step(&mut self, step: &Step<'_>) {
        self.transport = match step {
            Step::Key(..)
            | Step::Agree { .. }
            | Step::Token { .. }
            | Step::Manage { .. }
            | Step::Blobs { .. }
            | Step::Reset(_) => Transport::Hid,
            _ => Transport::Hybrid,
        };
        match step {
            Step::Raw(message, answer) | Step::Key(message, answer) => {
                self.send(message, *answer);
            }
            Step::Agree { two } => self.agree(*two),
            Step::Token { .. } => self.take_token(step),
            Step::Manage { .. } | Step::Blobs { .. } => self.with_token(step),
            Step::Reset(answer) => drop(self.send(&[Command::Reset as u8], *answer)),
            Step::Make { spoil, user_says, .. } | Step::Get { spoil, user_says, .. } => {
                let mut message = self.message(step);
                if let Some(bit) = spoil {
                    let at = usize::from(*bit) / 8 % message.len();
                    message[at] ^= 1 << (bit % 8);
                }
                self.send(&message, *user_says);
            }
            Step::Next => {
                self.send(&[Command::GetNextAssertion as u8], Answer::Approve(0));
            }
            Step::Delivered => self.deliver(),
            Step::Wait(seconds) => self.now.0 += u64::from(*seconds),
            Step::StoreFails(fails) => *self.store.fails.lock().unwrap() = *fails,
        }
    }

    fn agree(&mut self, two: bool) {
        let protocol = if two { PinProtocol::Two } else { PinProtocol::One };
        let request = ClientPinRequest::new(protocol as u64, PinCommand::GetKeyAgreement);
        let answer = self.send(&request.encode(), Answer::Decline);
        let response = ClientPinResponse::decode(&answer[1..]).expect("our own answer");
        let ours = AgreementKey::random(&mut self.rng);
        let theirs = response.key_agreement.expect("always given");
        let secret = ours.agree(protocol, &theirs).expect("a point of the curve");
        self.secret = Some((secret, ours.public().expect("a point")));
    }

    fn take_token(&mut self, step: &Step<'_>) {
        let Step::Token { by_pin, wrong, permissions, rp, user_says } = step else { return };
        let Some((secret, key)) = &self.secret else { return };
        let command =
            if *by_pin { PinCommand::GetTokenUsingPin } else { PinCommand::GetTokenUsingUv };
        let hash = if *wrong { [0; 16] } else { PIN_HASH };
        let request = ClientPinRequest {
            key_agreement: Some(*key),
            pin_hash_enc: Some(secret.encrypt([1; 16], &hash)),
            permissions: Some((*permissions).into()),
            rp_id: rp.map(|rp| rp_id(&rp)),
            ..ClientPinRequest::new(secret.protocol() as u64, command)
        };
        let answer = self.send(&request.encode(), *user_says);
        assert!(!(*by_pin && *wrong) || answer.len() == 1, "a token for a wrong PIN");
        let Some((secret, _)) = self.secret.as_ref().filter(|_| answer.len() > 1) else { return };
        let token = ClientPinResponse::decode(&answer[1..]).expect("our own answer").token;
        self.token =
            secret.decrypt(&token.expect("always given")).map_or(Vec::new(), |t| t.to_vec());
    }

    fn with_token(&mut self, step: &Step<'_>) {
        let Some((secret, _)) = &self.secret else { return };
        let protocol = secret.protocol();
        let prove = |message: &[u8]| Some(protocol.authenticate(&self.token, message));
        let (mut message, spoil) = match step {
            Step::Manage { command, rp, which, spoil } => {
                let passkeys = self.store.snapshot();
                let passkey = passkeys.get(usize::from(*which));
                let id = passkey.map_or(vec![7; 16], |passkey| passkey.id.as_bytes().to_vec());
                let user = passkey.map(|passkey| passkey.user.clone());
                let params = ManageParams {
                    rp_id_hash: Some(Sha256::digest(rp_id(rp)).into()),
                    credential: Some(CredentialDescriptor::new(id)),
                    user,
                };
                let mut request = ManageRequest::new(ManageCommand::Metadata, params);
                request.command = (*command % 8).into();
                request.authenticated[0] = *command % 8;
                request.protocol = Some(protocol as u64);
                request.pin_uv_auth_param = prove(&request.authenticated);
                (request.encode(), spoil)
            }
            Step::Blobs { piece, offset, length, spoil } => {
                let piece = vec![9; (*piece).into()];
                let digest = Sha256::digest(&piece).into();
                let request = LargeBlobsRequest {
                    pin_uv_auth_param: prove(&LargeBlobsRequest::authenticated(
                        (*offset).into(),
                        &digest,
                    )),
                    set: Some(piece),
                    offset: (*offset).into(),
                    length: length.map(u64::from),
                    protocol: Some(protocol as u64),
                    ..Default::default()
                };
                (request.encode(), spoil)
            }
            _ => return,
        };
        if let Some(bit) = spoil {
            let at = usize::from(*bit) / 8 % message.len();
            message[at] ^= 1 << (bit % 8);
        }
        self.send(&message, Answer::Decline);
    }

    fn message(&self, step: &Step<'_>) -> Vec<u8> {
        let options = |rk: Option<bool>| Options { rk, up: None, uv: Some(true) };
        match step {
            Step::Make { rp, user, rk, names, prf, .. } => MakeCredentialRequest {
                client_data_hash: [1; 32],
                rp: RpEntity { id: rp_id(rp), name: None },
                user: UserEntity {
                    id: vec![user % 3],
                    name: Some("u".to_owned()),
                    display_name: None,
                },
                pub_key_cred_params: vec![CredentialParameters::new(-7)],
                exclude_list: self.list(names),
                extensions: extensions(*prf),
                options: options(Some(*rk)),
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
                enterprise_attestation: None,
            }
            .encode(),
            Step::Get { rp, names, prf, .. } => GetAssertionRequest {
                rp_id: rp_id(rp),
                client_data_hash: [2; 32],
                allow_list: self.list(names),
                extensions: extensions(*prf),
                options: options(None),
                pin_uv_auth_param: None,
                pin_uv_auth_protocol: None,
            }
            .encode(),
            _ => Vec::new(),
        }
    }

    fn list(&self, names: &Names) -> Vec<CredentialDescriptor> {
        let passkeys = self.store.snapshot();
        let descriptor =
            |passkey: &Passkey| CredentialDescriptor::new(passkey.id.as_bytes().to_vec());
        match names {
            Names::Nothing => Vec::new(),
            Names::Every => passkeys.iter().map(descriptor).collect(),
            Names::One(n) => {
                passkeys.iter().cycle().skip((*n).into()).take(1).map(descriptor).collect()
            }
            Names::Unknown => vec![CredentialDescriptor::new(vec![7; 16])],
        }
    }

    fn send(&mut self, message: &[u8], answer: Answer) -> Vec<u8> {
        self.user.expect(answer);
        let before = self.store.snapshot();
        let (transport, rng) = (self.transport, &mut self.rng);
        let reply = RUNTIME.block_on(self.engine.handle(message, transport, self.now, rng));
        let (status, command) = (reply.status(), message.first().copied().unwrap_or_default());
        assert_eq!(reply.bytes.first(), Some(&status.0));
        let approved = self.user.approved();
        if self.store.snapshot() != before {
            let ceremony = [1, 2, 7].contains(&command);
            // Managing asks when the token is taken.
            let managed = [0x0a, 0x41].contains(&command) && transport == Transport::Hid;
            assert!(approved && ceremony || managed && !self.token.is_empty(), "{reply:?}");
        }
        self.check(&reply, command, approved);
        let more = matches!(reply.outcome, Outcome::Offered { .. });
        self.listing = more;
        self.outcome = Some(reply.outcome);
        reply.bytes
    }

    fn check(&self, reply: &Reply, command: u8, approved: bool) {
        let body = &reply.bytes[1..];
        match &reply.outcome {
            Outcome::Answered => assert_eq!(reply.status(), Status::OK),
            Outcome::Saved { credential } => {
                assert!(approved && command == Command::MakeCredential as u8);
                assert!(self.store.find_by_id(credential).is_some());
                MakeCredentialResponse::decode(body).expect("our own answer");
                cabled::cbor::decode(body).expect("canonical");
            }
            Outcome::SignedIn { credential, .. } => {
                assert!(approved && command == Command::GetAssertion as u8);
                self.check_assertion(credential, body);
            }
            Outcome::Offered { credential } => {
                let next = command == Command::GetNextAssertion as u8;
                assert!(if next { self.listing } else { approved });
                self.check_assertion(credential, body);
            }
            _ => assert!(body.is_empty() && reply.status() != Status::OK, "{reply:?}"),
        }
    }

    fn check_assertion(&self, credential: &CredentialId, body: &[u8]) {
        let response = GetAssertionResponse::decode(body).expect("our own answer");
        cabled::cbor::decode(body).expect("canonical");
        assert_eq!(response.credential.expect("always named").id, credential.as_bytes());
        let asked = self.user.asked_for.lock().unwrap();
        let passkey = self.store.find_by_id(credential).expect("it is there");
        assert_eq!(Some(&passkey.rp.id), asked.as_ref(), "of another relying party");
    }

    fn deliver(&mut self) {
        let Some(outcome) = self.outcome.take() else { return };
        let before = self.store.snapshot();
        let delivered = self.engine.delivered(&outcome, self.now, &mut self.rng);
        let concerns = matches!(outcome, Outcome::Saved { .. } | Outcome::SignedIn { .. });
        assert!(concerns || delivered.is_ok() && self.store.snapshot() == before);
    }
}

fn rp_id(rp: &u8) -> String {
    ["contoso.com", "example.org"][usize::from(*rp) % 2].to_owned()
}

fn extensions(prf: bool) -> Vec<(String, Value)> {
    let eval = Value::text_map([("first", Value::from([3; 32]))]);
    let input = Value::text_map([("eval", eval)]);
    prf.then(|| ("prf".to_owned(), input)).into_iter().collect()
}

/// Answers at once what the script says.
struct User {
    can_pick: bool,
    answer: Mutex<Decision>,
    /// Was asked, and said yes.
    approved: Mutex<bool>,
    /// The relying party of the last sign-in.
    asked_for: Mutex<Option<String>>,
}

impl User {
    fn new(can_pick: bool) -> Self {
        let (answer, approved) = (Mutex::new(Decision::Declined), Mutex::new(false));
        Self { can_pick, answer, approved, asked_for: Mutex::new(None) }
    }

    fn expect(&self, answer: Answer) {
        let verification = Verification::standing_approval();
        *self.approved.lock().unwrap() = false;
        *self.answer.lock().unwrap() = match answer {
            Answer::Approve(account) => {
                Decision::Approved { account: account.into(), verification }
            }
            Answer::Decline => Decision::Declined,
            Answer::TimeOut => Decision::TimedOut,
            Answer::Cancel => Decision::Cancelled,
            Answer::NotVerified => Decision::NotVerified,
            Answer::LockedOut => Decision::LockedOut,
        };
    }

    fn approved(&self) -> bool {
        *self.approved.lock().unwrap()
    }
}

impl Consent for User {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        let decision = *self.answer.lock().unwrap();
        *self.approved.lock().unwrap() = matches!(decision, Decision::Approved { .. });
        if let ConsentRequest::SignIn { rp_id, accounts, .. } = request {
            assert!(!accounts.is_empty());
            *self.asked_for.lock().unwrap() = Some(rp_id);
        }
        decision
    }

    fn can_pick(&self) -> bool {
        self.can_pick
    }
}

/// What the PIN of the store is known by.
const PIN_HASH: PinHash = [1; 16];

/// Passkeys, oldest first.
#[derive(Default)]
struct Memory {
    passkeys: Mutex<Vec<Passkey>>,
    blobs: Mutex<Option<Vec<u8>>>,
    fails: Mutex<bool>,
}

struct Shared(Arc<Memory>);

impl Memory {
    fn snapshot(&self) -> Vec<Passkey> {
        self.passkeys.lock().unwrap().clone()
    }

    fn find_by_id(&self, id: &CredentialId) -> Option<Passkey> {
        self.snapshot().into_iter().find(|passkey| passkey.id == *id)
    }

    fn check(&self) -> Result<(), Error> {
        if *self.fails.lock().unwrap() { Err(Error::NeedsReopen) } else { Ok(()) }
    }

    fn change(
        &self,
        id: &CredentialId,
        change: impl FnOnce(&mut Passkey) -> Vec<CredentialId>,
    ) -> Result<(), Error> {
        self.check()?;
        let mut passkeys = self.passkeys.lock().unwrap();
        let found = passkeys.iter_mut().find(|passkey| passkey.id == *id);
        let obsolete = change(found.ok_or(Error::NoSuchPasskey)?);
        passkeys.retain(|passkey| !obsolete.contains(&passkey.id));
        Ok(())
    }
}

impl PasskeyStore for Shared {
    fn find_by_rp(&self, rp_id: &str) -> Result<Vec<Passkey>, Error> {
        self.0.check()?;
        let mut passkeys = self.0.snapshot();
        passkeys.retain(|passkey| passkey.rp.id == rp_id);
        Ok(passkeys)
    }

    fn find_by_id(&self, id: &CredentialId) -> Result<Option<Passkey>, Error> {
        self.0.check()?;
        Ok(self.0.find_by_id(id))
    }

    fn save(&self, passkey: &Passkey, _: Random<'_>) -> Result<(), Error> {
        self.0.check()?;
        let mut passkeys = self.0.passkeys.lock().unwrap();
        passkeys.retain(|other| other.id != passkey.id);
        passkeys.push(passkey.clone());
        Ok(())
    }

    fn mark_delivered(
        &self,
        id: &CredentialId,
        now: Timestamp,
        _: Random<'_>,
    ) -> Result<(), Error> {
        self.0.change(id, |passkey| {
            passkey.delivered_at.get_or_insert(now);
            std::mem::take(&mut passkey.replaces)
        })
    }

    fn mark_used(&self, id: &CredentialId, now: Timestamp, _: Random<'_>) -> Result<(), Error> {
        self.0.change(id, |passkey| {
            passkey.last_used_at = Some(now);
            Vec::new()
        })
    }
}

impl Upkeep for Shared {
    fn all(&self) -> Result<Vec<Passkey>, Error> {
        self.0.check().map(|()| self.0.snapshot())
    }

    fn remove(&self, id: &CredentialId, _: Random<'_>) -> Result<(), Error> {
        let gone = id.clone();
        self.0.change(id, |_| vec![gone])
    }

    fn set_user(&self, id: &CredentialId, user: &UserEntity, _: Random<'_>) -> Result<(), Error> {
        self.0.change(id, |passkey| {
            passkey.user = user.clone();
            Vec::new()
        })
    }

    fn wipe(&self) -> Result<(), Error> {
        self.0.check()?;
        self.0.passkeys.lock().unwrap().clear();
        Ok(())
    }

    fn knows_pin_hash(&self) -> Result<bool, Error> {
        self.0.check().map(|()| true)
    }

    fn pin_tries(&self, _: Timestamp) -> Result<PinTries, Error> {
        self.0.check().map(|()| PinTries { left: 8, waiting: false })
    }

    fn try_pin_hash(&self, hash: &PinHash, _: Timestamp) -> Result<Verification, Error> {
        self.0.check()?;
        match *hash == PIN_HASH {
            true => Ok(Verification::standing_approval()),
            false => Err(Error::WrongPin { tries_left: 7 }),
        }
    }

    fn replace_pin(
        &self,
        old: &PinHash,
        _: &Pin,
        now: Timestamp,
        _: Random<'_>,
    ) -> Result<(), Error> {
        self.try_pin_hash(old, now).map(drop)
    }

    fn large_blobs(&self) -> Result<Option<Vec<u8>>, Error> {
        self.0.check().map(|()| self.0.blobs.lock().unwrap().clone())
    }

    fn set_large_blobs(&self, array: &[u8], _: Random<'_>) -> Result<(), Error> {
        self.0.check()?;
        *self.0.blobs.lock().unwrap() = Some(array.to_vec());
        Ok(())
    }
}
