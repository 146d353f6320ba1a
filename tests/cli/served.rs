//! The commands of the phone by way of a running service: the same work, the same words, the same exit
//! status as without one.

use std::path::Path;

use cabled::authenticator::passkey::{Backup, CredProtect, Origin, Passkey, PrfSeeds};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{CredentialId, PasskeyStore as _, Pin, Store, Timestamp};
use cabled::cli::relying_party::Account;
use cabled::ctap::{RpEntity, UserEntity};
use cabled::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::Value;

use crate::program::{Ended, Program, run};
use crate::terminal::OnTerminal;
use crate::three::{Place, in_order};
use crate::world::{inner, options_for, site};

/// An age key that was made for these tests.
const RECIPIENT: &str = "age1gxej4kw706hk55sg4n3r6gfyrlz2wa50e9hfd53ulvny5ju2vdyq90vnmz";
const IDENTITY: &str = "AGE-SECRET-KEY-1EDD56TGWMAKRC9Z3TSC4EV3HCJ2KSU9X8MAQZK7KULM0U4UK87CQYHKJ5Z";

/// A place where the phone runs as a service.
struct Served {
    place: Place,
    _service: Program,
}

impl Served {
    fn start() -> Self {
        Self::over(Place::new())
    }

    fn over(place: Place) -> Self {
        Self::with(place, &[])
    }

    fn with(place: Place, more: &[&str]) -> Self {
        let (radio, pin) = (place.radio(), place.path("pin"));
        let mut words = vec!["phone", "run", "--json", "--radio", &radio, "--relay", &place.url];
        words.extend(["--pin-file", &pin]);
        let (socket, store) = (place.path("run/phone.sock"), place.path("store"));
        words.extend(["--socket", &socket, "--store", &store]);
        words.extend(more);
        let mut service = Program::start(&words);
        service.says(|line| line.contains("\"serving\""));
        Self { place, _service: service }
    }

    /// A command with no store and no PIN of its own.
    fn bare(&self, words: &[&str]) -> Vec<String> {
        let socket = self.place.path("run/phone.sock");
        let all = ["phone"].iter().chain(words).map(|word| (*word).to_owned());
        all.chain(["--socket".to_owned(), socket]).collect()
    }

    fn phone(&self, words: &[&str]) -> Ended {
        run(&self.bare(words))
    }

    fn with_pin(&self, words: &[&str]) -> Ended {
        let pin = self.place.path("pin");
        self.phone(&[words, &["--pin-file", &pin]].concat())
    }

    fn scan(&self, code: &str, more: &[&str]) -> Program {
        let pin = self.place.path("pin");
        let words = ["scan", code, "--any-age", "--auto-approve", "--pin-file", &pin];
        Program::start(&self.bare(&[&words, more].concat()))
    }

    fn listed(&self) -> Vec<Value> {
        let list = last(&self.phone(&["passkeys", "list", "--json"]).succeeded());
        list["passkeys"].as_array().unwrap().clone()
    }
}

fn last(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.last().unwrap()).unwrap()
}

