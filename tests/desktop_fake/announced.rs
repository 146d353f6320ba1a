//! The laptop's requests as notifications, with a button that opens the page.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cabled::ble::memory::MemoryRadio;
use cabled::ble::{Conditions, Radio};
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::cli::announce::Announcer;
use cabled::cli::companion::Words;
use cabled::client::ceremony::Ceremony;
use cabled::client::service::{Service, Sources, Transaction};
use cabled::client::{Client, Config};
use cabled::desktop::notify::Notifier;
use cabled::testbed::PrivateBus;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::message::Message;
use zbus::zvariant::{OwnedValue, Value};

use crate::fake::{self, Fake, PATIENCE, Reply};
use crate::notes;
use crate::picture::REQUEST;
use crate::sharing::silent_radio;

const NOTES: &str = "org.freedesktop.Notifications";
const NOTES_PATH: &str = "/org/freedesktop/Notifications";
const PORTAL: &str = "org.freedesktop.portal.Desktop";

struct World {
    bus: PrivateBus,
    notes: Fake,
    service: Service,
    announcing: JoinHandle<()>,
}

impl World {
    /// A laptop that listens so long for a phone, of which there is none.
    async fn new(words: Words, patience: Duration) -> Self {
        Self::with(Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap()), words, patience)
            .await
    }

    async fn with(radio: Radio, words: Words, patience: Duration) -> Self {
        let bus = PrivateBus::start().await.unwrap();
        let notes = notes::server(&bus, &["actions"]).await;
        let mut config = Config::new(Connector::new(Trust::System));
        config.relay = Some("ws://127.0.0.1:1".parse().unwrap());
        config.deadlines.advert = patience;
        let sources = Sources {
            clock: Arc::new(|| 1_800_000_000),
            rng: Arc::new(|| Box::new(ChaCha20Rng::seed_from_u64(7))),
        };
        let service = Service::new(Client::new(radio, config).unwrap(), None, sources);
        let links = AtomicU32::new(0);
        let announcer = Announcer {
            service: service.clone(),
            notifier: Notifier::new(fake::at(&bus), "Passkeys", "org.cabled.Phone"),
            bus: fake::at(&bus),
            page: Arc::new(move || {
                format!("http://127.0.0.1:9/enter/{}", links.fetch_add(1, Ordering::SeqCst))
            }),
            words,
        };
        let announcing = tokio::spawn(announcer.run());
        Self { bus, notes, service, announcing }
    }

    fn asks(&self) -> Transaction {
        let options = r#"{
            "rp": { "id": "bank.example", "name": "Bank" },
            "user": { "id": "YW5uYQ", "name": "anna", "displayName": "Anna" },
            "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
            "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }]
        }"#;
        let origin = "https://bank.example".parse().unwrap();
        self.service.begin(Ceremony::register(options.as_bytes(), &origin).unwrap()).unwrap()
    }

    async fn ends(self) {
        self.announcing.abort();
        assert!(self.announcing.await.unwrap_err().is_cancelled());
    }
}

type Opened = (String, String, HashMap<String, OwnedValue>);

fn opened(call: &Message) -> Opened {
    call.body().deserialize().unwrap()
}

fn text(value: &OwnedValue) -> String {
    String::try_from(value.try_clone().unwrap()).unwrap()
}

fn request(call: &Message) -> String {
    let sender = fake::caller(call).trim_start_matches(':').replace('.', "_");
    let token = text(&opened(call).2["handle_token"]);
    format!("/org/freedesktop/portal/desktop/request/{sender}/{token}")
}

async fn portal(bus: &PrivateBus) -> Fake {
    let answer = |method: &str, call: &Message| match method {
        "OpenURI" => Reply::Path(request(call)),
        _ => Reply::Nothing,
    };
    Fake::start(bus, PORTAL, answer).await
}

