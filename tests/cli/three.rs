//! Relay, laptop and phone, each a process of its own, as in three terminals.

use cabled::cli::relying_party::{Account, RelyingParty};
use serde_json::Value;

use crate::program::{Ended, Program, run};
use crate::world::{ORIGIN, inner, scans, site};

/// A machine on which the three run.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) relay: Program,
    pub(crate) url: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, "314159\n").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&pin, private).unwrap();
        let (relay, url) = relay(&[]);
        Self { folder, relay, url }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn radio(&self) -> String {
        format!("air:{}", self.path("air"))
    }

    /// The laptop with these options of a web site, up to the code.
    pub(crate) fn laptop(&self, command: &str, options: &str, more: &[&str]) -> (Program, String) {
        let file = self.path("options.json");
        std::fs::write(&file, options).unwrap();
        let radio = self.radio();
        let mut arguments = vec![command, "--options", &file, "--origin", ORIGIN];
        arguments.extend(["--radio", &radio, "--relay", &self.url, "--qr", "url"]);
        arguments.extend(more);
        let mut laptop = Program::start(&arguments);
        let code = laptop.begins("FIDO:/");
        (laptop, code)
    }

    /// The same for machines.
    pub(crate) fn laptop_in_json(&self, command: &str, options: &str, more: &[&str]) -> Program {
        let file = self.path("options.json");
        std::fs::write(&file, options).unwrap();
        let radio = self.radio();
        let mut arguments = vec![command, "--options", &file, "--origin", ORIGIN, "--json"];
        arguments.extend(["--radio", &radio, "--relay", &self.url]);
        arguments.extend(more);
        Program::start(&arguments)
    }

    pub(crate) fn phone(&self, code: &str, more: &[&str]) -> Program {
        let (radio, store, pin) = (self.radio(), self.path("store"), self.path("pin"));
        let mut arguments = vec!["phone", "scan", code, "--radio", &radio, "--relay", &self.url];
        arguments.extend(["--store", &store, "--pin-file", &pin, "--auto-approve"]);
        // The library's laptops have a clock of their own.
        arguments.push("--any-age");
        arguments.extend(more);
        Program::start(&arguments)
    }

    pub(crate) fn passkeys(&self, arguments: &[&str]) -> Ended {
        let (store, pin) = (self.path("store"), self.path("pin"));
        let mut all = vec!["phone", "passkeys"];
        all.extend(arguments);
        all.extend(["--store", &store, "--pin-file", &pin]);
        run(&all)
    }

    pub(crate) fn listed(&self) -> Vec<Value> {
        let list = self.passkeys(&["list", "--json"]).succeeded();
        let list: Value = serde_json::from_str(&list.out[0]).unwrap();
        list["passkeys"].as_array().unwrap().clone()
    }

    pub(crate) fn is_quiet(&self) -> bool {
        scans(&self.folder.path().join("air")) == 0
    }
}

pub(crate) fn relay(arguments: &[&str]) -> (Program, String) {
    let mut all = vec!["relay"];
    all.extend(arguments);
    let mut relay = Program::start(&all);
    let line = relay.says(|_| true);
    (relay, line.strip_prefix("listening on ").unwrap().to_owned())
}

pub(crate) fn in_order(ended: &Ended, wanted: &[&str]) {
    let mut lines = ended.err.iter();
    for wanted in wanted {
        assert!(lines.any(|line| line.contains(wanted)), "{wanted:?} is missing in {ended:#?}");
    }
}

pub(crate) fn register(place: &Place, site: &mut RelyingParty) {
    let (options, ceremony) = site.begin_registration().unwrap();
    let (laptop, code) = place.laptop("register", &inner(&options), &[]);
    let phone = place.phone(&code, &[]);
    let laptop = laptop.end().succeeded();
    assert_eq!(laptop.out.len(), 1, "{laptop:#?}");
    let verified = site.finish_registration(ceremony, &laptop.out[0]).unwrap();
    assert!(verified.user_verified);
    in_order(
        &laptop,
        &[
            "FIDO:/",
            "Scan this code with your phone's camera",
            "Connecting to your phone",
            "Follow the steps on your phone",
            "Passkey saved",
        ],
    );
    let phone = phone.end().succeeded();
    assert!(phone.out.is_empty(), "{phone:#?}");
    in_order(&phone, &["tunnel", "Bluetooth", "Connected to the laptop", "Passkey saved", "got"]);
}

