//! The laptop's virtual key: what programs send, a device without a kernel, and a phone behind it.

use std::io;
use std::sync::Arc;

use cabled::client::Progress as Step;
use cabled::client::key::{self, Progress};
use cabled::client::service::{Event, Events, Happened, Purpose, Service, TransactionId};
use cabled::ctap::hid::{ChannelId, HidCommand, Packet, fragments};
use cabled::ctap::{
    AuthenticatorData, Command, CredentialDescriptor, CredentialParameters, ES256,
    GetAssertionRequest, GetAssertionResponse, GetInfo, MakeCredentialRequest,
    MakeCredentialResponse, Options, RpEntity, Status, UserEntity,
};
use cabled::uhid::{self, Device, Report};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::laptop::{service, until};
use crate::world::{Answer, World, soon};

const RP: &str = "contoso.com";

/// The end that the key holds.
struct Fake {
    events: UnboundedReceiver<uhid::Event>,
    reports: UnboundedSender<Report>,
}

fn gone() -> uhid::Error {
    uhid::Error::Broken(io::ErrorKind::BrokenPipe.into())
}

impl Device for Fake {
    async fn next(&mut self) -> Result<uhid::Event, uhid::Error> {
        self.events.recv().await.ok_or_else(gone)
    }

    fn send(&mut self, report: &Report) -> Result<(), uhid::Error> {
        self.reports.send(*report).map_err(|_| gone())
    }
}

/// Programs with the key before them.
struct Desk {
    world: World,
    service: Service,
    watched: Events,
    events: UnboundedSender<uhid::Event>,
    reports: UnboundedReceiver<Report>,
    progress: UnboundedReceiver<Progress>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), uhid::Error>>,
}

impl Desk {
    async fn new(script: &[Answer]) -> Self {
        let world = World::new(script).await;
        let service = service(&world);
        let ((events, heard), (said, reports)) = (unbounded_channel(), unbounded_channel());
        let device = Fake { events: heard, reports: said };
        let ((tell, progress), (stop, stopped)) = (unbounded_channel(), oneshot::channel::<()>());
        let (served, watched) = (service.clone(), service.events(None));
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            key::serve(device, served, stopped, |news| {
                let _nobody_listens = tell.send(news);
            })
            .await
        });
        Self { world, service, watched, events, reports, progress, stop, served }
    }

    fn sends(&self, channel: u32, command: HidCommand, payload: &[u8]) {
        for report in fragments(ChannelId(channel), command, payload) {
            self.events.send(uhid::Event::Report(report)).unwrap();
        }
    }

    fn asks(&self, channel: u32, message: &[u8]) {
        self.sends(channel, HidCommand::CBOR, message);
    }

    /// The next message of the key that is no keepalive.
    async fn hears(&mut self) -> (u32, HidCommand, Vec<u8>) {
        let next = async {
            loop {
                let report = self.reports.recv().await.unwrap();
                let Packet::First { channel, command, length, data } = Packet::read(&report) else {
                    panic!("out of step");
                };
                let mut body = data.to_vec();
                while body.len() < length.into() {
                    let report = self.reports.recv().await.unwrap();
                    let Packet::Next { data, .. } = Packet::read(&report) else {
                        panic!("cut short");
                    };
                    body.extend(data);
                }
                body.truncate(length.into());
                if command != HidCommand::KEEPALIVE {
                    return (channel.0, command, body);
                }
            }
        };
        soon("an answer of the key", next).await
    }

    async fn answered(&mut self, on: u32) -> Vec<u8> {
        let (channel, command, body) = self.hears().await;
        assert_eq!((channel, command), (on, HidCommand::CBOR));
        body
    }

    async fn opens(&mut self) -> u32 {
        self.events.send(uhid::Event::Opened).unwrap();
        self.sends(u32::MAX, HidCommand::INIT, &[1; 8]);
        let (_, command, body) = self.hears().await;
        assert_eq!(command, HidCommand::INIT);
        u32::from_be_bytes(body[8..12].try_into().unwrap())
    }

    /// Waits for the next code, and scans it.
    async fn phone_comes(&mut self) -> (TransactionId, crate::world::Scanning) {
        let shown =
            until(&mut self.watched, |what| matches!(what, Happened::Step(Step::Listening))).await;
        let code = self.service.code(shown.transaction).unwrap();
        (shown.transaction, self.world.scan(&code))
    }

    async fn ends(&mut self) -> Event {
        until(&mut self.watched, |what| matches!(what, Happened::Ended(_))).await
    }

    /// A passkey that came through this laptop.
    async fn registered(&mut self) -> Vec<u8> {
        let channel = self.opens().await;
        self.asks(channel, &registration().encode());
        let (_, phone) = self.phone_comes().await;
        let id = made(&self.answered(channel).await);
        until(&mut self.watched, |what| matches!(what, Happened::Answered)).await;
        self.ends().await;
        phone.ends().await.unwrap();
        id
    }

    async fn leaves_nothing(self) {
        self.stop.send(()).unwrap();
        soon("the key's end", self.served).await.unwrap().unwrap();
        assert_eq!(self.service.running(), []);
        drop((self.service, self.watched));
        self.world.leaves_nothing().await;
    }
}