#[test]
fn passkeys_are_made_named_moved_and_used() {
    let served = Served::start();
    let (place, mut anna) = (&served.place, site("anna"));
    let (options, ceremony) = anna.begin_registration().unwrap();
    let (laptop, code) = place.laptop("register", &inner(&options), &[]);
    let phone = served.scan(&code, &["--json"]);
    let laptop = laptop.end().succeeded();
    anna.finish_registration(ceremony, &laptop.out[0]).unwrap();
    let result = last(&phone.end().succeeded());
    assert_eq!((&result["event"], &result["outcome"]), (&"result".into(), &"registered".into()));
    assert_eq!((&result["acknowledged"], &result["status"]), (&true.into(), &0.into()));
    assert_eq!(result["rpId"], "passkeys.example");

    let id = served.listed()[0]["id"].as_str().unwrap().to_owned();
    served.phone(&["passkeys", "rename", &id[..8], "work"]).succeeded();
    let shown = served.phone(&["passkeys", "show", &id[..8]]).succeeded();
    assert!(shown.out.iter().any(|line| line == "Name:      work"), "{shown:#?}");
    let none = served.phone(&["passkeys", "orphans", "--json"]).succeeded();
    assert_eq!(last(&none)["orphans"], serde_json::json!([]));

    // Out to a file and in from it again, as on another phone.
    let file = place.path("moving.age");
    let wrong = place.path("wrong");
    std::fs::write(&wrong, "271828\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&wrong, private).unwrap();
    let export = ["export", file.as_str(), "--recipient", RECIPIENT];
    let with_wrong = [&export[..], &["--pin-file", &wrong]].concat();
    let (error, hint) = served.phone(&with_wrong).failed(8);
    assert!(error.contains("wrong PIN") || error.contains("PIN"), "{error}");
    assert!(hint.contains("nothing is lost"), "{hint}");
    assert!(!Path::new(&file).exists());
    let bad = ["export", file.as_str(), "--recipient", "age1nobody"];
    let (error, _) = served.with_pin(&bad).failed(2);
    assert!(error.contains("no age key"), "{error}");
    served.with_pin(&export).succeeded();
    let (error, _) = served.with_pin(&export).failed(9);
    assert!(error.contains("already is a file"), "{error}");
    let backed_up = {
        let (options, ceremony) = anna.begin_sign_in(Account::FromPasskey).unwrap();
        let (laptop, code) = place.laptop("sign-in", &inner(&options), &[]);
        let phone = served.scan(&code, &[]);
        let laptop = laptop.end().succeeded();
        in_order(&phone.end().succeeded(), &["Signed in to passkeys.example", "got the answer"]);
        anna.finish_sign_in(ceremony, &laptop.out[0]).unwrap();
        laptop.out[0].clone()
    };
    assert_eq!(flags(&backed_up) & 0x18, 0x18, "eligible for backup, and backed up");
    served.phone(&["passkeys", "delete", &id, "--yes"]).succeeded();
    assert!(served.listed().is_empty());
    let identity = place.path("identity");
    std::fs::write(&identity, format!("# made for a test\n{IDENTITY}\n")).unwrap();
    let import = ["import", file.as_str(), "--identity", &identity, "--yes", "--json"];
    let imported = last(&served.phone(&import).succeeded());
    assert_eq!(imported["passkeys"].as_array().unwrap().len(), 1);
    let again = last(&served.phone(&import).succeeded());
    assert_eq!(again["skipped"][0]["reason"], "already-here");
    let (options, ceremony) = anna.begin_sign_in(Account::Known).unwrap();
    let (laptop, code) = place.laptop("sign-in", &inner(&options), &[]);
    let phone = served.scan(&code, &[]);
    let laptop = laptop.end().succeeded();
    phone.end().succeeded();
    anna.finish_sign_in(ceremony, &laptop.out[0]).unwrap();
    assert!(place.is_quiet());
}

/// The flags of the authenticator data in an answer.
fn flags(answer: &str) -> u8 {
    use base64::Engine as _;
    let answer: Value = serde_json::from_str(answer).unwrap();
    let data = answer["response"]["authenticatorData"].as_str().unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(data).unwrap()[32]
}

fn orphan(id: u8) -> Passkey {
    Passkey {
        id: CredentialId::from_bytes(&[id; 32]).unwrap(),
        rp: RpEntity { id: "contoso.com".into(), name: None },
        user: UserEntity { id: vec![id], name: Some("anna".into()), display_name: None },
        private_key: Secret::new([1; 32]),
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: PrfSeeds { verified: Secret::new([2; 32]), unverified: Secret::new([3; 32]) },
        cred_blob: None,
        large_blob: None,
        large_blob_key: None,
        backup: Backup::ELIGIBLE,
        origin: Origin::Made,
        label: None,
        created_at: Timestamp(1_666_589_051),
        delivered_at: None,
        last_used_at: None,
        replaces: vec![],
    }
}

#[test]
fn orphans_are_explained_and_pruned() {
    let place = Place::new();
    let weak = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
    let (pin, rng) = (Pin::new("314159".into()).unwrap(), &mut ChaCha20Rng::seed_from_u64(1));
    let store = Path::new(&place.path("store")).to_owned();
    let store = Store::create_with_cost(&store, &pin, weak, rng).unwrap();
    // More than one request names.
    let all: Vec<_> = (0..=255)
        .map(orphan)
        .chain([{
            let mut taken = orphan(1);
            taken.id = CredentialId::from_bytes(&[1; 16]).unwrap();
            taken.delivered_at = Some(Timestamp(1_666_589_060));
            taken
        }])
        .collect();
    all.iter().for_each(|passkey| store.save(passkey, rng).unwrap());
    drop(store);
    let served = Served::over(place);
    let explained = last(&served.phone(&["passkeys", "orphans", "--json"]).succeeded());
    assert_eq!(explained["orphans"].as_array().unwrap().len(), 256);
    assert_eq!(explained["orphans"][0]["cause"], "unconfirmed");
    let (error, hint) = served.phone(&["passkeys", "prune"]).failed(2);
    assert!(error.contains("nobody can be asked") && hint.contains("--yes"), "{error} {hint}");
    let pruned = last(&served.phone(&["passkeys", "prune", "--yes", "--json"]).succeeded());
    assert_eq!(pruned["passkeys"].as_array().unwrap().len(), 256);
    assert_eq!(served.listed().len(), 1);
    let pruned = served.phone(&["passkeys", "prune", "--unused", "--yes", "--json"]);
    assert_eq!(last(&pruned.succeeded())["passkeys"].as_array().unwrap().len(), 1);
    assert!(served.listed().is_empty());
}

#[test]
fn a_store_that_is_named_is_the_one_that_is_meant() {
    let served = Served::start();
    let other = served.place.path("other");
    let (error, _) = served.with_pin(&["passkeys", "list", "--store", &other]).failed(9);
    assert!(error.contains("no passkey store"), "{error}");
    // By whatever name.
    let same = format!("{}/../store", served.place.path("store"));
    served.phone(&["passkeys", "list", "--store", &same]).succeeded();
}

#[test]
fn the_pin_changes() {
    let served = Served::start();
    let new = served.place.path("new");
    std::fs::write(&new, "a newer PIN\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&new, private).unwrap();
    served.with_pin(&["pin", "--new-pin-file", &new]).succeeded();
    let (error, _) = served.with_pin(&["unlock"]).failed(8);
    assert!(error.contains("PIN"), "{error}");
    served.phone(&["unlock", "--pin-file", &new]).succeeded();
}

/// A registration whose question is on a terminal, and the laptop.
fn asked(served: &Served) -> (OnTerminal, Program) {
    let options = options_for("anna", serde_json::json!({}));
    let (laptop, code) = served.place.laptop("register", &options, &[]);
    let words = served.bare(&["scan", &code, "--any-age"]).join(" ");
    let mut terminal = OnTerminal::start(&words);
    terminal.until("Save the passkey? [y/N] ");
    for text in [
        "A laptop nearby wants to save a passkey for passkeys.example",
        "anna",
        "did you start this?",
    ] {
        assert!(terminal.seen.contains(text), "{}", terminal.seen);
    }
    (terminal, laptop)
}

#[test]
fn the_question_is_answered_on_the_terminal() {
    let served = Served::start();
    let (mut terminal, laptop) = asked(&served);
    terminal.types("y\r");
    for pin in ["271828\r", "314159\r"] {
        terminal.seen.clear();
        terminal.until("PIN, to prove that it is you: ");
        terminal.types(pin);
    }
    let (status, seen) = terminal.end();
    assert_eq!(status, Some(0), "{seen}");
    assert!(
        seen.contains("Sorry, ") && seen.contains("Passkey saved for passkeys.example"),
        "{seen}"
    );
    laptop.end().succeeded();

    let (mut terminal, laptop) = asked(&served);
    terminal.types("n\r");
    let (status, seen) = terminal.end();
    assert_eq!(status, Some(6), "{seen}");
    assert!(seen.contains("the request was declined"), "{seen}");
    laptop.end().failed(6);
    assert_eq!(served.listed().len(), 1);
}

#[test]
fn the_question_is_answered_elsewhere() {
    let served = Served::start();
    let (terminal, laptop) = asked(&served);
    served.with_pin(&["approve"]).succeeded();
    let (status, seen) = terminal.end();
    assert_eq!(status, Some(0), "{seen}");
    assert!(seen.contains("Approved."), "{seen}");
    assert!(seen.contains("Passkey saved for passkeys.example"), "{seen}");
    laptop.end().succeeded();
}

#[test]
fn ctrl_c_at_the_question_hangs_up_and_the_service_stays() {
    let served = Served::start();
    let (mut terminal, laptop) = asked(&served);
    terminal.types("\x03");
    let (status, seen) = terminal.end();
    assert_eq!(status, Some(130), "{seen}");
    laptop.end().failed(4);
    assert!(served.listed().is_empty());
    let pending = served.phone(&["pending", "--json"]).succeeded();
    assert_eq!(last(&pending)["questions"], serde_json::json!([]));
}

#[test]
fn without_a_terminal_others_are_told_how_to_answer() {
    let served = Served::start();
    let options = options_for("anna", serde_json::json!({}));
    let (laptop, code) = served.place.laptop("register", &options, &[]);
    let mut phone = Program::start(&served.bare(&["scan", &code, "--any-age"]));
    let line = phone.tells(|line| line.starts_with("Answer with: "));
    assert_eq!(line, "Answer with: cabled phone approve 1, or decline 1");
    served.phone(&["decline", "1"]).succeeded();
    let (error, _) = phone.end().failed(6);
    assert!(error.contains("declined"), "{error}");
    laptop.end().failed(6);
}

#[test]
fn the_terminal_of_the_service_asks_too() {
    let place = Place::new();
    let (socket, store) = (place.path("run/phone.sock"), place.path("store"));
    let (radio, pin) = (place.radio(), place.path("pin"));
    let words = format!(
        "phone run --radio {radio} --relay {} --pin-file {pin} --socket {socket} --store {store}",
        place.url
    );
    let mut service = OnTerminal::start(&words);
    service.until("listens at");
    let mut scan = |answer: &str, how: &str| {
        let options = options_for("anna", serde_json::json!({}));
        let (laptop, code) = place.laptop("register", &options, &[]);
        let phone = Program::start(&["phone", "scan", &code, "--any-age", "--socket", &socket]);
        service.seen.clear();
        service.until("Save the passkey? [y/N] ");
        service.types(answer);
        service.until(how);
        (laptop.end(), phone.end())
    };
    let (laptop, phone) = scan("n\r", "declined");
    laptop.failed(6);
    phone.failed(6);
    // The PIN of the file verifies, as it does for the other commands.
    let (laptop, phone) = scan("y\r", "approved");
    laptop.succeeded();
    phone.succeeded();
    service.types("\x03");
    let (status, seen) = service.end();
    assert_eq!(status, Some(0), "{seen}");
}

#[test]
fn a_make_of_ones_own_is_stated() {
    use base64::Engine as _;
    let make = ["--aaguid", "01234567-89ab-cdef-0123-456789abcdef"];
    let (error, hint) =
        run(&["phone", "run", "--aaguid", "d548826e-79b4-db40-a3d8-11116f7e8349"]).failed(2);
    assert!(error.contains("another vendor"), "{error} {hint}");
    for (attestation, format) in [("self", "packed"), ("none", "none")] {
        let served =
            Served::with(Place::new(), &[&make[..], &["--attestation", attestation]].concat());
        let options = options_for("anna", serde_json::json!({}));
        let mut options: Value = serde_json::from_str(&options).unwrap();
        options["attestation"] = "direct".into();
        let options = options.to_string();
        let (laptop, code) = served.place.laptop("register", &options, &[]);
        let phone = served.scan(&code, &["--attestation", "none"]);
        let laptop = laptop.end().succeeded();
        // What is said to the client does not count, and it says so.
        let phone = phone.end().succeeded();
        assert!(phone.err.iter().any(|line| line.contains("does not count")), "{phone:#?}");
        let answer: Value = serde_json::from_str(&laptop.out[0]).unwrap();
        let object = answer["response"]["attestationObject"].as_str().unwrap();
        let object = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(object).unwrap();
        let has = |part: &[u8]| object.windows(part.len()).any(|window| window == part);
        assert!(has(format.as_bytes()), "{answer}");
        let own = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        assert!(has(&[own, own].concat()), "{answer}");
    }
}
