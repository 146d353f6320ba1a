//! What the cases share: relay, laptop and phone as processes of their own, on real adapters.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cabled::ble::Radio;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::cli::relying_party::RelyingParty;
use cabled::client;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::bluez::Bluez;
use crate::program::{Ended, Program};

/// Far beyond what anything here takes, on an emulated processor too: a case that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const PHONE: &str = "hci0";
pub(crate) const LAPTOP: &str = "hci1";
const ORIGIN: &str = "https://passkeys.example";

/// Where a laptop and a phone take their answers from each other.
pub(crate) struct World {
    folder: tempfile::TempDir,
    url: String,
    _relay: Program,
    pub(crate) bluez: Bluez,
}

pub(crate) fn site() -> RelyingParty {
    RelyingParty::new(ORIGIN, "anna", "anna").unwrap()
}

pub(crate) fn radio(adapter: &str) -> Radio {
    Radio::open(&format!("bluez:{adapter}").parse().unwrap()).unwrap()
}

/// A laptop that meets its phones there.
pub(crate) fn config(relay: &str) -> client::Config {
    let mut config = client::Config::new(Connector::new(Trust::System));
    config.relay = Some(relay.parse().unwrap());
    config
}

pub(crate) fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_entropy()
}

/// Whether `tests/run --full` was asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("CABLED_FULL").is_ok_and(|value| value == "1")
}

impl World {
    pub(crate) async fn new() -> Self {
        let bluez = Bluez::new().await;
        bluez.quiet().await;
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, "314159\n").unwrap();
        std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
        let mut relay = Program::start(&["relay"]);
        let url = relay.says(|_| true).strip_prefix("listening on ").unwrap().to_owned();
        Self { folder, url, _relay: relay, bluez }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The same with nobody where the relay should be.
    pub(crate) async fn without_internet() -> Self {
        let mut world = Self::new().await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        world.url = format!("ws://{}", closed.local_addr().unwrap());
        world
    }

    /// The laptop, with the options of a web site.
    pub(crate) fn laptop(&self, command: &[&str], options: &str, adapter: &str) -> Program {
        let file = self.path("options.json");
        std::fs::write(&file, inner(options)).unwrap();
        let radio = format!("bluez:{adapter}");
        let mut arguments = command.to_vec();
        arguments.extend(["--options", &file, "--origin", ORIGIN, "--qr", "url"]);
        arguments.extend(["--radio", &radio, "--relay", &self.url]);
        Program::start(&arguments)
    }

    /// The phone, whose user agrees to everything.
    pub(crate) fn phone(&self, code: &str) -> Program {
        let (store, pin, radio) = (self.path("store"), self.path("pin"), format!("bluez:{PHONE}"));
        Program::start(&[
            "phone",
            "scan",
            code,
            "--radio",
            &radio,
            "--relay",
            &self.url,
            "--store",
            &store,
            "--pin-file",
            &pin,
            "--auto-approve",
        ])
    }

    pub(crate) async fn ends_quiet(self) {
        self.bluez.quiet().await;
    }
}

/// The options alone, without the object around them that browsers want.
fn inner(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    value.get("publicKey").unwrap_or(&value).to_string()
}

/// That each of these comes, in this order.
pub(crate) fn in_order(ended: &Ended, wanted: &[&str]) {
    let mut lines = ended.err.iter();
    for wanted in wanted {
        assert!(lines.any(|line| line.contains(wanted)), "{wanted:?} is missing in {ended:#?}");
    }
}
