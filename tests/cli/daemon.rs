//! The laptop's daemon: commands go through it, others watch, and receipts tell what became of it.

use std::process::Command;

use cabled::cli::relying_party::Account;
use serde_json::{Value, json};

use crate::program::{Ended, Program, binary, run};
use crate::three::{Place, in_order};
use crate::world::{ORIGIN, inner, options_for, site};

/// A place where the daemon runs.
pub(crate) struct Laptop {
    pub(crate) place: Place,
    /// There until a test ends it.
    daemon: Option<Program>,
}

impl Laptop {
    pub(crate) fn start() -> Self {
        let place = Place::new();
        let daemon = Some(Self::daemon(&place));
        Self { place, daemon }
    }

    fn daemon(place: &Place) -> Program {
        let mut daemon = Self::daemon_with(place, &[]);
        daemon.says(|line| line.contains("\"serving\""));
        daemon
    }

    /// Not serving yet, perhaps.
    fn daemon_with(place: &Place, more: &[&str]) -> Program {
        let (radio, socket) = (place.radio(), place.path("run/laptop.sock"));
        let words = ["daemon", "--json", "--radio", &radio, "--relay", &place.url];
        let mut command = Self::at_home(place, &words);
        command.args(["--socket", &socket]).args(more);
        Program::of(command)
    }

    /// The program with the receipts of this place.
    pub(crate) fn at_home(place: &Place, words: &[&str]) -> Command {
        let mut command = binary();
        command.env("XDG_STATE_HOME", place.path("state")).args(words);
        command
    }

    /// A command that finds the daemon by its environment.
    pub(crate) fn command(&self, words: &[&str]) -> Program {
        let mut command = Self::at_home(&self.place, words);
        command.env("CABLED_DAEMON_SOCKET", self.place.path("run/laptop.sock"));
        Program::of(command)
    }

    fn asks(&self, command: &str, options: &str) -> (Program, String) {
        let file = self.place.path("options.json");
        std::fs::write(&file, options).unwrap();
        let words = [command, "--options", &file, "--origin", ORIGIN, "--qr", "url"];
        let mut laptop = self.command(&words);
        let code = laptop.begins("FIDO:/");
        (laptop, code)
    }

    pub(crate) fn receipts(&self) -> Vec<Value> {
        of(&self.command(&["receipts", "list", "--json"]).end().succeeded())
    }
}

fn of(ended: &Ended) -> Vec<Value> {
    let line: Value = serde_json::from_str(&ended.out[0]).unwrap();
    line["receipts"].as_array().unwrap().clone()
}

#[test]
fn a_registration_and_a_sign_in_go_through_the_daemon_and_others_watch() {
    let laptop = Laptop::start();
    let mut watcher = laptop.command(&["watch", "--qr", "url"]);
    watcher.begins("Watching");
    let mut anna = site("anna");
    let (options, ceremony) = anna.begin_registration().unwrap();
    let (asking, code) = laptop.asks("register", &inner(&options));
    watcher.begins("A program wants to save a passkey for passkeys.example, account anna.");
    assert_eq!(watcher.begins("FIDO:/"), code);
    let phone = laptop.place.phone(&code, &[]);
    let ended = asking.end().succeeded();
    in_order(
        &ended,
        &["Scan this code", "Connecting", "Connected", "Follow the", "Passkey saved."],
    );
    anna.finish_registration(ceremony, &ended.out[0]).unwrap();
    phone.end().succeeded();
    watcher.begins("Your phone has answered.");
    watcher.begins("Done.");

    let (options, ceremony) = anna.begin_sign_in(Account::FromPasskey).unwrap();
    let (asking, code) = laptop.asks("sign-in", &inner(&options));
    watcher.begins("A program wants to sign in to passkeys.example.");
    let phone = laptop.place.phone(&code, &[]);
    let ended = asking.end().succeeded();
    anna.finish_sign_in(ceremony, &ended.out[0]).unwrap();
    phone.end().succeeded();

    // One receipt, of the registration; the same is found without the daemon.
    let receipts = laptop.receipts();
    let [receipt] = &receipts[..] else { panic!("{receipts:#?}") };
    assert_eq!(
        (&receipt["rpId"], &receipt["account"]),
        (&json!("passkeys.example"), &json!("anna"))
    );
    assert!(receipt["takenAt"].is_u64(), "{receipt}");
    let alone = Laptop::at_home(&laptop.place, &["receipts", "list", "--json"]);
    assert_eq!(of(&Program::of(alone).end().succeeded()), receipts);
    let told = laptop.command(&["receipts", "explain", "1"]).end().succeeded();
    assert!(told.out.iter().any(|line| line.contains("The program took it at")), "{told:#?}");
    laptop.command(&["receipts", "forget", "1"]).end().succeeded();
    let (error, hint) = laptop.command(&["receipts", "explain", "1"]).end().failed(2);
    assert_eq!(
        (&error[..], &hint[..]),
        ("there is no receipt of this number", "see: cabled receipts list")
    );
    laptop.command(&["receipts", "forget", "1"]).end().failed(2);
    watcher.signal("INT");
    watcher.end().succeeded();
}