async fn responds(portal: &Fake, call: &Message, code: u32) {
    let nothing = (code, HashMap::<&str, Value<'_>>::new());
    portal.signal(&request(call), REQUEST, "Response", &nothing).await;
}

async fn over(asking: &mut Transaction) {
    timeout(PATIENCE, asking.answer()).await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_announced_its_page_opened_and_the_request_cancelled() {
    let world = World::new(Words::Full, PATIENCE).await;
    let portal = portal(&world.bus).await;
    let mut asking = world.asks();
    let (app, _, _, summary, body, actions, ..) = notes::shown(&world.notes, 1).await;
    assert_eq!(app, "Passkeys");
    assert_eq!(summary, "Save a passkey for bank.example, account anna");
    assert!(body.contains("Did you start this?") && !body.contains("FIDO:/"), "{body}");
    assert!(!body.contains("near"), "nothing about where, with a radio of this machine: {body}");
    assert_eq!(actions, ["default", "", "button0", "Cancel", "button1", "Show the code"]);
    // A token for another's notification is not ours, nor one of any length.
    for (id, token) in [(9_u32, "theirs".to_owned()), (1, "x".repeat(1000)), (1, "ours".to_owned())]
    {
        world.notes.signal(NOTES_PATH, NOTES, "ActivationToken", &(id, token)).await;
    }
    notes::pressed(&world.notes, 1, "button1").await;
    let call = portal.called("OpenURI", 1).await;
    let (parent, link, options) = opened(&call);
    assert_eq!((parent.as_str(), link.as_str()), ("", "http://127.0.0.1:9/enter/0"));
    assert_eq!(text(&options["activation_token"]), "ours");
    responds(&portal, &call, 0).await;
    // Touched again, on the text: another link, and no token that was used.
    notes::pressed(&world.notes, 1, "default").await;
    let call = portal.called("OpenURI", 2).await;
    assert_eq!(opened(&call).1, "http://127.0.0.1:9/enter/1");
    assert!(!opened(&call).2.contains_key("activation_token"));
    responds(&portal, &call, 0).await;
    notes::pressed(&world.notes, 1, "button0").await;
    over(&mut asking).await;
    let closed: u32 =
        world.notes.called("CloseNotification", 1).await.body().deserialize().unwrap();
    assert_eq!(closed, 1);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_has_to_be_near_another_machine_is_asked_there() {
    let folder = tempfile::tempdir().unwrap();
    let (radio, shares) = silent_radio(folder.path());
    let world = World::with(radio, Words::Full, PATIENCE).await;
    let mut asking = world.asks();
    let (.., body, _, _, _) = notes::shown(&world.notes, 1).await;
    assert!(body.contains("There is a code to scan"), "{body}");
    assert!(body.contains("near that one, not near this one"), "{body}");
    world.service.cancel(asking.id()).unwrap();
    over(&mut asking).await;
    shares.abort();
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_page_can_be_opened_it_says_how_and_names_nobody() {
    let world = World::new(Words::Discreet, PATIENCE).await;
    let mut asking = world.asks();
    let (.., summary, body, _, _, _) = notes::shown(&world.notes, 1).await;
    assert!(!summary.contains("bank.example") && !body.contains("anna"), "{summary}: {body}");
    // No portal is there.
    notes::pressed(&world.notes, 1, "button1").await;
    let (_, replaces, _, _, body, ..) = notes::shown(&world.notes, 2).await;
    assert_eq!(replaces, 1, "in the place of the first");
    assert!(body.contains("In a terminal: cabled page --open"), "{body}");
    // Withdrawn by the program; the fake gave the second a number of its own.
    world.service.cancel(asking.id()).unwrap();
    over(&mut asking).await;
    world.notes.called("CloseNotification", 1).await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_nothing_is_said_and_what_was_put_aside_stays_aside() {
    let world = World::new(Words::Full, Duration::from_secs(2)).await;
    let mut asking = world.asks();
    notes::shown(&world.notes, 1).await;
    over(&mut asking).await;
    let (_, replaces, _, summary, body, actions, hints, expires) =
        notes::shown(&world.notes, 2).await;
    assert_eq!((replaces, expires), (1, -1), "it goes by itself");
    assert_eq!(summary, "Save a passkey for bank.example, account anna");
    assert!(body.contains("It came to nothing: ") && body.contains("What to do: "), "{body}");
    assert_eq!(actions, ["default", "", "button0", "More"]);
    assert_eq!(u8::try_from(&hints["urgency"]).unwrap(), 1);
    world.notes.signal(NOTES_PATH, NOTES, "NotificationClosed", &(2_u32, 2_u32)).await;

    let mut asking = world.asks();
    notes::shown(&world.notes, 3).await;
    world.notes.signal(NOTES_PATH, NOTES, "NotificationClosed", &(3_u32, 2_u32)).await;
    over(&mut asking).await;
    // The next that is shown is the next request.
    let mut asking = world.asks();
    let (_, replaces, _, _, body, ..) = notes::shown(&world.notes, 4).await;
    assert_eq!(replaces, 0);
    assert!(body.contains("There is a code to scan"), "{body}");
    world.service.cancel(asking.id()).unwrap();
    over(&mut asking).await;
    world.ends().await;
}
