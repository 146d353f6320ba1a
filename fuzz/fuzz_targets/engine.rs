//! The authenticator's engine over a store in memory and a user who does as the fuzzer likes.
//!
//! Whatever is sent, the answer begins with a status byte; the store changes only for a
//! makeCredential that the user approved, or on delivery; nothing is signed without the user; and
//! a passkey answers nobody but its relying party.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use cabled::authenticator::consent::{Consent, ConsentRequest, Decision, Verification};
use cabled::authenticator::engine::{Config, Engine, Outcome, Reply, SeveralAccounts, Transport};
use cabled::authenticator::store::Error;
use cabled::authenticator::{CredentialId, Passkey, PasskeyStore, Random, Timestamp};
use cabled::cbor::Value;
use cabled::ctap::{
    Command, CredentialDescriptor, CredentialParameters, GetAssertionRequest, GetAssertionResponse,
    MakeCredentialRequest, MakeCredentialResponse, Options, RpEntity, Status, UserEntity,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::runtime::{Builder, Runtime};

#[derive(Arbitrary, Debug)]
struct Script<'a> {
    can_pick: bool,
    ask_client: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Raw(&'a [u8], Answer),
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
}

impl Phone {
    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Raw(message, answer) => self.send(message, *answer),
            Step::Make { spoil, user_says, .. } | Step::Get { spoil, user_says, .. } => {
                let mut message = self.message(step);
                if let Some(bit) = spoil {
                    let at = usize::from(*bit) / 8 % message.len();
                    message[at] ^= 1 << (bit % 8);
                }
                self.send(&message, *user_says);
            }
            Step::Next => self.send(&[Command::GetNextAssertion as u8], Answer::Approve(0)),
            Step::Delivered => self.deliver(),
            Step::Wait(seconds) => self.now.0 += u64::from(*seconds),
            Step::StoreFails(fails) => *self.store.fails.lock().unwrap() = *fails,
        }
    }

    fn message(&self, step: &Step<'_>) -> Vec<u8> {
        let rp_id = |rp: &u8| ["contoso.com", "example.org"][usize::from(*rp) % 2].to_owned();
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

    fn send(&mut self, message: &[u8], answer: Answer) {
        self.user.expect(answer);
        let before = self.store.snapshot();
        let (transport, rng) = (Transport::Hybrid, &mut self.rng);
        let reply = RUNTIME.block_on(self.engine.handle(message, transport, self.now, rng));
        let (status, command) = (reply.status(), message.first().copied().unwrap_or_default());
        assert_eq!(reply.bytes.first(), Some(&status.0));
        let approved = self.user.approved();
        if self.store.snapshot() != before {
            assert!(approved && command == Command::MakeCredential as u8, "{reply:?}");
        }
        self.check(&reply, command, approved);
        let more = matches!(reply.outcome, Outcome::Offered { .. });
        self.listing = more;
        self.outcome = Some(reply.outcome);
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

/// Passkeys, oldest first.
#[derive(Default)]
struct Memory {
    passkeys: Mutex<Vec<Passkey>>,
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