#[test]
fn the_way_to_the_page_is_told_to_who_asks_and_to_no_log() {
    let place = Place::new();
    let mut daemon = Laptop::daemon_with(&place, &["--web"]);
    let web = daemon.says(|line| line.contains("\"web\""));
    let web: Value = serde_json::from_str(&web).unwrap();
    daemon.says(|line| line.contains("\"serving\""));
    let mut laptop = Laptop { place, daemon: Some(daemon) };
    let link = || laptop.command(&["page"]).end().succeeded().out[0].clone();
    let (first, second) = (link(), link());
    assert_ne!(first, second);
    let url = web["url"].as_str().unwrap();
    let token = |link: &str| {
        let token = link.strip_prefix(&format!("{url}/enter/")).unwrap().to_owned();
        assert_eq!(token.len(), 64);
        token
    };
    let tokens = [token(&first), token(&second)];
    let told = laptop.command(&["page", "--json"]).end().succeeded();
    let told: Value = serde_json::from_str(&told.out[0]).unwrap();
    assert_eq!(told["event"], "page");
    token(told["link"].as_str().unwrap());
    let daemon = laptop.daemon.take().unwrap();
    daemon.signal("TERM");
    let ended = daemon.end().succeeded();
    for line in ended.out.iter().chain(&ended.err) {
        assert!(tokens.iter().all(|token| !line.contains(token.as_str())), "{line}");
    }
    // A daemon that shows none says so.
    laptop.daemon = Some(Laptop::daemon(&laptop.place));
    let (error, hint) = laptop.command(&["page"]).end().failed(2);
    assert_eq!(error, "the daemon shows no page");
    assert_eq!(hint, "start it with: cabled daemon --web");
}

#[test]
fn a_program_that_is_killed_with_its_passkey_leaves_an_open_receipt() {
    let laptop = Laptop::start();
    let mut watcher = laptop.command(&["watch", "--json"]);
    watcher.tells(|line| line.contains("\"watching\""));
    // A program that is never able to hand its answer over: nobody reads its standard output.
    let file = laptop.place.path("options.json");
    std::fs::write(&file, options_for("anna", json!({}))).unwrap();
    let words = ["register", "--options", &file, "--origin", ORIGIN, "--qr", "url"];
    let socket = laptop.place.path("run/laptop.sock");
    let line = format!(
        "exec {} {} --socket {socket} >/dev/full",
        env!("CARGO_BIN_EXE_cabled"),
        words.join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]);
    let mut asking = Program::of(crate::program::alone(shell));
    let code = asking.begins("FIDO:/");
    let phone = laptop.place.phone(&code, &[]);
    let (error, _) = asking.end().failed(9);
    assert!(error.contains("No space left"), "{error}");
    phone.end().succeeded();
    let told = watcher.tells(|line| line.contains("may-be-orphaned"));
    assert!(told.contains("\"receipt\":1"), "{told}");
    let receipts =
        of(&laptop.command(&["receipts", "list", "--orphans", "--json"]).end().succeeded());
    assert_eq!(receipts.len(), 1);
    let told = laptop.command(&["receipts", "explain", "1"]).end().succeeded();
    assert!(told.out.iter().any(|line| line.contains("it may be an orphan")), "{told:#?}");
}

#[test]
fn ctrl_c_withdraws_the_request_and_the_daemon_stays() {
    let laptop = Laptop::start();
    let (asking, _) = laptop.asks("register", &options_for("anna", json!({})));
    asking.signal("INT");
    asking.end().failed(130);
    assert_eq!(laptop.receipts(), [] as [Value; 0]);
    // One that is killed says nothing, and its request is withdrawn all the same.
    let mut watcher = laptop.command(&["watch"]);
    watcher.begins("Watching");
    let (asking, _) = laptop.asks("register", &options_for("anna", json!({})));
    asking.signal("KILL");
    watcher.begins("It came to nothing: ");
    let scans = || crate::world::scans(&laptop.place.folder.path().join("air"));
    assert_eq!(scans(), 0);
    let (asking, code) = laptop.asks("register", &options_for("anna", json!({})));
    let phone = laptop.place.phone(&code, &[]);
    asking.end().succeeded();
    phone.end().succeeded();
}

#[test]
fn a_daemon_that_stops_ends_what_is_under_way() {
    for signal in ["TERM", "KILL"] {
        let mut laptop = Laptop::start();
        let daemon = laptop.daemon.take().unwrap();
        let (asking, _) = laptop.asks("register", &options_for("anna", json!({})));
        daemon.signal(signal);
        let ended = asking.end();
        match signal {
            "TERM" => drop(ended.failed(130)),
            // Nobody could say what it ended with.
            _ => drop(ended.failed(1)),
        }
        let daemon = daemon.end();
        assert_eq!(daemon.status.success(), signal == "TERM", "{daemon:#?}");
        // The next one takes the place of one that was killed.
        laptop.daemon = Some(Laptop::daemon(&laptop.place));
        let (asking, code) = laptop.asks("register", &options_for("anna", json!({})));
        let phone = laptop.place.phone(&code, &[]);
        asking.end().succeeded();
        phone.end().succeeded();
        assert_eq!(laptop.receipts().len(), 1);
    }
}

#[test]
fn what_the_daemon_cannot_do_is_said() {
    let laptop = Laptop::start();
    let socket = laptop.place.path("run/laptop.sock");
    let named = ["--socket", &socket, "--relay", "ws://127.0.0.1:1"];
    let words = [&["register", "--rp-id", "a.example"][..], &named].concat();
    let (error, _) = run(&words).failed(2);
    assert!(error.contains("of its own"), "{error}");
    let second = Laptop::at_home(&laptop.place, &["daemon", "--socket", &socket]);
    let (error, _) = Program::of(second).end().failed(2);
    assert!(error.contains("runs already"), "{error}");
    let nobody = laptop.place.path("run/nobody.sock");
    for command in ["watch", "receipts"] {
        let list = ["list"];
        let more: &[&str] = if command == "receipts" { &list } else { &[] };
        let words = [&[command][..], more, &["--socket", &nobody]].concat();
        let (error, hint) = run(&words).failed(2);
        assert!(error.contains("no service of cabled runs"), "{error}");
        assert_eq!(hint, "start it with: cabled daemon");
    }
}
