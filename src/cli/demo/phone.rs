//! The demo's phone: a real store in a folder that goes away with it, and a user who nods.

use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::oneshot;

use super::stopwatch::Stopwatch;
use super::unique_name;
use crate::authenticator::{
    Config, Consent, ConsentRequest, Decision, Engine, Outcome, Phone, PhoneConfig, Pin, Progress,
    Store, Timestamp, Verification,
};
use crate::ble::Radio;
use crate::channel::tls::Trust;
use crate::channel::websocket::Connector;
use crate::cli::failure::{Failure, Status};
use crate::cli::{advice, system};
use crate::hybrid::qr::QrContents;
use crate::hybrid::tunnel::{ServiceUrl, TunnelServiceId};

/// A folder that is removed with everything in it.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _nothing_more_to_do = std::fs::remove_dir_all(&self.0);
    }
}

/// Says yes, and remembers what was asked.
#[derive(Debug, Default)]
pub(super) struct Nods(Mutex<Option<String>>);

impl Consent for std::sync::Arc<Nods> {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        let question = match request {
            ConsentRequest::Save { rp_id, account, .. } => {
                format!("Save a passkey for {rp_id}, account {}?", account.unwrap_or_default())
            }
            ConsentRequest::SignIn { rp_id, accounts, .. } => {
                let name = accounts.first().map(|account| account.name.as_str());
                format!("Sign in to {rp_id} as {}?", name.unwrap_or_default())
            }
            other => format!("{other:?}"),
        };
        if let Ok(mut asked) = self.0.lock() {
            *asked = Some(question);
        }
        Decision::Approved { account: 0, verification: Verification::standing_approval() }
    }
}

pub(super) struct DemoPhone {
    phone: Phone<Store, std::sync::Arc<Nods>>,
    nods: std::sync::Arc<Nods>,
    _scratch: Scratch,
}

impl DemoPhone {
    pub(super) async fn new(
        watch: &Stopwatch,
        radio: &Radio,
        relay: &ServiceUrl,
    ) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("cabled-demo-{}", unique_name()));
        let scratch = Scratch(folder.clone());
        // Making a key from a PIN is slow on purpose, and must not hold up the relay.
        let made = tokio::task::spawn_blocking(move || {
            let pin = Pin::new(unique_name())
                .map_err(|error| Failure::because(Status::Failure, &error, "run it again"))?;
            Store::create(&folder, &pin, &mut system::random()).map_err(|e| advice::store(&e))
        });
        let store = made
            .await
            .map_err(|error| Failure::because(Status::Failure, &error, "run it again with -v"))??;
        watch.step("phone", "store", "makes a passkey store, sealed under a PIN");
        let nods = std::sync::Arc::new(Nods::default());
        let engine = Engine::new(store, nods.clone(), Config::default());
        let connector = Connector::new(Trust::System);
        let config = PhoneConfig::new(connector, relay.clone(), TunnelServiceId::GOOGLE);
        let phone = Phone::new(radio.clone(), config, engine);
        let phone = phone.map_err(|error| advice::authenticator(&error))?;
        Ok(Self { phone, nods, _scratch: scratch })
    }

    /// Scans what the laptop shows and answers until the laptop has taken leave.
    pub(super) async fn answer(
        &mut self,
        watch: &Stopwatch,
        scanned: oneshot::Receiver<String>,
    ) -> Result<(), Failure> {
        let Ok(text) = scanned.await else {
            return Err(Failure::new(Status::Failure, "no code was shown", "run it again with -v"));
        };
        let contents = QrContents::decode(&text).map_err(|error| advice::qr(&error))?;
        watch.step("phone", "scanned", "scans the code");
        let nods = self.nods.clone();
        let clock = || Timestamp(system::unix_time());
        let rng = &mut system::random();
        let answered =
            self.phone.answer(contents, std::future::pending(), clock, rng, |progress| {
                tell(watch, &nods, &progress)
            });
        answered.await.map_err(|error| advice::authenticator(&error))
    }
}

fn tell(watch: &Stopwatch, nods: &Nods, progress: &Progress<'_>) {
    let (event, words) = match progress {
        Progress::OpeningTunnel => ("opening-tunnel", "opens a tunnel at the relay".to_owned()),
        Progress::WithoutTunnel(error) => ("without-tunnel", format!("has no tunnel: {error}")),
        Progress::Advertising => {
            ("advertising", "advertises over (simulated) Bluetooth".to_owned())
        }
        Progress::Connected { .. } => ("phone-connected", "is connected to the laptop".to_owned()),
        Progress::Answered(outcome) => {
            if let Some(question) = nods.0.lock().ok().and_then(|mut asked| asked.take()) {
                watch.step("phone", "consent", &format!("asks: {question} - its user agrees"));
            }
            match outcome {
                Outcome::Saved { .. } => ("saved", "saved a passkey".to_owned()),
                Outcome::SignedIn { .. } => ("signed", "signed with its passkey".to_owned()),
                other => ("answered", format!("answered: {other:?}")),
            }
        }
        Progress::Acknowledged => ("delivered", "knows that its answer has arrived".to_owned()),
        Progress::Linked => ("linked", "remembers the laptop".to_owned()),
    };
    watch.step("phone", event, &words);
}
