//! The laptop's service with a page, programs that ask it, and phones of a bench that answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cabled::authenticator::Timestamp;
use cabled::ble::Radio;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::ceremony::{Ceremony, Error};
use cabled::client::key;
use cabled::client::phones::Phone;
use cabled::client::receipts::Receipts;
use cabled::client::service::{Service, Sources, Transaction, Way};
use cabled::client::{Client, Config};
use cabled::ctap::hid::{ChannelId, HidCommand, fragments};
use cabled::frontend::web::{Links, laptop};
use cabled::frontend::{Advice, Words};
use cabled::hybrid::PrivateKey;
use cabled::hybrid::keys::LinkSecret;
use cabled::hybrid::linking::{LinkId, LinkedDevice};
use cabled::hybrid::tunnel::{ContactId, TunnelServiceId};
use cabled::testbed::{Bench, PhoneSetup};
use cabled::uhid::{self, Device, Report};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::soon;

const ORIGIN: &str = "https://passkeys.example";

pub(crate) struct Laptop {
    pub(crate) bench: Bench,
    pub(crate) service: Service,
    pub(crate) links: Links,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn advise(error: &Error) -> Advice {
    let hint = "do what the program says in its place".to_owned();
    Advice { text: error.to_string(), hint, status: "failure" }
}

fn draw(text: &str) -> Option<String> {
    cabled::cli::qr::svg(text).ok()
}

impl Laptop {
    pub(crate) async fn start() -> Self {
        Self::with(None, None).await
    }

    /// With another radio than the one that the bench's phones are near.
    pub(crate) async fn with_radio(radio: Radio) -> Self {
        Self::with(None, Some(radio)).await
    }

    /// Beside a tunnel service that never says a word.
    pub(crate) async fn with_silent_relay() -> (Self, TcpListener) {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", silent.local_addr().unwrap());
        (Self::with(Some(url), None).await, silent)
    }

    async fn with(relay: Option<String>, radio: Option<Radio>) -> Self {
        let sources = cabled::authenticator::service::Sources {
            clock: Arc::new(|| Timestamp::from(SystemTime::now())),
            rng: Arc::new(|| Box::new(rand_core::OsRng)),
        };
        let bench = Bench::start(sources).await.unwrap();
        bench.add_phone("anna's", PhoneSetup::default()).await.unwrap();
        let mut config = Config::new(Connector::new(Trust::Only(bench.authority().to_owned())));
        let relay = relay.unwrap_or_else(|| bench.relay().to_string());
        config.relay = Some(relay.parse().unwrap());
        let radio = radio.unwrap_or_else(|| Radio::open(&bench.air().parse().unwrap()).unwrap());
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let sources =
            Sources { clock: Arc::new(now), rng: Arc::new(|| Box::new(rand_core::OsRng)) };
        let folder = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(folder.path().join("receipts.redb"));
        let service = Service::new(Client::new(radio, config).unwrap(), Some(receipts), sources);
        let words = Words { advise, draw };
        let web = laptop::bind(service.clone(), words, 0, &mut rand_core::OsRng).await.unwrap();
        let links = web.links();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(web.serve(async {
            let _either = stopped.await;
        }));
        Self { bench, service, links, stop: Some(stop), served, _folder: folder }
    }

    pub(crate) fn link(&self) -> String {
        self.links.fresh(&mut rand_core::OsRng)
    }

    pub(crate) fn registers(&self, user: &str) -> Transaction {
        self.service.begin(registration(user)).unwrap()
    }

    /// Rings a phone that is remembered.
    pub(crate) fn rings(&self, name: &str, user: &str) -> Transaction {
        let identity = PrivateKey::generate(&mut rand_core::OsRng);
        let device = LinkedDevice {
            contact_id: ContactId::new(vec![1; 32]).unwrap(),
            link_id: LinkId([2; 8]),
            link_secret: LinkSecret::new([3; 32]),
            identity: *identity.public(),
            name: name.to_owned(),
            service: TunnelServiceId::new(300),
        };
        let phone = Phone { device, name: name.to_owned(), linked_at: 0, used_at: None };
        self.service.begin_by(Way::ring(phone), registration(user)).unwrap()
    }

    /// A program that asks which of several keys is meant.
    pub(crate) fn selects(&self) -> Key {
        let ((events, heard), (said, reports)) = (unbounded_channel(), unbounded_channel());
        let device = Fake { events: heard, reports: said };
        let never = std::future::pending();
        let serving = key::serve(device, self.service.clone(), never, |_| {});
        let served = tokio::spawn(async move { drop(serving.await) });
        let mut key = Key { events, reports, served };
        key.ask();
        key
    }

    /// Ends the page, and gives what is beside it.
    pub(crate) async fn end(mut self) -> Bench {
        drop(self.stop.take());
        soon("the page's end", self.served).await.unwrap();
        self.service.stop(Duration::from_secs(10)).await;
        self.bench
    }
}

fn registration(user: &str) -> Ceremony {
    let options = json!({
        "rp": { "id": "passkeys.example", "name": "Passkeys" },
        "user": { "id": "YW5uYQ", "name": user, "displayName": user },
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required" },
    });
    Ceremony::register(options.to_string().as_bytes(), &ORIGIN.parse().unwrap()).unwrap()
}

/// A key with a program before it.
pub(crate) struct Key {
    events: UnboundedSender<uhid::Event>,
    reports: UnboundedReceiver<Report>,
    served: JoinHandle<()>,
}

struct Fake {
    events: UnboundedReceiver<uhid::Event>,
    reports: UnboundedSender<Report>,
}

fn gone() -> uhid::Error {
    uhid::Error::Broken(std::io::ErrorKind::BrokenPipe.into())
}

impl Device for Fake {
    async fn next(&mut self) -> Result<uhid::Event, uhid::Error> {
        self.events.recv().await.ok_or_else(gone)
    }

    fn send(&mut self, report: &Report) -> Result<(), uhid::Error> {
        self.reports.send(*report).map_err(|_| gone())
    }
}

impl Key {
    fn send(&mut self, channel: u32, command: HidCommand, payload: &[u8]) {
        for report in fragments(ChannelId(channel), command, payload) {
            self.events.send(uhid::Event::Report(report)).unwrap();
        }
    }

    fn ask(&mut self) {
        self.events.send(uhid::Event::Opened).unwrap();
        self.send(u32::MAX, HidCommand::INIT, &[1; 8]);
    }

    /// Waits for the channel, and asks on it.
    pub(crate) async fn select(&mut self) {
        let report = soon("a channel", self.reports.recv()).await.unwrap();
        // Channel, command, length, nonce, and then the new channel.
        let channel = u32::from_be_bytes(report[15..19].try_into().unwrap());
        self.send(channel, HidCommand::CBOR, &[cabled::ctap::Command::Selection as u8]);
    }

    /// The status that the program gets.
    pub(crate) async fn status(mut self) -> u8 {
        let answer = async {
            loop {
                let report = self.reports.recv().await.unwrap();
                if report[4] == 0x90 {
                    return report[7];
                }
            }
        };
        let status = soon("an answer", answer).await;
        self.served.abort();
        status
    }
}
