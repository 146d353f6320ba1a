//! Phones that are remembered with their key in a real GNOME Keyring: needs `dbus-daemon` and
//! `gnome-keyring-daemon`, so `tests/run desktop` alone runs it.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cabled::testbed::PrivateBus;

use crate::daemon::Laptop;
use crate::linked;
use crate::program::Program;
use crate::three::{Place, in_order};

/// A keyring that a login opened; it takes its name on the bus when it is open.
struct Keyring(Child);

impl Keyring {
    async fn start(place: &Place, bus: &PrivateBus) -> Self {
        let home = place.path("keyring");
        std::fs::create_dir_all(&home).unwrap();
        let mut daemon = Command::new("gnome-keyring-daemon");
        daemon.args(["--foreground", "--unlock", "--components=secrets"]);
        daemon.env("DBUS_SESSION_BUS_ADDRESS", bus.address()).env("HOME", &home);
        daemon.env("XDG_DATA_HOME", &home).env("XDG_RUNTIME_DIR", &home);
        daemon.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = Self(daemon.spawn().unwrap());
        keyring.0.stdin.take().unwrap().write_all(b"the login's password\n").unwrap();
        let client =
            zbus::connection::Builder::address(bus.address()).unwrap().build().await.unwrap();
        let names = zbus::fdo::DBusProxy::new(&client).await.unwrap();
        let open = async {
            let name = zbus::names::BusName::try_from("org.freedesktop.secrets").unwrap();
            while !names.name_has_owner(name.clone()).await.unwrap() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), open).await.unwrap();
        keyring
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped_already = self.0.wait();
    }
}

/// A laptop's command whose desktop is this bus; no file has the key.
fn laptop(place: &Place, bus: &PrivateBus, words: &[&str]) -> Program {
    let mut command = Laptop::at_home(place, words);
    command.env("DBUS_SESSION_BUS_ADDRESS", bus.address());
    Program::of(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs dbus-daemon and gnome-keyring-daemon: tests/run desktop"]
async fn a_desktops_keyring_has_the_key_of_the_phones() {
    let (place, bus) = (Place::new(), PrivateBus::start().await.unwrap());
    let keyring = Keyring::start(&place, &bus).await;
    let mut service = linked::phone(&place);
    let (radio, url) = (place.radio(), place.url.clone());
    let link = ["--radio", &radio, "--relay", &url];

    let register =
        ["register", "--rp-id", "contoso.com", "--user", "anna", "--qr", "url", "--remember"];
    let mut asking = laptop(&place, &bus, &[&register[..], &link].concat());
    let code = asking.begins("FIDO:/");
    linked::phones_command(&place, &["scan", &code, "--any-age"]).end().succeeded();
    in_order(
        &asking.end().succeeded(),
        &["Anna's phone is remembered; next time", "Passkey saved."],
    );
    service.says(|line| line.contains("\"listening\""));

    // Another process finds the key again, and what is sealed with it.
    let known = laptop(&place, &bus, &["phones", "list"]).end().succeeded();
    assert!(known.out.iter().any(|line| line.contains("Anna's phone")), "{known:#?}");
    let sign_in = ["sign-in", "--rp-id", "contoso.com", "--phone", "Anna's phone"];
    let rung = laptop(&place, &bus, &[&sign_in[..], &link].concat()).end().succeeded();
    in_order(&rung, &["Ringing your phone.", "Signed in."]);

    // Without the keyring nothing is lost, and it says what is missing.
    drop(keyring);
    let gone = laptop(&place, &bus, &["phones", "list"]).end();
    assert!(!gone.status.success(), "{gone:#?}");
    assert!(gone.err.iter().any(|line| line.contains("org.freedesktop.secrets")), "{gone:#?}");
    let _keyring = Keyring::start(&place, &bus).await;
    let known = laptop(&place, &bus, &["phones", "list"]).end().succeeded();
    assert!(known.out.iter().any(|line| line.contains("Anna's phone")), "{known:#?}");
}
