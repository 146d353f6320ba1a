//! The phone's commands and `inspect`, as the real binary does them, without a terminal.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use cabled::authenticator::passkey::{Backup, Origin};
use cabled::authenticator::passkey::{CredProtect, PasskeyStore, PrfSeeds};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{CredentialId, Passkey, Pin, State, Store, Timestamp};
use cabled::cli::qr;
use cabled::ctap::{RpEntity, UserEntity};
use cabled::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};
use tempfile::TempDir;

const WEAK: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
const PIN: &str = "2468 right";

fn run(args: &[&str]) -> Output {
    run_with_input(args, "")
}

/// Runs the binary without a terminal, with nothing of this process's settings.
fn run_with_input(args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    for name in ["STORE", "PIN_FILE", "RELAY", "RADIO", "CA", "SOCKET"] {
        command.env_remove(format!("CABLED_{name}"));
    }
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The output of a failed run: its status, one `error:` line, one `hint:` line, no result.
fn failed(output: &Output, status: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for start in ["error: ", "hint: "] {
        assert_eq!(text.lines().filter(|line| line.starts_with(start)).count(), 1, "{text}");
    }
    assert!(output.stdout.is_empty());
    text
}

fn json_of(output: &Output) -> Value {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn vector(name: &str) -> Value {
    let path = format!("{}/tests/vectors/public.json", env!("CARGO_MANIFEST_DIR"));
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    all[name].clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

// ---- a phone with a store ----

struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self { folder: TempDir::new().unwrap() };
        home.file("pin", &format!("{PIN}\n"), 0o600);
        home
    }

    fn with_store(passkeys: &[Passkey]) -> Self {
        let home = Self::new();
        let (pin, rng) = (Pin::new(PIN.into()).unwrap(), &mut ChaCha20Rng::seed_from_u64(1));
        let store =
            Store::create_with_cost(Path::new(&home.path("store")), &pin, WEAK, rng).unwrap();
        passkeys.iter().for_each(|passkey| store.save(passkey, rng).unwrap());
        home
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = PathBuf::from(self.path(name));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self.path(name)
    }

    fn phone(&self, args: &[&str]) -> Output {
        self.phone_with_pin(&self.path("pin"), args)
    }

    fn phone_with_pin(&self, pin: &str, args: &[&str]) -> Output {
        let store = self.path("store");
        let mut all = vec!["phone"];
        all.extend(args);
        all.extend(["--store", &store, "--pin-file", pin]);
        run(&all)
    }

    fn passkeys(&self) -> Vec<Value> {
        json_of(&self.phone(&["passkeys", "list", "--json"]))["passkeys"]
            .as_array()
            .unwrap()
            .clone()
    }
}

fn passkey(id: u8, account: &str, state: State) -> Passkey {
    Passkey {
        id: CredentialId::from_bytes(&[id; 32]).unwrap(),
        rp: RpEntity { id: "contoso.com".into(), name: None },
        user: UserEntity { id: vec![id], name: Some(account.into()), display_name: None },
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
        delivered_at: (state != State::Created).then_some(Timestamp(1_666_589_060)),
        last_used_at: (state == State::Used).then_some(Timestamp(1_735_689_599)),
        replaces: vec![],
    }
}

// ---- inspect ----

#[test]
fn a_real_iphone_answers_a_real_code() {
    let session = vector("real_session_iphone");
    let (uri, advert) = (text(&session, "qr_uri"), text(&session, "advert"));
    let value = json_of(&run(&["inspect", uri, "--advert", advert, "--reveal", "--json"]));
    let (code, opened) = (&value["code"], &value["advert"]);
    for (name, key) in [("secret", "secret"), ("tunnelId", "tunnel_id"), ("eidKey", "eid_key")] {
        assert_eq!(code[name], session[key], "{name}");
    }
    assert_eq!(code["shownAt"], "2026-05-29T19:26:24Z");
    assert_eq!(code["symbolModules"], 37);
    assert_eq!(code["channels"], json!([0]));
    assert_eq!(code["unknownMembers"], json!([{ "key": "65535", "value": "0" }]));
    assert_eq!((&value["v"], &opened["matches"]), (&json!(1), &json!(true)));
    assert_eq!(opened["domain"], "cable.auth.com");
    assert_eq!(opened["nonce"], "6832febb84eab2ff632c");
    assert_eq!(opened["routingId"], "4D5888");
    assert_eq!(opened["psk"], session["psk"]);
    let url = text(opened, "url").to_lowercase();
    assert_eq!(url, text(&session, "connect_url"));
}

#[test]
fn words_for_people_hide_the_secrets() {
    let session = vector("real_session_iphone");
    let (uri, advert) = (text(&session, "qr_uri"), text(&session, "advert"));
    let words = stdout(&run(&["inspect", uri, "--advert", advert]));
    assert!(words.contains("sign-in follows"), "{words}");
    assert!(words.contains("wss://cable.auth.com/cable/connect/4D5888/(hidden)"), "{words}");
    for key in ["secret", "tunnel_id", "eid_key", "psk"] {
        assert!(!words.to_lowercase().contains(text(&session, key)), "{key}");
    }
}

#[test]
fn each_published_code_is_decoded() {
    let codes = vector("qr");
    for code in codes.as_array().unwrap() {
        let value = json_of(&run(&["inspect", text(code, "uri"), "--reveal", "--json"]));
        assert_eq!(value["code"]["secret"], code["fields"]["secret"]);
        if let Some(tunnel) = code.get("tunnel_id") {
            assert_eq!(value["code"]["tunnelId"], *tunnel);
        }
    }
}

#[test]
fn an_advert_of_another_code_does_not_match() {
    let session = vector("real_session_iphone");
    let other = text(&vector("qr")[0], "uri").to_owned();
    let advert = text(&session, "advert");
    let value = json_of(&run(&["inspect", "--advert", advert, "--qr", &other, "--json"]));
    assert_eq!(value["advert"]["matches"], false);
    assert_eq!(value.get("code"), None);
    let alone = json_of(&run(&["inspect", "--advert", advert, "--json"]));
    assert_eq!(alone["advert"]["matches"], Value::Null);
}

#[test]
fn a_suffix_names_its_channel() {
    let advert = text(&vector("advert_suffix")[0], "service_data").to_owned();
    let value = json_of(&run(&["inspect", "--advert", &advert, "--json"]));
    assert_eq!(
        (&value["advert"]["psm"], &value["advert"]["suffixBytes"]),
        (&json!(130), &json!(4))
    );
}

#[test]
fn a_picture_and_standard_input_say_the_same_as_the_text() {
    let uri = text(&vector("real_session_iphone"), "qr_uri").to_owned();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("code.png");
    fs::write(&file, qr::png(&uri).unwrap()).unwrap();
    let members = |output: &Output| {
        let mut code = json_of(output)["code"].clone();
        code.as_object_mut().unwrap().remove("ageSeconds");
        code
    };
    let expected = members(&run(&["inspect", &uri, "--json"]));
    let image = run(&["inspect", "--image", file.to_str().unwrap(), "--json"]);
    assert_eq!(members(&image), expected);
    let input = format!("Scan this code.\n{uri}\nwaiting\n");
    assert_eq!(members(&run_with_input(&["inspect", "-", "--json"], &input)), expected);
}

#[test]
fn what_is_wrong_with_a_code_is_named() {
    let cases = [
        ("https://contoso.com", "does not begin with FIDO:/"),
        ("FIDO:/12a", "not a digit"),
        ("FIDO:/1", "number of digits is impossible"),
        ("FIDO:/999", "too large"),
        ("FIDO:/160", "member 0 is missing"),
        ("", "does not begin with FIDO:/"),
    ];
    for (code, words) in cases {
        for command in [&["inspect"][..], &["phone", "scan"]] {
            let output = run(&[command, &[code]].concat());
            assert!(failed(&output, 2).contains(words), "{code}: {}", stderr(&output));
        }
    }
    let long = format!("FIDO:/{}", "1".repeat(5000));
    assert!(failed(&run(&["inspect", &long]), 2).contains("longer than"));
    assert!(failed(&run(&["inspect", "--advert", "0102"]), 2).contains("this has 2"));
    assert_eq!(run(&["inspect"]).status.code(), Some(2));
}

#[test]
fn failures_are_objects_for_machines() {
    let output = run(&["inspect", "FIDO:/1", "--json"]);
    let failure: Value = serde_json::from_str(stderr(&output).trim()).unwrap();
    assert_eq!((&failure["cause"], &failure["status"]), (&json!("usage"), &json!(2)));
}

// ---- the phone ----

#[test]
fn nobody_to_ask_is_a_refusal_before_anything_else() {
    let uri = text(&vector("real_session_iphone"), "qr_uri").to_owned();
    let home = Home::new();
    let (store, pin) = (home.path("store"), home.path("pin"));
    let scan = ["phone", "scan", &uri, "--radio", "air:/nowhere", "--store", &store];
    let scan = [&scan[..], &["--any-age"]].concat();
    let cases: [(&[&str], &str); 3] = [
        (&[], "add --auto-approve and --pin-file FILE"),
        (&["--pin-file", &pin], "add --auto-approve if"),
        (&["--auto-approve"], "add --pin-file FILE if"),
    ];
    for (more, hint) in cases {
        let text = failed(&run(&[&scan[..], more].concat()), 2);
        assert!(text.contains("there is no terminal") && text.contains(hint), "{text}");
    }
    assert!(!Path::new(&store).exists());
}

#[test]
fn a_pin_file_of_others_is_refused() {
    let home = Home::with_store(&[]);
    let open = home.file("open-pin", PIN, 0o640);
    let text = failed(&home.phone_with_pin(&open, &["passkeys", "list"]), 2);
    assert!(text.contains("chmod 600"), "{text}");
    let short = home.file("short-pin", "12\n345678", 0o600);
    assert!(failed(&home.phone_with_pin(&short, &["passkeys", "list"]), 2).contains("shorter"));
    failed(&home.phone_with_pin(&home.path("none"), &["passkeys", "list"]), 9);
}

#[test]
fn a_wrong_pin_locks_and_says_how_many_tries_are_left() {
    let home = Home::with_store(&[]);
    let wrong = home.file("wrong-pin", "8642\n", 0o600);
    let text = failed(&home.phone_with_pin(&wrong, &["passkeys", "list"]), 8);
    assert!(text.contains("7 more tries"), "{text}");
    let uri = text_of_code();
    let air = format!("air:{}", home.path("air"));
    let relay = ["--relay", "ws://127.0.0.1:1", "--auto-approve", "--any-age"];
    let scan = [&["scan", &uri, "--radio", &air][..], &relay].concat();
    let output = home.phone_with_pin(&wrong, &scan);
    assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
    assert!(stderr(&output).contains("6 more tries"));
    assert!(stderr(&output).contains("note: this code is"), "{}", stderr(&output));
}

fn text_of_code() -> String {
    text(&vector("real_session_iphone"), "qr_uri").to_owned()
}

#[test]
fn a_store_that_is_open_elsewhere_is_called_so() {
    let home = Home::with_store(&[]);
    let _held = Store::open(Path::new(&home.path("store"))).unwrap();
    assert!(failed(&home.phone(&["passkeys", "list"]), 8).contains("open in another program"));
}

#[test]
fn no_store_yet_is_no_list() {
    let home = Home::new();
    assert!(failed(&home.phone(&["passkeys", "list"]), 9).contains("no passkey store yet"));
}

#[test]
fn a_code_that_is_too_old_is_refused() {
    let home = Home::with_store(&[]);
    let air = format!("air:{}", home.path("air"));
    let args = ["scan", &text_of_code(), "--radio", &air, "--relay", "ws://127.0.0.1:1"];
    let output = home.phone(&[&args[..], &["--auto-approve"]].concat());
    let text = failed(&output, 4);
    assert!(text.contains("too old") && text.contains("--any-age"), "{text}");
}

#[test]
fn a_simulated_radio_is_refused_with_a_public_service() {
    let home = Home::with_store(&[]);
    let air = format!("air:{}", home.path("air"));
    let output =
        home.phone(&["scan", &text_of_code(), "--radio", &air, "--auto-approve", "--any-age"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("--simulated-with-public"));
}

#[test]
fn a_new_store_is_made_and_a_relay_that_is_not_there_is_named() {
    let home = Home::new();
    let air = format!("air:{}", home.path("air"));
    let args = ["scan", &text_of_code(), "--radio", &air, "--relay", "ws://127.0.0.1:1"];
    let output = home.phone(&[&args[..], &["--auto-approve", "--any-age", "--json"]].concat());
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| text(event, "event")).collect();
    assert_eq!(names, ["note", "store-created", "opening-tunnel", "result"]);
    let result = events.last().unwrap();
    assert_eq!((&result["outcome"], &result["status"]), (&json!("failed"), &json!(5)));
    assert!(home.passkeys().is_empty());
}

#[test]
fn passkeys_are_listed_shown_and_renamed() {
    let empty = Home::with_store(&[]);
    let output = empty.phone(&["passkeys", "list"]);
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("no passkeys here yet"));
    let home =
        Home::with_store(&[passkey(1, "anna", State::Created), passkey(0xfb, "bob", State::Used)]);
    let output = home.phone(&["passkeys", "list"]);
    let table = stdout(&output);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.contains("created, maybe unknown to the site"), "{table}");
    assert!(stderr(&output).contains("passkeys orphans"));
    let ids: Vec<_> = home.passkeys().iter().map(|p| text(p, "id").to_owned()).collect();
    assert!(ids.iter().all(|id| id.len() == 43));
    // An ID that begins like an option.
    assert!(ids[1].starts_with("-_v7"));
    assert!(stdout(&home.phone(&["passkeys", "show", &ids[1][..8]])).contains("bob"));
    let output = home.phone(&["passkeys", "rename", "AQEB", "my laptop"]);
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("named my laptop"));
    assert_eq!(home.passkeys()[0]["label"], "my laptop");
    assert!(failed(&home.phone(&["passkeys", "show", "zzz"]), 2).contains("no passkey whose ID"));
}

