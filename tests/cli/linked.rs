//! Phones that are remembered, as people use them: one code, and then `--phone`, alone and through the daemon.

use serde_json::Value;

use crate::daemon::Laptop;
use crate::program::{Ended, Program};
use crate::three::{Place, in_order};

/// The phone's service, serving, whose owner agrees to everything.
pub(crate) fn phone(place: &Place) -> Program {
    service(place, &["--auto-approve"])
}

/// The phone's service, serving.
pub(crate) fn service(place: &Place, more: &[&str]) -> Program {
    let (radio, store, pin) = (place.radio(), place.path("store"), place.path("pin"));
    let socket = place.path("run/phone.sock");
    let words = ["phone", "--store", &store, "--pin-file", &pin, "--socket", &socket, "run"];
    let link = ["--json", "--radio", &radio, "--relay", &place.url, "--name", "Anna's phone"];
    let mut phone = Program::start(&[&words[..], &link, more].concat());
    phone.says(|line| line.contains("\"serving\""));
    phone
}

fn told(place: &Place, words: &[&str]) -> Ended {
    phones_command(place, words).end()
}

/// A command that speaks to the phone's service.
pub(crate) fn phones_command(place: &Place, words: &[&str]) -> Program {
    let (socket, pin, store) =
        (place.path("run/phone.sock"), place.path("pin"), place.path("store"));
    let place = ["--socket", &socket, "--store", &store, "--pin-file", &pin];
    Program::start(&[&["phone"][..], words, &place].concat())
}

/// A first registration by a code, after which the laptop remembers the phone.
pub(crate) fn remembers(place: &Place, service: &mut Program) -> Ended {
    let register = ["register", "--rp-id", "contoso.com", "--user", "anna", "--qr", "url"];
    let mut asking = laptop(place, &[&register[..], &["--remember"]].concat());
    let code = asking.begins("FIDO:/");
    told(place, &["scan", &code, "--any-age"]).succeeded();
    let asked = asking.end().succeeded();
    service.says(|line| line.contains("\"wants-link\""));
    service.says(|line| line.contains("\"listening\""));
    asked
}

/// The laptop's daemon, which has the key of the phones too.
pub(crate) fn daemon(place: &Place) -> Program {
    let (radio, key, socket) = (place.radio(), place.path("key"), place.path("run/laptop.sock"));
    let daemon = ["daemon", "--json", "--radio", &radio, "--relay", &place.url];
    let daemon = [&daemon[..], &["--socket", &socket, "--phones-key", &key]].concat();
    let mut daemon = Program::of(Laptop::at_home(place, &daemon));
    daemon.says(|line| line.contains("\"serving\""));
    daemon
}

/// A laptop's command that finds its phones by the key in a file.
fn laptop(place: &Place, words: &[&str]) -> Program {
    let (radio, key) = (place.radio(), place.path("key"));
    let link = ["--radio", &radio, "--relay", &place.url, "--phones-key", &key];
    Program::of(Laptop::at_home(place, &[words, &link].concat()))
}

fn phones(place: &Place, words: &[&str]) -> Ended {
    let key = place.path("key");
    let words = [&["phones"][..], words, &["--phones-key", &key]].concat();
    Program::of(Laptop::at_home(place, &words)).end()
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out[0]).unwrap()
}

#[test]
fn a_phone_is_remembered_once_and_rung_from_then_on() {
    let place = Place::new();
    let mut service = phone(&place);
    let none = phones(&place, &["list"]).succeeded();
    assert!(none.err[0].starts_with("This computer remembers no phone."), "{none:#?}");

    let asked = remembers(&place, &mut service);
    in_order(
        &asked,
        &["Follow the steps", "Anna's phone is remembered; next time", "Passkey saved."],
    );

    let sign_in = ["sign-in", "--rp-id", "contoso.com", "--phone", "Anna's phone"];
    let rung = laptop(&place, &sign_in).end().succeeded();
    in_order(&rung, &["Ringing your phone.", "Connecting", "Connected", "Signed in."]);
    assert!(!rung.err.iter().any(|line| line.contains("Scan this code")), "{rung:#?}");
    assert_eq!(json(&rung)["type"], "public-key");
    let link = &json(&told(&place, &["links", "list", "--json"]).succeeded())["links"][0];
    assert!(link["rungAt"].is_u64() && link["rpId"] == "contoso.com", "{link}");

    // Through the daemon, which has the key too.
    let (daemon, socket) = (daemon(&place), place.path("run/laptop.sock"));
    let through = |words: &[&str]| {
        let mut command = Laptop::at_home(&place, words);
        command.env("CABLED_DAEMON_SOCKET", &socket);
        Program::of(command).end()
    };
    let rung = through(&sign_in).succeeded();
    in_order(&rung, &["Ringing your phone.", "Signed in."]);
    through(&["phones", "rename", "Anna's phone", "pixel"]).succeeded();
    let (error, _) = through(&sign_in).failed(2);
    assert_eq!(error, "no linked phone is called Anna's phone");
    let known = json(&through(&["phones", "list", "--json"]).succeeded());
    assert_eq!(known["phones"][0]["name"], "pixel");
    assert_eq!(known["phones"][0]["ownName"], "Anna's phone");
    drop(daemon);

    // A phone that is off is out of reach, and not forgotten.
    drop(service);
    let sign_in = ["sign-in", "--rp-id", "contoso.com", "--phone", "pixel"];
    let (error, _) = laptop(&place, &sign_in).end().failed(4);
    assert_eq!(error, "the phone does not listen now");
    let known = json(&phones(&place, &["list", "--json"]).succeeded());
    assert_eq!(known["phones"].as_array().unwrap().len(), 1);
    phones(&place, &["forget", "pixel"]).succeeded();
    let (error, hint) = laptop(&place, &sign_in).end().failed(2);
    assert_eq!(error, "no linked phone is called pixel");
    assert_eq!(hint, "see: cabled phones list");
    assert!(place.is_quiet());
}

#[test]
fn what_is_wrong_with_the_key_is_said() {
    let place = Place::new();
    let mut service = phone(&place);
    let register = ["register", "--rp-id", "contoso.com", "--user", "anna", "--qr", "url"];
    std::fs::write(place.path("key"), "no key").unwrap();
    let mut asking = laptop(&place, &[&register[..], &["--remember"]].concat());
    let code = asking.begins("FIDO:/");
    told(&place, &["scan", &code, "--any-age"]).succeeded();
    // The passkey is good all the same.
    let asked = asking.end().succeeded();
    let told_so = "Anna's phone agreed to be remembered, but the key of the linked phones";
    in_order(&asked, &[told_so, "Passkey saved."]);
    service.says(|line| line.contains("\"listening\""));
    assert!(phones(&place, &["list"]).succeeded().err[0].starts_with("This computer remembers"));

    let (error, _) = told(&place, &["links", "forget", "zz"]).failed(2);
    assert_eq!(error, "\"zz\" is the beginning of no ID, or of several");
    let links = json(&told(&place, &["links", "list", "--json"]).succeeded());
    let id = links["links"][0]["linkId"].as_str().unwrap().to_owned();
    told(&place, &["links", "forget", &id[..6]]).succeeded();
    let none = told(&place, &["links", "list"]).succeeded();
    assert_eq!(none.err, ["This phone remembers no computer."]);
}
