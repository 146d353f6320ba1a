//! Programs against the key, over a device without a kernel.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::authenticator::store::{KdfCost, Pin, Store};
use crate::authenticator::{Config, ConsentRequest, Decision, State, Verification};
use crate::ctap::hid::{ChannelId, HidCommand, Packet, fragments};
use crate::ctap::*;
use crate::uhid::fake::{self, Programs};
use crate::uhid::{Error, Event};

const HASH: [u8; 32] = [9; 32];
const RP: &str = "contoso.com";

/// A question and where its answer goes, which is closed when the question is withdrawn.
type Question = (ConsentRequest, oneshot::Sender<Decision>);

struct Person(UnboundedSender<Question>);

impl Consent for Person {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        let (answer, answered) = oneshot::channel();
        self.0.send((request, answer)).unwrap();
        answered.await.unwrap()
    }
}

struct World {
    programs: Programs,
    questions: UnboundedReceiver<Question>,
    store: Store,
    served: JoinHandle<Result<(), Error>>,
    stop: oneshot::Sender<()>,
    _folder: tempfile::TempDir,
}

fn yes() -> Decision {
    Decision::Approved { account: 0, verification: Verification::standing_approval() }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::new("1234".to_owned()).unwrap();
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let path = folder.path().join("store");
        let store = Store::create_with_cost(&path, &pin, cost, &mut rng).unwrap();
        let (device, programs) = fake::pair();
        let (asks, questions) = unbounded_channel();
        let mut engine = Engine::new(store.clone(), Arc::new(Person(asks)), Config::default());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(device, &mut engine, stopped, || Timestamp(5), &mut rng, |_| {}).await
        });
        Self { programs, questions, store, served, stop, _folder: folder }
    }

    fn sends(&self, channel: u32, command: HidCommand, payload: &[u8]) {
        for report in fragments(ChannelId(channel), command, payload) {
            self.programs.events.send(Event::Report(report)).unwrap();
        }
    }

    /// The next message of the key that is no keepalive.
    async fn hears(&mut self) -> (u32, HidCommand, Vec<u8>) {
        loop {
            let report = self.programs.reports.recv().await.unwrap();
            let Packet::First { channel, command, length, data } = Packet::read(&report) else {
                panic!("out of step");
            };
            let mut body = data.to_vec();
            while body.len() < length.into() {
                let report = self.programs.reports.recv().await.unwrap();
                let Packet::Next { data, .. } = Packet::read(&report) else { panic!("cut short") };
                body.extend(data);
            }
            body.truncate(length.into());
            if command != HidCommand::KEEPALIVE {
                return (channel.0, command, body);
            }
        }
    }

    async fn opens(&mut self) -> u32 {
        self.sends(u32::MAX, HidCommand::INIT, &[1; 8]);
        let (_, _, body) = self.hears().await;
        u32::from_be_bytes(body[8..12].try_into().unwrap())
    }

    async fn asked(&mut self, channel: u32, message: &[u8]) -> Question {
        self.sends(channel, HidCommand::CBOR, message);
        self.questions.recv().await.unwrap()
    }

    /// Status and body of the answer on this channel.
    async fn answer(&mut self, channel: u32) -> (Status, Vec<u8>) {
        let (from, command, mut body) = self.hears().await;
        assert_eq!((from, command), (channel, HidCommand::CBOR));
        (Status(body.remove(0)), body)
    }

    async fn ends(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }

    async fn registers(&mut self, channel: u32) {
        let (_, answer) = self.asked(channel, &make(RP).encode()).await;
        answer.send(yes()).unwrap();
        assert_eq!(self.answer(channel).await.0, Status::OK);
    }
}

fn make(rp: &str) -> MakeCredentialRequest {
    MakeCredentialRequest {
        client_data_hash: HASH,
        rp: RpEntity { id: rp.to_owned(), name: None },
        user: UserEntity { id: b"ann".to_vec(), name: Some("ann".to_owned()), display_name: None },
        pub_key_cred_params: vec![CredentialParameters::new(ES256)],
        exclude_list: vec![],
        extensions: vec![],
        options: Options { rk: Some(true), up: None, uv: None },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
    }
}