#[test]
fn deleting_needs_a_yes() {
    let home = Home::with_store(&[
        passkey(1, "anna", State::Created),
        passkey(2, "bob", State::Delivered),
        passkey(3, "carl", State::Used),
    ]);
    for command in [&["passkeys", "delete", "AgIC"][..], &["passkeys", "prune"]] {
        assert!(failed(&home.phone(command), 2).contains("say --yes"));
    }
    assert_eq!(home.passkeys().len(), 3);
    let output = home.phone(&["passkeys", "delete", "AgIC", "--yes"]);
    assert!(stderr(&output).contains("settings of contoso.com too"), "{}", stderr(&output));
    let pruned = json_of(&home.phone(&["passkeys", "prune", "--yes", "--json"]));
    assert_eq!(pruned["passkeys"].as_array().unwrap().len(), 1);
    let left = home.passkeys();
    assert_eq!((left.len(), text(&left[0], "userName")), (1, "carl"));
    let output = home.phone(&["passkeys", "prune", "--yes"]);
    assert!(stderr(&output).contains("nothing to prune"));
}

#[test]
fn the_pin_changes() {
    let home = Home::with_store(&[]);
    let new = home.file("new-pin", "a new one\n", 0o600);
    stdout(&home.phone(&["pin", "--new-pin-file", &new]));
    failed(&home.phone(&["passkeys", "list"]), 8);
    stdout(&home.phone_with_pin(&new, &["passkeys", "list"]));
    failed(&home.phone_with_pin(&new, &["pin"]), 2);
}

