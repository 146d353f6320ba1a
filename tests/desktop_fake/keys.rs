//! Keys that open the store without the PIN: in a real GNOME Keyring, and sealed by this machine's systemd;
//! a keyring that asks its user is played.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{Pin, Store};
use cabled::desktop::Error;
use cabled::desktop::secrets::{Attributes, Secrets};
use cabled::testbed::PrivateBus;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tempfile::TempDir;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedObjectPath, OwnedValue, Value};

use crate::fake::{self, PATIENCE};

/// A home with a store, and the programs that are run in it.
struct Home {
    folder: TempDir,
    bus: Option<String>,
}

impl Home {
    fn new(bus: Option<&PrivateBus>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, "314159\n").unwrap();
        std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
        let weak = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let (pin, rng) = (Pin::new("314159".into()).unwrap(), &mut ChaCha20Rng::seed_from_u64(1));
        Store::create_with_cost(&folder.path().join("store"), &pin, weak, rng).unwrap();
        Self { folder, bus: bus.map(|bus| bus.address().to_owned()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        for name in
            ["DISPLAY", "WAYLAND_DISPLAY", "CABLED_STORE", "CABLED_PIN_FILE", "CABLED_SOCKET"]
        {
            command.env_remove(name);
        }
        let bus = self.bus.clone().unwrap_or_else(|| "unix:path=/nonexistent".to_owned());
        command.env("DBUS_SESSION_BUS_ADDRESS", bus).env("HOME", self.folder.path());
        command.env("XDG_DATA_HOME", self.path("data")).env("XDG_RUNTIME_DIR", self.path("run"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn phone(&self, words: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_cabled"));
        command.arg("phone").args(words).arg("--store").arg(self.path("store"));
        command
    }

    fn with_pin(&self, words: &[&str]) -> Output {
        self.phone(words).arg("--pin-file").arg(self.path("pin")).output().unwrap()
    }

    /// Whether the service starts with the passkeys open, and what it noted.
    fn starts_open(&self, more: &[&str]) -> (bool, String) {
        self.starts_open_with(more, &std::env::var("PATH").unwrap())
    }

    fn starts_open_with(&self, more: &[&str], programs: &str) -> (bool, String) {
        let air = format!("air:{}", self.path("air").display());
        let mut command = self.phone(&["run", "--json", "--radio", &air]);
        command.args(["--relay", "ws://127.0.0.1:1", "--socket"]).arg(self.path("run/socket"));
        let mut child = command.args(more).env("PATH", programs).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = loop {
            let line = lines.next().unwrap().unwrap();
            said.push_str(&line);
            if line.contains("\"serving\"") {
                break line;
            }
        };
        let stop = format!("kill -TERM {}", child.id());
        assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
        (serving.contains("\"locked\":false"), said)
    }
}

fn worked(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said + &String::from_utf8_lossy(&output.stdout)
}

struct Keyring(Child);

impl Keyring {
    /// A keyring that a login opened.
    fn start(home: &Home) -> Self {
        std::fs::create_dir_all(home.path("run")).unwrap();
        let mut daemon = home.program("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = daemon.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"the login's password\n").unwrap();
        Self(child)
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

/// The same life for a key in each place.
fn a_key_opens_until_it_is_removed(home: &Home, place: &str) {
    assert!(!home.starts_open(&[]).0, "nothing but the PIN opens it");
    worked(&home.with_pin(&["store", "keys", "add", place]));
    let listed = worked(&home.phone(&["store", "keys", "list"]).output().unwrap());
    assert!(listed.contains(&format!("{place}, since 20")), "{listed}");
    let (open, said) = home.starts_open(&[]);
    assert!(open, "{said}");
    for option in ["--no-keys", "--locked"] {
        assert!(!home.starts_open(&[option]).0, "{option}");
    }
    // Added once more, the new one takes the old one's place.
    worked(&home.with_pin(&["store", "keys", "add", place]));
    assert!(home.starts_open(&[]).0);
    worked(&home.with_pin(&["store", "keys", "remove", place]));
    let (open, said) = home.starts_open(&[]);
    assert!(!open && !said.contains("note"), "{said}");
    let again = home.with_pin(&["store", "keys", "remove", place]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(2) && said.contains("there is no key in"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desktops_keyring_keeps_a_key() {
    let bus = PrivateBus::start().await.unwrap();
    let home = Home::new(Some(&bus));
    let keyring = Keyring::start(&home);
    let ready = async {
        // It takes its name when its keyring is open.
        let client = fake::client(&bus).await;
        let names = zbus::fdo::DBusProxy::new(&client).await.unwrap();
        let name = zbus::names::BusName::try_from("org.freedesktop.secrets").unwrap();
        while !names.name_has_owner(name.clone()).await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
    let home = tokio::task::spawn_blocking(move || {
        a_key_opens_until_it_is_removed(&home, "secret-service");
        worked(&home.with_pin(&["store", "keys", "add", "secret-service"]));
        home
    });
    let home = home.await.unwrap();
    // What the keyring has belongs to this store, and is found there by its attributes.
    let place = home.path("store").canonicalize().unwrap().display().to_string();
    let attributes =
        Attributes::from([("xdg:schema", "org.cabled.UnlockKey"), ("store", place.as_str())]);
    let mut secrets = Secrets::open(&fake::at(&bus)).await.unwrap();
    assert_eq!(secrets.find(&attributes).await.unwrap().unwrap().len(), 32);
    assert!(secrets.forget(&attributes).await.unwrap());
    assert!(secrets.find(&attributes).await.unwrap().is_none());
    assert!(!secrets.forget(&attributes).await.unwrap());
    drop(secrets);
    let gone = tokio::task::spawn_blocking(move || {
        let (open, said) = home.starts_open(&[]);
        assert!(!open && said.contains("it is not there any more"), "{said}");
        drop(keyring);
        let (open, said) = home.starts_open(&[]);
        assert!(!open && said.contains("org.freedesktop.secrets is not there"), "{said}");
    });
    gone.await.unwrap();
}

#[test]
fn this_machine_seals_a_key() {
    let home = Home::new(None);
    a_key_opens_until_it_is_removed(&home, "systemd-creds");
    worked(&home.with_pin(&["store", "keys", "add", "systemd-creds"]));
    let sealed = home.path("store/unlock-key.cred");
    assert_eq!(std::fs::metadata(&sealed).unwrap().permissions().mode() & 0o777, 0o600);
    // One of another store opens nothing here, and one that is damaged does not either.
    let other = Home::new(None);
    worked(&other.with_pin(&["store", "keys", "add", "systemd-creds"]));
    std::fs::copy(other.path("store/unlock-key.cred"), &sealed).unwrap();
    let (open, said) = home.starts_open(&[]);
    assert!(!open && said.contains("does not open"), "{said}");
    std::fs::write(&sealed, "damaged").unwrap();
    let (open, said) = home.starts_open(&[]);
    assert!(!open && said.contains("systemd-creds does not do it"), "{said}");
    let (open, said) = home.starts_open_with(&[], "/nonexistent");
    assert!(!open && said.contains("there is no program systemd-creds"), "{said}");
}

/// A keyring that asks its user before it opens.
struct Asks;

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).unwrap()
}

#[zbus::interface(name = "org.freedesktop.Secret.Service")]
impl Asks {
    fn open_session(&self, _kind: String, _input: OwnedValue) -> (OwnedValue, OwnedObjectPath) {
        (Value::from("").try_to_owned().unwrap(), path("/session"))
    }

    fn search_items(
        &self,
        _attributes: std::collections::HashMap<String, String>,
    ) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        (vec![], vec![path("/item")])
    }

    fn unlock(&self, _objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        (vec![], path("/prompt"))
    }

    fn read_alias(&self, _name: String) -> OwnedObjectPath {
        path("/")
    }
}

struct Dialog {
    dismissed: bool,
}

#[zbus::interface(name = "org.freedesktop.Secret.Prompt")]
impl Dialog {
    async fn prompt(
        &self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        _window: String,
    ) -> zbus::fdo::Result<()> {
        Self::completed(&emitter, self.dismissed, Value::from("")).await?;
        Ok(())
    }

    #[zbus(signal)]
    async fn completed(
        emitter: &SignalEmitter<'_>,
        dismissed: bool,
        result: Value<'_>,
    ) -> zbus::Result<()>;
}

struct Item;

#[zbus::interface(name = "org.freedesktop.Secret.Item")]
impl Item {
    fn get_secret(
        &self,
        session: OwnedObjectPath,
    ) -> ((OwnedObjectPath, Vec<u8>, Vec<u8>, String),) {
        ((session, vec![], vec![7; 32], "text/plain".to_owned()),)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyring_that_asks_is_waited_for() {
    for dismissed in [false, true] {
        let bus = PrivateBus::start().await.unwrap();
        let server = fake::client(&bus).await;
        let objects = server.object_server();
        objects.at("/org/freedesktop/secrets", Asks).await.unwrap();
        objects.at("/prompt", Dialog { dismissed }).await.unwrap();
        objects.at("/item", Item).await.unwrap();
        server.request_name("org.freedesktop.secrets").await.unwrap();
        let mut secrets = Secrets::open(&fake::at(&bus)).await.unwrap();
        let attributes = Attributes::from([("store", "/somewhere")]);
        let found = tokio::time::timeout(PATIENCE, secrets.find(&attributes)).await.unwrap();
        match dismissed {
            false => assert_eq!(&found.unwrap().unwrap()[..], &[7; 32]),
            true => assert!(matches!(found, Err(Error::Dismissed(_)))),
        }
        let kept = secrets.keep("label", &attributes, b"secret").await;
        assert!(matches!(kept, Err(Error::NoKeyring)), "there is no default one");
    }
}
