//! Phones that are remembered: they listen through the balancer, and come when their laptop rings.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cabled::authenticator::service::{Listening, Service as Phone, Setup, Sources as PhoneSources};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{Config as EngineConfig, Verification};
use cabled::client::ceremony::{Answer, Ceremony};
use cabled::client::phones::{Keyring, Phones};
use cabled::client::service::{Events, Happened, Service as Laptop, Sources, Way};
use cabled::hybrid::tunnel::ServiceUrl;
use cabled::secret::Secret;
use rand_core::OsRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::people::{Devices, NOW, REQUEST, options_for, origin};
use crate::world::PATIENCE;

/// A laptop that remembers a phone.
pub(crate) struct Linked {
    laptop: Laptop,
    phone: Phone,
    listening: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Linked {
    /// Meets with a code once, and listens then.
    pub(crate) async fn at(url: &ServiceUrl) -> Self {
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        let devices = Devices::meet_at(url, cost);
        let laptop = laptop(&devices);
        let setup = Setup {
            locked: devices.store.locked(),
            open: Some(devices.store),
            radio: devices.radio,
            phone: devices.phone,
            engine: EngineConfig::default(),
            name: Some("Anna's phone".to_owned()),
            standing: Some(Verification::standing_approval()),
            sources: PhoneSources { clock: Arc::new(|| NOW), rng: Arc::new(|| Box::new(OsRng)) },
        };
        let phone = Phone::new(setup).unwrap();
        let listens = phone.clone();
        let listening = tokio::spawn(async move { listens.listen().await });
        let linked = Self { laptop, phone, listening, _folder: devices.folder };
        timeout(PATIENCE, linked.link()).await.unwrap();
        linked
    }

    async fn link(&self) {
        let wanted = Ceremony::register(options_for(1).as_bytes(), &origin()).unwrap();
        let mut transaction = self.laptop.begin_by(Way::code_to_remember(), wanted).unwrap();
        let mut events = self.laptop.events(Some(transaction.id()));
        self.phone.submit_text(transaction.code(), false).unwrap();
        assert!(matches!(transaction.answer().await.unwrap(), Answer::Registered(_)));
        happens(&mut events, |what| matches!(what, Happened::Linked(_))).await;
        happens(&mut events, |what| matches!(what, Happened::Ended(None))).await;
        let mut listening = self.phone.listening();
        listening.wait_for(|state| *state == Listening::Yes).await.unwrap();
    }

    /// Whether the phone listens, as it knows.
    pub(crate) fn listening(&self) -> watch::Receiver<Listening> {
        self.phone.listening()
    }

    /// A sign-in without a code, from the ring to the answer.
    pub(crate) async fn signs_in(&self) -> Result<(), &'static str> {
        let phone = self.laptop.phones().unwrap().find("Anna's phone").await.unwrap();
        let wanted = Ceremony::sign_in(REQUEST.as_bytes(), &origin(), None).unwrap();
        let mut transaction = self.laptop.begin_by(Way::ring(phone), wanted).unwrap();
        let answer = timeout(PATIENCE, transaction.answer()).await.unwrap();
        match answer {
            Ok(answer) => assert!(matches!(answer, Answer::SignedIn(_))),
            Err(error) => return Err(error.cause()),
        }
        Ok(())
    }

    /// Rings until the phone has come; when that was.
    pub(crate) async fn comes(&self) -> Instant {
        let mut tries = tokio::time::interval(Duration::from_millis(50));
        loop {
            tries.tick().await;
            match self.signs_in().await {
                Ok(()) => return Instant::now(),
                // It does not listen again yet.
                Err("phone-away") => {}
                Err(cause) => panic!("the phone was rung and did not come: {cause}"),
            }
        }
    }
}

fn laptop(devices: &Devices) -> Laptop {
    let keyring: Keyring = Arc::new(|_| Box::pin(async { Ok(Some(Secret::new([7; 32]))) }));
    let phones: &Path = devices.folder.path();
    let phones = Phones::at(phones.join("phones"), keyring);
    let sources = Sources { clock: Arc::new(|| NOW.0), rng: Arc::new(|| Box::new(OsRng)) };
    Laptop::remembering(devices.client.clone(), None, Some(phones), sources)
}

async fn happens(events: &mut Events, wanted: impl Fn(&Happened) -> bool) {
    while !wanted(&events.next().await.unwrap().what) {}
}
