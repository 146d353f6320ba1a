//! Wrong use, and what cannot work from the start: two lines for people, one object for machines.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::program::{Program, binary, run};

const OPTIONS: &str = r#"{"rp":{"id":"shop.example","name":"Shop"},"user":{"id":"YQ","name":"a",
    "displayName":"A"},"challenge":"AAECAwQFBgcICQoLDA0ODw","pubKeyCredParams":[]}"#;

/// A code of a laptop that nobody sits at any more.
const NO_CODE: &str = "FIDO:/1234";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.file("pin", "314159");
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), private).unwrap();
        self.path(name)
    }

    fn air(&self) -> String {
        format!("air:{}", self.path("air"))
    }
}

/// Runs it for people and for machines; both must say the same.
fn fails(arguments: &[&str], status: i32, error: &str, hint: &str) {
    let (said, advised) = run(arguments).failed(status);
    assert!(said.contains(error), "{arguments:?}: {said}");
    assert!(advised.contains(hint), "{arguments:?}: {advised}");
    let mut machine = arguments.to_vec();
    machine.push("--json");
    let ended = run(&machine);
    let failure = ended.failed_in_json(status);
    assert_eq!((&failure["error"], &failure["hint"]), (&said.into(), &advised.into()));
}

#[test]
fn arguments_that_make_no_sense() {
    fails(&["frobnicate"], 2, "unrecognized subcommand 'frobnicate'", "see: cabled --help");
    fails(&["regsiter"], 2, "'regsiter'", "'register'");
    fails(&["register"], 2, "--options <FILE>", "see: cabled register --help");
    fails(
        &["register", "--rp-id", "a.example", "--qr", "ascii"],
        2,
        "ascii",
        "see: cabled register --help",
    );
    fails(
        &["sign-in", "--rp-id", "a.example", "--relay", "http://x"],
        2,
        "http://x",
        "see: cabled sign-in --help",
    );
    fails(&["sign-in", "--rp-id", "a.example", "--radio", "fm"], 2, "\"fm\" is no radio", "--help");
    fails(&["relay", "--tls-cert", "x"], 2, "certificate without its key", "give --tls-key too");
    fails(&["relay", "domain", "77"], 2, "77", "256 to 65535");
}

#[test]
fn options_that_browsers_refuse() {
    let place = Place::new();
    let options = place.file("options", OPTIONS);
    let register = |file: &str, origin: &str, status, error: &str, hint: &str| {
        fails(&["register", "--options", file, "--origin", origin], status, error, hint);
    };
    let (broken, empty) = (place.file("broken", "{"), place.file("empty", "{}"));
    register(&broken, "https://shop.example", 2, "not what WebAuthn defines", "unchanged");
    register(&empty, "https://shop.example", 2, "missing field", "unchanged");
    register(&options, "https://other.example", 2, "neither other.example nor", "check both");
    register(&options, "http://shop.example", 2, "neither https nor", "--origin");
    register(&options, "shop.example", 2, "not a URL", "--origin");
    register(&place.path("none"), "https://shop.example", 9, "cannot read", "name a file");
    let suffix = ["register", "--rp-id", "co.uk", "--origin", "https://www.co.uk"];
    fails(&suffix, 2, "public suffix", "belongs to the site alone");
    fails(&["sign-in", "--rp-id", "192.0.2.1"], 2, "IP address", "domain");
}

#[test]
fn radios_that_cannot_be_used() {
    let place = Place::new();
    #[cfg(not(feature = "bluetooth"))]
    fails(&["register", "--rp-id", "a.example"], 3, "only the simulated radio", "--radio air:DIR");
    let shared = place.path("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(Path::new(&shared), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (radio, relay) = (format!("air:{shared}"), "ws://127.0.0.1:9");
    let arguments = ["sign-in", "--rp-id", "a.example", "--radio", &radio, "--relay", relay];
    fails(&arguments, 3, "can be written by other users", "folder of your own");
    let arguments = ["sign-in", "--rp-id", "a.example", "--radio", &place.air()];
    fails(&arguments, 2, "simulated radio is not used with a public tunnel service", "--relay");
}

#[test]
fn a_code_that_cannot_be_shown() {
    let place = Place::new();
    let (air, qr) = (place.air(), format!("png:{}/x.png", place.path("none")));
    let arguments = [
        "register",
        "--rp-id",
        "a.example",
        "--radio",
        &air,
        "--relay",
        "ws://127.0.0.1:9",
        "--qr",
        &qr,
    ];
    fails(&arguments, 9, "No such file", "--qr terminal|url");
    assert_eq!(crate::world::scans(Path::new(&place.path("air"))), 0);
}

#[test]
fn relays_that_cannot_start() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails(&["relay", "--listen", &address], 5, "cannot listen on", "another address");
    fails(&["relay", "--listen", "0.0.0.0:0"], 2, "reachable from other machines", "--tls-cert");
    let (cert, key) = (place.path("cert"), place.path("key"));
    let arguments = ["relay", "--tls-cert", &cert, "--tls-key", &key];
    fails(&arguments, 9, "cannot set up TLS", "PEM");
}