fn get(up: Option<bool>, uv: Option<bool>) -> GetAssertionRequest {
    GetAssertionRequest {
        rp_id: RP.to_owned(),
        client_data_hash: HASH,
        allow_list: vec![],
        extensions: vec![],
        options: Options { rk: None, up, uv },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

#[tokio::test]
async fn an_answer_that_was_written_is_delivered() {
    let mut world = World::new();
    let channel = world.opens().await;
    world.registers(channel).await;
    // The next thing is taken up only after the store noted the one before.
    let (request, answer) = world.asked(channel, &get(None, None).encode()).await;
    assert!(matches!(request, ConsentRequest::SignIn { .. }));
    let state = |world: &World| world.store.find_by_rp(RP).unwrap()[0].state();
    assert_eq!(state(&world), State::Delivered);
    answer.send(yes()).unwrap();
    assert_eq!(world.answer(channel).await.0, Status::OK);
    let (_, _answer) = world.asked(channel, &get(None, None).encode()).await;
    assert_eq!(state(&world), State::Used);
    world.ends().await;
}

#[tokio::test]
async fn others_learn_what_the_key_can_do_while_one_waits() {
    let mut world = World::new();
    let waiting = world.opens().await;
    let (_, answer) = world.asked(waiting, &make(RP).encode()).await;
    let other = world.opens().await;
    world.sends(other, HidCommand::CBOR, &[4]);
    let (status, body) = world.answer(other).await;
    let info = GetInfo::decode(&body).unwrap();
    assert_eq!((status, info.transports[0].as_str()), (Status::OK, "usb"));
    world.sends(other, HidCommand::CBOR, &make("other.example").encode());
    assert_eq!(world.hears().await, (other, HidCommand::ERROR, vec![6]));
    // What needs no user waits behind the one that does.
    world.sends(other, HidCommand::CBOR, &get(Some(false), None).encode());
    answer.send(yes()).unwrap();
    assert_eq!(world.answer(waiting).await.0, Status::OK);
    assert_eq!(world.answer(other).await.0, Status::OK);
    world.ends().await;
}

#[tokio::test]
async fn others_are_told_at_once_of_a_command_that_there_is_not() {
    let mut world = World::new();
    let waiting = world.opens().await;
    let (_, answer) = world.asked(waiting, &make(RP).encode()).await;
    let other = world.opens().await;
    // What fido2-token asks beside getInfo: fingerprints that a key has.
    world.sends(other, HidCommand::CBOR, &[0x40, 0xa0]);
    assert_eq!(world.answer(other).await.0, Status::INVALID_COMMAND);
    answer.send(yes()).unwrap();
    assert_eq!(world.answer(waiting).await.0, Status::OK);
    world.ends().await;
}

#[tokio::test]
async fn cancel_and_close_withdraw_the_question() {
    let mut world = World::new();
    let channel = world.opens().await;
    let (_, mut answer) = world.asked(channel, &make(RP).encode()).await;
    world.sends(channel, HidCommand::CANCEL, &[]);
    assert_eq!(world.answer(channel).await.0, Status::KEEPALIVE_CANCEL);
    answer.closed().await;
    let (_, mut answer) = world.asked(channel, &make(RP).encode()).await;
    world.programs.events.send(Event::Closed).unwrap();
    answer.closed().await;
    let channel = world.opens().await;
    world.registers(channel).await;
    assert_eq!(world.store.find_by_rp(RP).unwrap().len(), 1, "the cancelled ones left nothing");
    world.ends().await;
}

#[tokio::test]
async fn a_refusal_is_never_the_status_that_browsers_repeat() {
    let mut world = World::new();
    let channel = world.opens().await;
    for message in [make(RP).encode(), vec![0x0b]] {
        let (_, answer) = world.asked(channel, &message).await;
        answer.send(Decision::Declined).unwrap();
        assert_eq!(world.answer(channel).await.0, Status::USER_ACTION_TIMEOUT);
    }
    world.ends().await;
}

#[tokio::test]
async fn a_touch_makes_no_passkey() {
    let mut world = World::new();
    let channel = world.opens().await;
    let mut empty = make(RP);
    (empty.pin_uv_auth_param, empty.pin_uv_auth_protocol) = (Some(vec![]), Some(1));
    let mut openssh = make("localhost");
    openssh.client_data_hash = sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new()).into();
    openssh.user.name = Some("dummy".to_owned());
    for request in [make("make.me.blink"), make(".dummy"), empty, openssh] {
        let (asked, answer) = world.asked(channel, &request.encode()).await;
        assert_eq!(asked, ConsentRequest::Presence);
        answer.send(yes()).unwrap();
        assert_eq!(world.answer(channel).await.0, Status::PIN_NOT_SET);
    }
    for rp in [RP, "make.me.blink", ".dummy", "localhost"] {
        assert_eq!(world.store.find_by_rp(rp).unwrap(), []);
    }
    world.ends().await;
}

#[tokio::test]
async fn a_silent_look_is_true_and_asks_nobody() {
    let mut world = World::new();
    let channel = world.opens().await;
    world.sends(channel, HidCommand::CBOR, &get(Some(false), None).encode());
    assert_eq!(world.answer(channel).await.0, Status::NO_CREDENTIALS);
    world.registers(channel).await;
    world.sends(channel, HidCommand::CBOR, &get(Some(false), None).encode());
    let (status, body) = world.answer(channel).await;
    let response = GetAssertionResponse::decode(&body).unwrap();
    let data = AuthenticatorData::decode(&response.auth_data).unwrap();
    assert_eq!((status, data.flags), (Status::OK, Flags::BACKUP_ELIGIBLE));
    assert_eq!(world.store.find_by_rp(RP).unwrap()[0].last_used_at, None);
    assert!(world.questions.is_empty() || world.questions.recv().await.is_none());
    // With verification asked for, the user is asked, and the answer says who was there.
    let (_, answer) = world.asked(channel, &get(Some(false), Some(true)).encode()).await;
    answer.send(yes()).unwrap();
    let (_, body) = world.answer(channel).await;
    let response = GetAssertionResponse::decode(&body).unwrap();
    let data = AuthenticatorData::decode(&response.auth_data).unwrap();
    let expected = Flags::BACKUP_ELIGIBLE.with(Flags::USER_VERIFIED, true);
    assert_eq!(data.flags, expected);
    world.ends().await;
}
