//! The phone: as the program that a user runs, and as the library for what needs a script.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ::image::DynamicImage;
use cabled::authenticator::engine::SeveralAccounts;
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{
    Config, Consent, ConsentRequest, Decision, Engine, Error, Outcome, Phone, PhoneConfig, Pin,
    Progress, Store, Timestamp, Verification,
};
use cabled::ble::Radio;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::cli::image;
use cabled::cli::screen::Screen;
use cabled::hybrid::qr::QrContents;
use cabled::hybrid::tunnel::TunnelServiceId;
use rand_core::OsRng;
use serde_json::Value;

use crate::desk::Desk;
use crate::soon;

/// Milliseconds since 1970, as the browser's clock has them.
#[allow(clippy::disallowed_methods, reason = "the browser reads the machine's clock too")]
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}

/// A finished run of the phone program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) events: Vec<Value>,
    #[allow(dead_code, reason = "shown when a test fails")]
    errors: String,
}

impl Ran {
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// How many passkeys it deleted.
    pub(crate) fn deleted(&self) -> usize {
        self.event("deleted")["passkeys"].as_array().unwrap().len()
    }

    pub(crate) fn event(&self, name: &str) -> &Value {
        let found = self.events.iter().find(|event| event["event"] == name);
        found.unwrap_or_else(|| panic!("no event {name}: {self:#?}"))
    }
}