#[test]
fn codes_that_are_none() {
    let place = Place::new();
    for (text, error, hint) in [
        ("https://shop.example", "FIDO:/", "FIDO:/"),
        ("FIDO:/12a4", "digit", "scan the code again"),
        (NO_CODE, "", ""),
        ("", "", ""),
    ] {
        fails(&["phone", "scan", text], 2, error, hint);
        fails(&["inspect", text], 2, error, hint);
    }
    let picture = place.file("picture.png", "no picture");
    fails(&["phone", "scan", "--image", &picture], 2, "picture", "PNG");
    fails(&["phone", "scan", "--image", &place.path("none")], 9, "", "--image");
}

pub(crate) fn code(shown_at: u64) -> String {
    let mut rng = crate::world::rng(11);
    let hint = cabled::hybrid::qr::Hint::MakeCredential;
    cabled::hybrid::client::QrOffer::new(&mut rng, hint, shown_at, false, false).contents.encode()
}

#[test]
fn a_phone_that_cannot_begin() {
    let place = Place::new();
    let (code, air, store, pin) = (code(0), place.air(), place.path("store"), place.path("pin"));
    let scan = |more: &[&str], status, error: &str, hint: &str| {
        let mut arguments =
            vec!["phone", "scan", &code, "--store", &store, "--auto-approve", "--any-age"];
        arguments.extend(more);
        fails(&arguments, status, error, hint);
    };
    #[cfg(not(feature = "bluetooth"))]
    scan(&["--pin-file", &pin], 3, "only the simulated radio", "--radio air:DIR");
    scan(&["--pin-file", &pin, "--radio", &air], 2, "public tunnel service", "--relay");
    // Nobody listens at the discard port of a test machine; if somebody did, it would be no relay.
    let there = ["--pin-file", &pin, "--radio", &air, "--relay", "ws://127.0.0.1:9"];
    scan(&there, 5, "cannot open a tunnel at ws://127.0.0.1:9", "tunnel service runs");
    let none = place.path("none");
    let elsewhere = ["--pin-file", &none, "--radio", &air, "--relay", "ws://127.0.0.1:9"];
    scan(&elsewhere, 9, "", "");
    let wrong = place.file("wrong", "271828");
    let arguments = [
        "phone",
        "scan",
        &code,
        "--store",
        &store,
        "--auto-approve",
        "--any-age",
        "--pin-file",
        &wrong,
        "--radio",
        &air,
        "--relay",
        "ws://127.0.0.1:9",
    ];
    let (error, hint) = run(&arguments).failed(8);
    assert!(error.contains("the PIN is wrong, 7 more tries"), "{error}");
    assert!(hint.contains("nothing is lost"), "{hint}");
    let arguments = [&arguments[..], &["--json"]].concat();
    assert_eq!(run(&arguments).failed_in_json(8)["cause"], "locked");
}

#[test]
fn a_code_of_long_ago() {
    let place = Place::new();
    let (code, store, pin) = (code(1_000), place.path("store"), place.path("pin"));
    let arguments =
        ["phone", "scan", &code, "--store", &store, "--auto-approve", "--pin-file", &pin];
    let (error, hint) = run(&arguments).failed(4);
    assert!(error.contains("too old"), "{error}");
    assert!(hint.contains("show a new code") && hint.contains("--any-age"), "{hint}");
    assert!(!Path::new(&store).exists());
}

#[test]
fn nobody_can_be_asked_without_a_terminal() {
    let place = Place::new();
    let mut command = Command::new("setsid");
    command.arg("--wait").arg(binary().get_program());
    command.args(["phone", "scan", &code(0), "--any-age", "--store", &place.path("store")]);
    command.args(["--radio", &place.air(), "--relay", "ws://127.0.0.1:9"]);
    let (error, hint) = Program::of(command).end().failed(2);
    assert!(error.contains("there is no terminal"), "{error}");
    assert!(hint.contains("--auto-approve and --pin-file"), "{hint}");
}

#[test]
fn a_fake_bluetooth_that_cannot_be() {
    let place = Place::new();
    let with = |radio: &str| ["testbed", "bluez", "--radio", radio].map(str::to_owned);
    let mut no_daemon = binary();
    let empty = tempfile::tempdir().unwrap();
    no_daemon.args(with(&place.air())).env("PATH", empty.path()).env("TMPDIR", empty.path());
    let (error, hint) = Program::of(no_daemon).end().failed(1);
    assert_eq!(
        (&*error, &*hint),
        ("dbus-daemon was not found", "install it; on Debian: apt install dbus")
    );
    assert!(std::fs::read_dir(empty.path()).unwrap().next().is_none());
    let (error, hint) = run(&with("bluez")).failed(2);
    assert_eq!(
        (&*error, &*hint),
        ("a fake Bluetooth needs a simulated radio", "use --radio air:DIR")
    );
}