fn registration() -> MakeCredentialRequest {
    MakeCredentialRequest {
        client_data_hash: [1; 32],
        rp: RpEntity { id: RP.to_owned(), name: None },
        user: UserEntity { id: vec![1], name: Some("anna".to_owned()), display_name: None },
        pub_key_cred_params: vec![CredentialParameters::new(ES256)],
        exclude_list: Vec::new(),
        extensions: vec![("hmac-secret".to_owned(), cabled::cbor::Value::Bool(false))],
        options: Options { rk: Some(true), up: None, uv: Some(true) },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
    }
}

fn sign_in(ids: &[&[u8]], up: Option<bool>) -> GetAssertionRequest {
    GetAssertionRequest {
        rp_id: RP.to_owned(),
        client_data_hash: [2; 32],
        allow_list: ids.iter().map(|id| CredentialDescriptor::new(id.to_vec())).collect(),
        extensions: Vec::new(),
        options: Options { rk: None, up, uv: None },
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
    }
}

fn made(reply: &[u8]) -> Vec<u8> {
    assert_eq!(reply[0], Status::OK.0, "{reply:02x?}");
    let response = MakeCredentialResponse::decode(&reply[1..]).unwrap();
    AuthenticatorData::decode(&response.auth_data).unwrap().attested.unwrap().id
}

fn signed(reply: &[u8]) -> GetAssertionResponse {
    assert_eq!(reply[0], Status::OK.0, "{reply:02x?}");
    GetAssertionResponse::decode(&reply[1..]).unwrap()
}