#[test]
fn a_registration_and_sign_ins_are_verified() {
    let place = Place::new();
    let mut site = site("anna");
    register(&place, &mut site);
    for account in [Account::FromPasskey, Account::Known] {
        let (options, ceremony) = site.begin_sign_in(account).unwrap();
        let (laptop, code) = place.laptop("sign-in", &inner(&options), &[]);
        let phone = place.phone(&code, &[]);
        let laptop = laptop.end().succeeded();
        site.finish_sign_in(ceremony, &laptop.out[0]).unwrap();
        in_order(&laptop, &["Follow the steps on your phone", "Signed in"]);
        in_order(&phone.end().succeeded(), &["Signed in to passkeys.example", "got"]);
    }
    assert!(place.is_quiet());
    let listed = serde_json::to_string(&place.listed()).unwrap();
    assert!(listed.contains("\"used\"") && listed.contains("passkeys.example"), "{listed}");
    place.relay.signal("INT");
    place.relay.end().succeeded();
}

#[test]
fn machines_read_every_line() {
    let place = Place::new();
    let site = site("anna");
    let (options, _) = site.begin_registration().unwrap();
    let mut laptop = place.laptop_in_json("register", &inner(&options), &[]);
    let line: Value = serde_json::from_str(&laptop.tells(|line| line.contains("FIDO:/"))).unwrap();
    let phone = place.phone(line["text"].as_str().unwrap(), &["--json"]);
    let (laptop, phone) = (laptop.end().succeeded(), phone.end().succeeded());
    let parse = |lines: &[String]| -> Vec<Value> {
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let events = parse(&laptop.err);
    assert!(events.iter().all(|line| line["v"] == 1 && line["event"].is_string()), "{laptop:#?}");
    assert_eq!(events.last().unwrap()["event"], "registered");
    assert_eq!(parse(&laptop.out)[0]["type"], "public-key");
    let events = parse(&phone.out);
    assert!(events.iter().all(|line| line["v"] == 1 && line["event"].is_string()), "{phone:#?}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["acknowledged"]), (&"result".into(), &true.into()));
}

#[test]
fn a_phone_without_a_passkey_and_a_phone_that_has_one_say_so() {
    let place = Place::new();
    let mut site = site("anna");
    let options = crate::world::request_for(&[], serde_json::json!({}));
    let (laptop, code) = place.laptop("sign-in", &options, &[]);
    let phone = place.phone(&code, &[]);
    let (error, hint) = laptop.end().failed(6);
    assert!(error.contains("no passkey for this site"), "{error}");
    assert!(hint.contains("register a passkey first"), "{hint}");
    let (error, _) = phone.end().failed(6);
    assert!(error.contains("no passkey for passkeys.example"), "{error}");

    register(&place, &mut site);
    let (options, _) = site.begin_registration().unwrap();
    let (laptop, code) = place.laptop("register", &inner(&options), &[]);
    let phone = place.phone(&code, &[]);
    let (error, hint) = laptop.end().failed(6);
    assert!(error.contains("already has a passkey for this account"), "{error}");
    assert!(hint.contains("orphan"), "{hint}");
    let (error, _) = phone.end().failed(6);
    assert!(error.contains("already"), "{error}");
    assert_eq!(place.listed().len(), 1);
}

#[test]
fn the_laptop_cannot_reach_what_the_phone_reaches() {
    let place = Place::new();
    let options = crate::world::options_for("anna", serde_json::json!({}));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("ws://{}", closed.local_addr().unwrap());
    drop(closed);
    let (_other, elsewhere) = relay(&[]);
    for (url, error, hint) in [
        (&nowhere, "Connection refused", "check that the tunnel service runs"),
        (&elsewhere, "404", "both sides use the same --relay"),
    ] {
        let file = place.path("options.json");
        std::fs::write(&file, &options).unwrap();
        let radio = place.radio();
        let mut laptop = Program::start(&[
            "register",
            "--options",
            &file,
            "--origin",
            ORIGIN,
            "--radio",
            &radio,
            "--relay",
            url,
            "--qr",
            "url",
        ]);
        let mut phone = place.phone(&laptop.begins("FIDO:/"), &[]);
        let (said, advised) = laptop.end().failed(5);
        assert!(said.contains(error) && said.contains(&url[..]), "{said}");
        assert!(advised.contains(hint), "{advised}");
        phone.begins("Showing");
        phone.signal("INT");
        phone.end().failed(130);
    }
    assert!(place.listed().is_empty() && place.is_quiet());
}
