//! A desk of its own for each test: display, Bluetooth, tunnel service, web site, browser. All that is
//! not the browser is ours or a fake; the browser is the distribution's, unmodified.
//!
//! ```text
//!  Xvfb <── chromium ──D-Bus──> FakeBluez ──> air:DIR <── phone
//!              │                                            │
//!              ├── wss (cable.ua5v.com, a flag says where) ─┴─> relay
//!              └── http://localhost ──> examples/relying_party
//! ```

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use base64::Engine as _;
use cabled::ble::{Radio, RadioSpec};
use cabled::cli::screen::Screen;
use cabled::hybrid::tunnel::ServiceUrl;
use cabled::relay::{self, Relay, TlsFiles};
use sha2::{Digest as _, Sha256};

use crate::devtools::{PATIENCE, Page};
use crate::fake::{FakeBluez, PrivateBus};

/// Pictures of what was seen, for people to look at.
pub(crate) fn album() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let folder = target.join("chromium");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that ends with its test, and what it says.
struct Program(Child);

impl Program {
    /// Starts it and waits for the line that says it is ready.
    fn start(command: &mut Command, errors: bool, ready: impl Fn(&str) -> bool) -> (Self, String) {
        let name = command.get_program().to_string_lossy().into_owned();
        let (out, err) = match errors {
            true => (Stdio::null(), Stdio::piped()),
            false => (Stdio::piped(), Stdio::null()),
        };
        let spawned = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name}: {error}"));
        let stream: Box<dyn std::io::Read + Send> = match errors {
            true => Box::new(child.stderr.take().unwrap()),
            false => Box::new(child.stdout.take().unwrap()),
        };
        let program = Self(child);
        let (sender, lines) = mpsc::channel();
        // Reads on to the end, so that the program never finds its pipe full.
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _nobody_listens_any_more = sender.send(line);
            }
        });
        loop {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("{name} did not start"));
            if ready(&line) {
                return (program, line);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

/// A tunnel service with a certificate of a throw-away authority.
struct Service {
    port: u16,
    url: ServiceUrl,
    /// What Chromium is told to believe: SHA-256 of the certificate's key, base64.
    spki: String,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn start(folder: &Path) -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&authority_key).unwrap().pem();
        std::fs::write(folder.join("ca.pem"), pem).unwrap();
        let issuer = rcgen::Issuer::new(parameters, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names = ["cable.ua5v.com", "localhost"].map(ToOwned::to_owned);
        let certificate = rcgen::CertificateParams::new(names.to_vec()).unwrap();
        let certificate = certificate.signed_by(&key, &issuer).unwrap();
        let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let listen = ([127, 0, 0, 1], 0).into();
        let config = relay::Config { tls: Some(files), ..relay::Config::new(listen) };
        let relay = Relay::bind(config).await.unwrap();
        let port = relay.local_addr().port();
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        Self {
            port,
            url: format!("wss://localhost:{port}").parse().unwrap(),
            spki: base64::engine::general_purpose::STANDARD.encode(Sha256::digest(spki)),
            task: tokio::spawn(relay.serve(std::future::pending())),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) struct Desk {
    pub(crate) page: Page,
    pub(crate) display: String,
    name: &'static str,
    pictures: usize,
    relay: Service,
    _browser: Program,
    _site: Program,
    _xvfb: Program,
    _bluez: FakeBluez,
    bus: PrivateBus,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    /// Everything on, and the page open. `name` is the beginning of its pictures' names.
    pub(crate) async fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "1200x900x24", "-nolisten", "tcp"]);
        let (xvfb, display) = Program::start(&mut xvfb, false, |line| line.parse::<u16>().is_ok());
        let display = format!(":{display}");
        let bus = PrivateBus::start();
        let air = format!("air:{}", folder.path().join("air").display());
        let radio = Radio::open(&air.parse::<RadioSpec>().unwrap()).unwrap();
        let bluez = FakeBluez::start(bus.address(), radio, &["hci0"]).await.unwrap();
        let relay = Service::start(folder.path()).await;
        let (site, line) =
            Program::start(Command::new(example()).args(["--port", "0"]), false, |line| {
                line.starts_with("listening on ")
            });
        let address = line.trim_start_matches("listening on ");
        let mut command = chromium(folder.path(), &relay);
        command.env("DISPLAY", &display).env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        let (browser, line) =
            Program::start(&mut command, true, |line| line.starts_with("DevTools listening on "));
        let mut page = Page::attach(line.trim_start_matches("DevTools listening on ")).await;
        page.go_to(address).await;
        page.shows("#signed-out").await;
        Self {
            page,
            display,
            name,
            pictures: 0,
            relay,
            _browser: browser,
            _site: site,
            _xvfb: xvfb,
            _bluez: bluez,
            bus,
            folder,
        }
    }

    pub(crate) fn relay(&self) -> &ServiceUrl {
        &self.relay.url
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn air(&self) -> RadioSpec {
        format!("air:{}", self.folder.path().join("air").display()).parse().unwrap()
    }

    /// The environment of a phone program at this desk.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 5] {
        let path = |name: &str| self.folder.path().join(name).into_os_string();
        [
            ("DISPLAY", self.display.clone().into()),
            ("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address().into()),
            ("CABLED_RELAY", self.relay.url.to_string().into()),
            ("CABLED_CA", path("ca.pem")),
            ("CABLED_STORE", path("phone")),
        ]
    }

    /// Keeps what is on the screen, windows and all, under the next name.
    pub(crate) fn keep_screen(&mut self, what: &str) {
        let picture = Screen::open(Some(&self.display)).unwrap().capture().unwrap();
        picture.save(self.next_picture(what)).unwrap();
    }

    /// Keeps the page alone, in colour.
    pub(crate) async fn keep_page(&mut self, what: &str) {
        let picture = self.page.picture().await;
        std::fs::write(self.next_picture(what), picture).unwrap();
    }

    fn next_picture(&mut self, what: &str) -> PathBuf {
        self.pictures += 1;
        album().join(format!("{}-{:02}-{what}.png", self.name, self.pictures))
    }

    /// Presses a key in whatever window has the word, which may be the browser's own dialog.
    pub(crate) fn press(&self, key: &str) {
        let mut xdotool = Command::new("xdotool");
        let status = xdotool.args(["key", key]).env("DISPLAY", &self.display).status();
        assert!(status.expect("xdotool is needed (Debian package: xdotool)").success());
    }
}

/// A test that fails leaves a picture of what it saw last.
impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let picture = Screen::open(Some(&self.display)).and_then(|screen| screen.capture());
            let file = album().join(format!("{}-failed.png", self.name));
            let _best_effort = picture.map(|picture| picture.save(file));
        }
    }
}

/// The built example; `tests/run chromium` builds it.
fn example() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.pop();
    let example = folder.join("examples/relying_party");
    assert!(example.exists(), "build it first: cargo build --example relying_party");
    example
}

/// Chromium as a user starts it, but for a tunnel service on this machine, its certificate, a home
/// of its own and no other network.
fn chromium(folder: &Path, relay: &Service) -> Command {
    let mut command = Command::new("chromium");
    let service = format!("127.0.0.1:{}", relay.port);
    command.args([
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--ozone-platform=x11",
        "--window-position=0,0",
        "--window-size=1200,900",
        "--password-store=basic",
        "--remote-debugging-port=0",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.arg(format!(
        "--host-resolver-rules=MAP cable.ua5v.com {service}, MAP cable.auth.com {service}, \
         MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
    ));
    command.arg(format!("--ignore-certificate-errors-spki-list={}", relay.spki));
    command.arg("about:blank");
    command.env("HOME", folder).env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    command
}