/// Runs `cabled phone ...` at a desk.
pub(crate) fn program(desk: &Desk, arguments: &[&str]) -> impl Future<Output = Ran> + use<> {
    let pin = desk.folder.path().join("pin");
    if !pin.exists() {
        std::fs::write(&pin, "a long PIN\n").unwrap();
        std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let mut command = desk.seat(env!("CARGO_BIN_EXE_cabled"));
    command.args(["--json", "phone"]).args(arguments).arg("--pin-file").arg(&pin);
    for name in ["CABLED_RADIO", "CABLED_RELAY", "CABLED_CA", "CABLED_STORE", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    async move {
        let output = soon("the end of the phone program", command.output()).await.unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let events = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let errors = String::from_utf8(output.stderr).unwrap();
        Ran { status: output.status.code().unwrap(), events, errors }
    }
}

/// Runs `cabled phone passkeys ...` at a desk.
pub(crate) fn passkeys(desk: &Desk, arguments: &[&str]) -> impl Future<Output = Ran> + use<> {
    let store = desk.folder.path().join("phone").display().to_string();
    program(desk, &[&["--store", &store, "passkeys"], arguments].concat())
}

/// As a user does who looks at the laptop's screen with this very machine's phone program.
pub(crate) fn scan_screen(desk: &Desk, more: &[&str]) -> impl Future<Output = Ran> + use<> {
    let own = desk.phone_arguments();
    let own = own.iter().map(String::as_str).collect::<Vec<_>>();
    program(desk, &[&["scan", "--screen", "--auto-approve"], &own[..], more].concat())
}

/// What the phone's user does, request by request; approves when nothing is left.
#[derive(Debug, Default)]
pub(crate) struct User {
    will: Mutex<Vec<Will>>,
    pub(crate) asked: Mutex<Vec<ConsentRequest>>,
    bell: tokio::sync::Notify,
}

#[derive(Clone, Debug)]
pub(crate) enum Will {
    /// Chooses the account of that name.
    Choose(&'static str),
    Decline,
    /// Looks at the question and does nothing.
    Ponder,
}

impl Consent for User {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        self.asked.lock().unwrap().push(request.clone());
        self.bell.notify_one();
        let will = self.will.lock().unwrap().pop();
        let account = match (&will, &request) {
            (Some(Will::Decline), _) => return Decision::Declined,
            (Some(Will::Ponder), _) => std::future::pending().await,
            (Some(Will::Choose(name)), ConsentRequest::SignIn { accounts, pick: true, .. }) => {
                accounts.iter().position(|account| account.name == *name).unwrap()
            }
            (Some(will), request) => panic!("{will:?} does not answer {request:?}"),
            (None, _) => 0,
        };
        Decision::Approved { account, verification: Verification::standing_approval() }
    }
}

/// What a transaction was, as far as it got.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) result: Result<(), Error>,
    /// When each step of the phone's was reached.
    pub(crate) steps: Vec<(&'static str, f64)>,
    /// How each request was answered.
    pub(crate) outcomes: Vec<String>,
    pub(crate) acknowledged: bool,
}

/// A phone with an unlocked store, in this process.
pub(crate) struct InProcess {
    phone: Phone<Store, Arc<User>>,
    pub(crate) store: Store,
    pub(crate) user: Arc<User>,
    display: String,
}

impl InProcess {
    pub(crate) fn new(desk: &Desk) -> Self {
        // Unlocking is slow on purpose, and no part of what is looked at here.
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let pin = Pin::new("a long PIN".to_owned()).unwrap();
        let folder = desk.folder.path().join("phone-in-process");
        let store = Store::create_with_cost(&folder, &pin, cost, &mut OsRng).unwrap();
        Self::over(store, desk, Config::default())
    }

    /// The same phone, set to leave the choice of an account to the laptop.
    pub(crate) fn that_lists_accounts(self, desk: &Desk) -> Self {
        let several_accounts = SeveralAccounts::AskClient;
        Self::over(self.store, desk, Config { several_accounts, ..Config::default() })
    }

    /// The same phone, at the node that the desk says now.
    #[cfg(feature = "cluster")]
    pub(crate) fn moved(self, desk: &Desk) -> Self {
        Self::over(self.store, desk, Config::default())
    }

    fn over(store: Store, desk: &Desk, config: Config) -> Self {
        let user = Arc::new(User::default());
        let connector = Connector::new(Trust::Only(desk.authority()));
        let to = PhoneConfig::new(connector, desk.relay(), TunnelServiceId::GOOGLE);
        let engine = Engine::new(store.clone(), Arc::clone(&user), config);
        let radio = Radio::open(&desk.air()).unwrap();
        let phone = Phone::new(radio, to, engine).unwrap();
        Self { phone, store, user, display: desk.display.clone() }
    }

    /// Saves a passkey and then, before a word of it leaves, has no battery any more. Gives the phone as
    /// it is when it is switched on again.
    pub(crate) async fn dies_after_saving(mut self, desk: &Desk) -> Self {
        let store = self.store.clone();
        let dying = tokio::spawn(async move {
            self.scan_with(std::future::pending(), |outcome| {
                assert!(matches!(outcome, Outcome::Saved { .. }), "{outcome:?}");
                // Everything that it had in hand is dropped, as with a process that ends here.
                std::panic::resume_unwind(Box::new("no battery"));
            })
            .await
        });
        assert!(soon("the phone's death", dying).await.unwrap_err().is_panic());
        Self::over(store, desk, Config::default())
    }

    /// What the user does, in this order.
    pub(crate) fn will(&self, script: &[Will]) {
        *self.user.will.lock().unwrap() = script.iter().rev().cloned().collect();
    }

    pub(crate) fn asked(&self) -> Vec<ConsentRequest> {
        std::mem::take(&mut *self.user.asked.lock().unwrap())
    }

    /// Finds the code on the screen and answers it to the end.
    pub(crate) async fn scan(&mut self) -> Answered {
        self.scan_with(std::future::pending(), |_| {}).await
    }

    /// The same, but switches the phone off once it asks.
    pub(crate) async fn walk_away_when_asked(&mut self) -> Answered {
        self.will(&[Will::Ponder]);
        let user = Arc::clone(&self.user);
        self.scan_with(async move { user.bell.notified().await }, |_| {}).await
    }

    async fn scan_with(
        &mut self,
        cancel: impl Future<Output = ()> + Send,
        on_answer: impl Fn(&Outcome) + Send + Sync,
    ) -> Answered {
        let text = code_on(&self.display).await;
        let contents = QrContents::decode(&text).unwrap();
        let (mut steps, mut outcomes, mut acknowledged) = (Vec::new(), Vec::new(), false);
        let clock = || Timestamp(now_ms() as u64 / 1000);
        let rng = &mut OsRng;
        let answering =
            self.phone.answer(contents, cancel, clock, rng, |progress| match progress {
                Progress::OpeningTunnel => steps.push(("asks for a tunnel", now_ms())),
                Progress::Advertising => steps.push(("has it, and is on the air", now_ms())),
                Progress::Connected { .. } => {
                    steps.push(("and Chromium have shaken hands", now_ms()))
                }
                Progress::Answered(outcome) => {
                    on_answer(outcome);
                    steps.push(("has answered", now_ms()));
                    outcomes.push(words(outcome));
                }
                Progress::Acknowledged => acknowledged = true,
                _ => {}
            });
        let result = soon("the end of the phone's part", answering).await;
        Answered { result, steps, outcomes, acknowledged }
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Saved { .. } => "saved".to_owned(),
        Outcome::SignedIn { .. } => "signed in".to_owned(),
        Outcome::Offered { .. } => "offered".to_owned(),
        Outcome::Refused(status) => status.name().to_owned(),
        other => format!("{other:?}"),
    }
}

/// Looks at a display until a code is on it, and gives its text.
pub(crate) async fn code_on(display: &str) -> String {
    let display = display.to_owned();
    let looking = tokio::task::spawn_blocking(move || {
        let screen = Screen::open(Some(&display)).unwrap();
        loop {
            let picture = DynamicImage::from(screen.capture().unwrap()).into_luma8();
            if let Ok(text) = image::find(&picture) {
                return text;
            }
        }
    });
    soon("a code on the screen", looking).await.unwrap()
}