#[tokio::test]
async fn a_passkey_is_made_and_used_through_the_key() {
    let mut desk = Desk::new(&[]).await;
    let channel = desk.opens().await;
    desk.asks(channel, &[Command::GetInfo as u8]);
    let info = GetInfo::decode(&desk.answered(channel).await[1..]).unwrap();
    assert_eq!(info.option("uv"), Some(true));

    desk.asks(channel, &registration().encode());
    let (transaction, mut phone) = desk.phone_comes().await;
    let begun = desk.service.events(Some(transaction)).next().await.unwrap();
    let Happened::Begun(about) = begun.what else { panic!("{begun:?}") };
    assert_eq!(
        (about.purpose(), about.rp_id(), about.user_name()),
        (Purpose::Register, RP, "anna")
    );
    // It is answered also while another waits for the phone.
    let other = desk.opens().await;
    desk.asks(other, &[Command::GetInfo as u8]);
    let mut answers = [desk.hears().await, desk.hears().await];
    answers.sort_by_key(|(on, ..)| *on != channel);
    let id = made(&answers[0].2);
    assert_eq!((answers[1].0, answers[1].2[0]), (other, 0));
    phone.tells(|told| *told == crate::world::Told::Acknowledged).await;
    phone.ends().await.unwrap();
    assert!(matches!(desk.ends().await.what, Happened::Ended(None)));
    let receipts = desk.service.receipts().await.unwrap();
    assert!(receipts[0].1.credential_id.0 == id && !receipts[0].1.may_be_orphaned());

    desk.asks(channel, &sign_in(&[&id], None).encode());
    let (_, phone) = desk.phone_comes().await;
    let response = signed(&desk.answered(channel).await);
    let data = AuthenticatorData::decode(&response.auth_data).unwrap();
    assert_eq!(data.flags.0 & 5, 5, "present and verified, by the phone");
    phone.ends().await.unwrap();
    desk.ends().await;
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn a_look_for_what_was_carried_wakes_nobody_and_the_phone_sees_the_whole_list() {
    let mut desk = Desk::new(&[]).await;
    let id = desk.registered().await;
    let asked = desk.world.user.asked().len();
    let channel = desk.opens().await;
    desk.asks(channel, &sign_in(&[&[9; 32], &id], Some(false)).encode());
    let look = signed(&desk.answered(channel).await);
    let data = AuthenticatorData::decode(&look.auth_data).unwrap();
    assert_eq!((look.credential.unwrap().id, data.flags.0), (id.clone(), 0));
    assert_eq!((desk.world.user.asked().len(), desk.service.running()), (asked, vec![]));
    // The program goes on with the one; it is excluded although the program names another.
    let mut again = registration();
    again.exclude_list = vec![CredentialDescriptor::new(vec![9; 32])];
    desk.asks(channel, &again.encode());
    let (_, phone) = desk.phone_comes().await;
    assert_eq!(desk.answered(channel).await, [Status::CREDENTIAL_EXCLUDED.0]);
    phone.ends().await.unwrap();
    // Which accounts there are, a look is not told.
    desk.asks(channel, &sign_in(&[], Some(false)).encode());
    assert_eq!(desk.answered(channel).await, [Status::NO_CREDENTIALS.0]);
    desk.ends().await;
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn a_look_for_the_unknown_fetches_the_phone_and_goes_on_with_it() {
    let mut desk = Desk::new(&[]).await;
    let id = desk.registered().await;
    for (number, _) in desk.service.receipts().await.unwrap() {
        desk.service.forget(number).await.unwrap();
    }
    let channel = desk.opens().await;
    desk.asks(channel, &sign_in(&[&id], Some(false)).encode());
    let (transaction, phone) = desk.phone_comes().await;
    assert_eq!(signed(&desk.answered(channel).await).credential.unwrap().id, id);
    assert_eq!(desk.service.running(), [transaction]);
    desk.asks(channel, &sign_in(&[&id], None).encode());
    let response = signed(&desk.answered(channel).await);
    assert_ne!(response.signature.len(), 8, "a real one");
    phone.ends().await.unwrap();
    // One connection for both.
    assert_eq!(desk.ends().await.transaction, transaction);

    // Whoever says no says that it is not there.
    desk.asks(channel, &sign_in(&[&id], Some(false)).encode());
    let shown =
        until(&mut desk.watched, |what| matches!(what, Happened::Step(Step::Listening))).await;
    desk.service.cancel(shown.transaction).unwrap();
    assert_eq!(desk.answered(channel).await, [Status::NO_CREDENTIALS.0]);
    desk.ends().await;

    // A program that leaves after the look leaves the phone, too.
    desk.asks(channel, &sign_in(&[&id], Some(false)).encode());
    let (_, phone) = desk.phone_comes().await;
    desk.answered(channel).await;
    desk.events.send(uhid::Event::Closed).unwrap();
    assert!(matches!(desk.ends().await.what, Happened::Ended(Some(_))));
    let _hung_up = phone.ends().await;
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn a_refusal_is_told_so_that_no_browser_asks_again() {
    let declined = cabled::authenticator::Decision::Declined;
    let mut desk = Desk::new(&[Answer::Say(declined)]).await;
    let channel = desk.opens().await;
    desk.asks(channel, &registration().encode());
    let (_, phone) = desk.phone_comes().await;
    assert_eq!(desk.answered(channel).await, [Status::USER_ACTION_TIMEOUT.0]);
    let _hung_up = phone.ends().await;
    desk.ends().await;
    let mut eddsa = registration();
    eddsa.pub_key_cred_params = vec![CredentialParameters::new(-8)];
    desk.asks(channel, &eddsa.encode());
    assert_eq!(desk.answered(channel).await, [Status::UNSUPPORTED_ALGORITHM.0]);
    let told = desk.progress.recv().await.unwrap();
    assert_eq!(told, Progress::Refused(Status::UNSUPPORTED_ALGORITHM));
    assert_eq!(desk.service.running(), []);
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn cancelling_and_closing_both_withdraw() {
    let mut desk = Desk::new(&[Answer::Think, Answer::Think]).await;
    let user = Arc::clone(&desk.world.user);
    for closes in [false, true] {
        let channel = desk.opens().await;
        desk.asks(channel, &registration().encode());
        let (_, phone) = desk.phone_comes().await;
        user.is_asked().await;
        // Another program is told that the key is busy.
        let other = desk.opens().await;
        desk.asks(other, &registration().encode());
        let busy = desk.hears().await;
        assert_eq!((busy.0, busy.1, &busy.2[..]), (other, HidCommand::ERROR, &[6][..]));
        if closes {
            desk.events.send(uhid::Event::Closed).unwrap();
        } else {
            desk.sends(channel, HidCommand::CANCEL, &[]);
            assert_eq!(desk.answered(channel).await, [Status::KEEPALIVE_CANCEL.0]);
            // As OpenSSH does, late: it is for nothing.
            desk.sends(channel, HidCommand::CANCEL, &[]);
        }
        assert!(matches!(desk.ends().await.what, Happened::Ended(Some(_))));
        phone.ends().await.unwrap_err();
    }
    assert_eq!((user.withdrawn(), desk.world.passkeys().len()), (2, 0));
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn a_touch_stays_on_this_machine() {
    let mut desk = Desk::new(&[]).await;
    let channel = desk.opens().await;
    let mut blink = registration();
    blink.rp.id = "make.me.blink".to_owned();
    for (message, status) in
        [(vec![Command::Selection as u8], Status::OK), (blink.encode(), Status::PIN_NOT_SET)]
    {
        assert!(desk.service.touch().is_err(), "nobody asks");
        desk.asks(channel, &message);
        let begun = until(&mut desk.watched, |what| matches!(what, Happened::Begun(_))).await;
        let Happened::Begun(about) = begun.what else { panic!() };
        assert_eq!(about.purpose(), Purpose::Select);
        desk.service.touch().unwrap();
        assert_eq!(desk.answered(channel).await, [status.0]);
        assert!(matches!(desk.ends().await.what, Happened::Ended(None)));
    }
    desk.asks(channel, &blink.encode());
    let begun = until(&mut desk.watched, |what| matches!(what, Happened::Begun(_))).await;
    desk.service.cancel(begun.transaction).unwrap();
    assert_eq!(desk.answered(channel).await, [Status::USER_ACTION_TIMEOUT.0]);
    desk.leaves_nothing().await;
}

#[tokio::test]
async fn further_accounts_come_over_the_same_connection() {
    let mut desk = Desk::new(&[]).await;
    desk.world.engine.several_accounts = cabled::authenticator::engine::SeveralAccounts::AskClient;
    for user in [1, 2, 3] {
        let channel = desk.opens().await;
        let mut request = registration();
        request.user.id = vec![user];
        desk.asks(channel, &request.encode());
        let (_, phone) = desk.phone_comes().await;
        made(&desk.answered(channel).await);
        desk.ends().await;
        phone.ends().await.unwrap();
    }
    let channel = desk.opens().await;
    desk.asks(channel, &sign_in(&[], None).encode());
    let (transaction, phone) = desk.phone_comes().await;
    let mut users = vec![signed(&desk.answered(channel).await).user.unwrap().id];
    for _ in 0..2 {
        desk.asks(channel, &[Command::GetNextAssertion as u8]);
        users.push(signed(&desk.answered(channel).await).user.unwrap().id);
    }
    users.sort();
    assert_eq!(users, [[1], [2], [3]]);
    phone.ends().await.unwrap();
    assert_eq!(desk.ends().await.transaction, transaction);
    desk.asks(channel, &[Command::GetNextAssertion as u8]);
    assert_eq!(desk.answered(channel).await, [Status::NOT_ALLOWED.0]);
    desk.leaves_nothing().await;
}