// ---- both sides ----

/// A running program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(args: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().unwrap())
}

/// A laptop's command beside the phone that answers it: the code goes from the standard error of
/// one into the standard input of the other while both run.
fn together(home: &Home, relay: &str, laptop: &[&str], phone: &[&str]) -> (Running, Vec<Value>) {
    let air = format!("air:{}", home.path("air"));
    let link = ["--radio", &air, "--relay", relay];
    let mut laptop = start(&[laptop, &link, &["--qr", "url"]].concat());
    let (store, pin) = (home.path("store"), home.path("pin"));
    let own = ["--store", &store, "--pin-file", &pin, "--auto-approve", "--json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    command.args(["phone", "scan", "-"]).args(link).args(own).args(phone);
    command.stdin(laptop.0.stderr.take().unwrap());
    let output = command.output().unwrap();
    let events = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let last =
        events.last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), last["status"].as_i64().map(|s| s as i32), "{events:?}");
    (laptop, events)
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "event")).collect()
}

#[test]
fn a_code_is_piped_from_the_laptop_to_the_phone() {
    let home = Home::with_store(&[]);
    let mut relay = start(&["relay"]);
    let mut line = String::new();
    let stdout = relay.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let url = line.trim().rsplit(' ').next().unwrap();

    for user in ["anna", "bob"] {
        let register = ["register", "--rp-id", "contoso.com", "--user", user];
        let (mut laptop, events) = together(&home, url, &register, &[]);
        let steps = ["opening-tunnel", "advertising", "connected", "asked", "saved"];
        assert_eq!(names(&events), [&steps[..], &["acknowledged", "result"]].concat());
        assert_eq!(events.last().unwrap()["outcome"], "registered");
        assert_eq!(laptop.0.wait().unwrap().code(), Some(0));
    }
    assert!(home.passkeys().iter().all(|passkey| passkey["state"] == "delivered"));

    let sign_in = ["sign-in", "--rp-id", "contoso.com"];
    let (mut laptop, events) = together(&home, url, &sign_in, &[]);
    assert_eq!(events.last().unwrap()["outcome"], "signed-in");
    assert_eq!(laptop.0.wait().unwrap().code(), Some(0));

    let named = [&sign_in[..], &["--account", "anna"]].concat();
    let (mut laptop, events) = together(&home, url, &named, &["--choose", "laptop"]);
    assert_eq!(names(&events).iter().filter(|name| **name == "offered").count(), 2);
    assert_eq!(laptop.0.wait().unwrap().code(), Some(0));

    let elsewhere = ["sign-in", "--rp-id", "other.com"];
    let (mut laptop, events) = together(&home, url, &elsewhere, &[]);
    let last = events.last().unwrap();
    assert_eq!((&last["outcome"], &last["status"]), (&json!("refused"), &json!(6)));
    assert_eq!(laptop.0.wait().unwrap().code(), Some(6));
}
