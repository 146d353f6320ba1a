//! The phone's service with the desktop as its front end.

use std::sync::Arc;

use cabled::authenticator::service::{Service, Setup, Sources};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config, Consent as _, ConsentRequest, Decision, PhoneConfig, Pin, Store, Timestamp,
};
use cabled::ble::memory::MemoryRadio;
use cabled::ble::{Conditions, Radio};
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::cli::companion::{Fingers, Notes, Words};
use cabled::desktop::fingerprint::{Limits, Reader};
use cabled::desktop::notify::Notifier;
use cabled::hybrid::tunnel::TunnelServiceId;
use cabled::testbed::PrivateBus;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fake::{self, Fake, PATIENCE};
use crate::{fingers, notes};

struct World {
    notes: Fake,
    fprintd: Fake,
    service: Service,
    _folder: TempDir,
    _bus: PrivateBus,
    prompting: JoinHandle<()>,
}

fn service(folder: &TempDir) -> Service {
    let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let pin = Pin::new("a long enough PIN".to_owned()).unwrap();
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let store = Store::create_with_cost(folder.path(), &pin, cost, rng).unwrap();
    let relay = "ws://127.0.0.1:1".parse().unwrap();
    let connector = Connector::new(Trust::System);
    let setup = Setup {
        locked: store.locked(),
        open: Some(store),
        radio: Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap()),
        phone: PhoneConfig::new(connector, relay, TunnelServiceId::GOOGLE),
        engine: Config::default(),
        name: None,
        standing: None,
        sources: Sources {
            clock: Arc::new(|| Timestamp(1_000_000)),
            rng: Arc::new(|| Box::new(ChaCha20Rng::seed_from_u64(7))),
        },
    };
    Service::new(setup).unwrap()
}

impl World {
    async fn new(words: Words, with_reader: bool) -> Self {
        let (bus, folder) = (PrivateBus::start().await.unwrap(), tempfile::tempdir().unwrap());
        let notes = notes::server(&bus, &["actions"]).await;
        let fprintd = fingers::server(&bus, None).await;
        let service = service(&folder);
        let reader = Reader::at(fake::at(&bus), fingers::uid());
        let limits = Limits { tries: 2, ..Limits::default() };
        let verifier = with_reader.then(|| Fingers::new(reader, limits));
        let notifier = Notifier::new(fake::at(&bus), "Passkeys", "org.cabled.Phone");
        let (own, elsewhere) = (service.clone(), "Answer with: cabled phone");
        let mut prompter = Notes::new(own.clone(), notifier, verifier, words, elsewhere);
        let prompting = tokio::spawn(async move { own.prompt(&mut prompter).await });
        Self { notes, fprintd, service, _folder: folder, _bus: bus, prompting }
    }

    fn ask(&self) -> JoinHandle<Decision> {
        let asking = self.service.asking_for_programs();
        let request = ConsentRequest::Save {
            rp_id: "bank.example".to_owned(),
            rp_name: None,
            account: Some("anna".to_owned()),
            replaces: vec![],
        };
        tokio::spawn(async move { asking.ask(request).await })
    }
}

async fn decided(asking: JoinHandle<Decision>) -> Decision {
    timeout(PATIENCE, asking).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approved_on_the_screen_and_by_a_finger() {
    let world = World::new(Words::Full, true).await;
    let asking = world.ask();
    let (_, _, _, summary, _, actions, ..) = notes::shown(&world.notes, 1).await;
    assert_eq!(summary, "Save a passkey for bank.example?");
    assert!(actions.contains(&"Approve by fingerprint".to_owned()));
    notes::pressed(&world.notes, 1, "button1").await;
    world.fprintd.called("VerifyStart", 1).await;
    fingers::says(&world.fprintd, "verify-match", true).await;
    assert!(matches!(decided(asking).await, Decision::Approved { account: 0, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_fingers_leave_the_question_open_and_the_button_away() {
    let world = World::new(Words::Full, true).await;
    let asking = world.ask();
    notes::shown(&world.notes, 1).await;
    notes::pressed(&world.notes, 1, "button1").await;
    for touch in 1..=2 {
        world.fprintd.called("VerifyStart", touch).await;
        fingers::says(&world.fprintd, "verify-no-match", true).await;
    }
    let (_, _, _, _, body, actions, ..) = notes::shown(&world.notes, 2).await;
    assert!(body.contains("The fingers were not recognised."), "{body}");
    assert!(!actions.contains(&"Approve by fingerprint".to_owned()));
    // A button that is not there is not pressed.
    notes::pressed(&world.notes, 2, "button1").await;
    assert_eq!(world.service.questions().len(), 1);
    notes::pressed(&world.notes, 2, "button0").await;
    assert_eq!(decided(asking).await, Decision::Declined);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_reader_a_notification_only_declines() {
    let world = World::new(Words::Discreet, false).await;
    let asking = world.ask();
    let (_, _, _, summary, body, actions, ..) = notes::shown(&world.notes, 1).await;
    assert_eq!(actions, ["default", "", "button0", "Decline"]);
    assert!(!summary.contains("bank.example") && !body.contains("bank.example"));
    assert!(body.contains("Answer with: cabled phone"), "{body}");
    notes::pressed(&world.notes, 1, "button0").await;
    assert_eq!(decided(asking).await, Decision::Declined);
    assert!(world.fprintd.methods().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_over_leaves_screen_and_reader() {
    let world = World::new(Words::Full, true).await;
    let asking = world.ask();
    notes::shown(&world.notes, 1).await;
    notes::pressed(&world.notes, 1, "button1").await;
    world.fprintd.called("VerifyStart", 1).await;
    asking.abort();
    world.fprintd.called("Release", 1).await;
    // And one that nobody has answered yet.
    let asking = world.ask();
    notes::shown(&world.notes, 2).await;
    asking.abort();
    world.notes.called("CloseNotification", 2).await;
    world.prompting.abort();
}
