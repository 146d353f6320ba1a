//! What the binary prints with `--json` is what `proto/cabled/events/v1/events.proto` says: every line
//! parses as an `Event`, without a field that the schema does not have.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

fn schema() -> MessageDescriptor {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["cabled/events/v1/events.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("cabled.events.v1.Event").unwrap()
}

fn run(args: &[&str]) -> Output {
    binary(args).output().unwrap()
}

fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    for name in ["RADIO", "RELAY", "CA", "STORE", "PIN_FILE", "SOCKET", "DAEMON_SOCKET"] {
        command.env_remove(format!("CABLED_{name}"));
    }
    // Receipts of tests are not their owner's.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.arg("--json").args(args);
    command
}

/// Holds each line against the schema; gives the names of the events.
fn events(schema: &MessageDescriptor, lines: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(lines).unwrap();
    text.lines().map(|line| event(schema, line)).collect()
}

fn event(schema: &MessageDescriptor, line: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(line);
    let message = DynamicMessage::deserialize(schema.clone(), &mut json);
    let message = message.unwrap_or_else(|error| panic!("{error}: {line}"));
    json.end().unwrap();
    assert_eq!(message.get_field_by_name("v").unwrap().as_u32(), Some(1), "{line}");
    message.get_field_by_name("event").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_demo_keeps_to_the_schema() {
    let output = run(&["demo"]);
    assert!(output.status.success());
    let names = events(&schema(), &output.stdout);
    assert_eq!(names.last().map(String::as_str), Some("verdict"));
    for name in ["qr", "advertising", "connected", "saved", "delivered", "signed"] {
        assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
    }
}

#[test]
fn the_doctor_keeps_to_the_schema() {
    let schema = schema();
    let output = run(&["doctor", "--offline", "--proxy", "none", "--ca", "/nonexistent"]);
    assert!(!output.status.success(), "the certificates are missing");
    let names = events(&schema, &output.stdout);
    assert_eq!(names.last().map(String::as_str), Some("summary"));
    assert!(names.len() > 5 && names[..names.len() - 1].iter().all(|name| name == "finding"));
    assert_eq!(events(&schema, &output.stderr), ["checking", "failed"]);
}

#[test]
fn failures_keep_to_the_schema() {
    let schema = schema();
    let air = ["--radio", "air:/proc/no/air"];
    for (args, status) in [
        (&["register", "--rp-id", "a.example"][..], 3),
        (&["sign-in", "--rp-id", "127.0.0.1"], 2),
        (&["phone", "passkeys", "--store", "/proc/no/store", "list"], 9),
        (&["relay", "domain", "77"], 2),
    ] {
        let air: &[&str] = if status == 3 { &air } else { &[] };
        let relay: &[&str] = if status == 3 { &["--relay", "ws://127.0.0.1:1"] } else { &[] };
        let output = run(&[args, air, relay].concat());
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        assert_eq!(events(&schema, &output.stderr), ["failed"], "{args:?}");
        assert!(output.stdout.is_empty());
    }
}

/// A folder with a PIN in it, and a way to name files there.
fn place() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let path = move |name: &str| root.join(name).display().to_string();
    std::fs::write(path("pin"), "123456\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path("pin"), private).unwrap();
    (folder, path)
}

#[test]
fn a_registration_without_internet_keeps_to_the_schema() {
    let (_folder, path) = place();
    let air = format!("air:{}", path("air"));
    let both = ["--radio", &air, "--relay", "ws://127.0.0.1:1"];
    let mut laptop =
        binary(&[&["register", "--rp-id", "a.example", "--offline"], &both[..]].concat());
    let mut laptop = laptop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(laptop.stderr.take().unwrap());
    let mut first = String::new();
    told.read_line(&mut first).unwrap();
    let code: serde_json::Value = serde_json::from_str(&first).unwrap();
    let (store, pin) = (path("store"), path("pin"));
    let own = ["--store", &store, "--pin-file", &pin, "--auto-approve"];
    let scan = ["phone", "scan", code["text"].as_str().unwrap()];
    let phone = run(&[&scan[..], &both, &own].concat());
    std::io::Read::read_to_string(&mut told, &mut first).unwrap();
    assert!(laptop.wait().unwrap().success() && phone.status.success(), "{first} {phone:?}");
    let schema = schema();
    for (lines, wanted) in [
        (first.as_bytes(), &["listening", "connected", "registered"][..]),
        (&phone.stdout, &["without-tunnel", "advertising", "connected", "result"]),
    ] {
        let names = events(&schema, lines);
        assert!(wanted.iter().all(|name| names.iter().any(|n| n == name)), "{names:?}");
    }
}

#[test]
fn a_phone_that_finds_no_relay_keeps_to_the_schema() {
    let (_folder, path) = place();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/public.json");
    let vectors: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(vectors).unwrap()).unwrap();
    let code = vectors["real_session_iphone"]["qr_uri"].as_str().unwrap();
    let (air, store, pin) = (format!("air:{}", path("air")), path("store"), path("pin"));
    let phone =
        ["phone", "scan", code, "--any-age", "--auto-approve", "--relay", "ws://127.0.0.1:1"];
    let own = ["--radio", &air, "--store", &store, "--pin-file", &pin];
    let output = run(&[&phone[..], &own].concat());
    let schema = schema();
    let names = events(&schema, &output.stdout);
    assert_eq!(names.first().map(String::as_str), Some("note"));
    assert_eq!(names.last().map(String::as_str), Some("result"));
    assert!(names.iter().any(|n| n == "store-created"), "{names:?}");
    assert_eq!(events(&schema, &output.stderr), ["failed"]);
}

#[test]
fn the_service_and_its_clients_keep_to_the_schema() {
    let (_folder, path) = place();
    let (air, socket, store) = (format!("air:{}", path("air")), path("run/s"), path("store"));
    let both = ["--radio", &air, "--relay", "ws://127.0.0.1:1"];
    let (at, pin) = (["--socket", &socket], path("pin"));
    let own = ["--store", &store, "--pin-file", &pin];
    let started = |args: &[&str]| {
        let mut child = binary(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        (child, told)
    };
    let until = |told: &mut dyn BufRead, wanted: &str| {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "{wanted} never came");
        }
        line
    };
    let schema = schema();
    let (mut service, mut said) =
        started(&[&["phone", "run", "--web"], &both[..], &own, &at].concat());
    event(&schema, &until(&mut said, "\"web\""));
    event(&schema, &until(&mut said, "\"serving\""));
    let (mut watch, mut seen) = started(&[&["phone", "watch"], &at[..]].concat());
    event(&schema, &until(&mut seen, "\"watching\""));
    let offline = ["register", "--rp-id", "a.example", "--offline"];
    let mut laptop = binary(&[&offline[..], &both].concat());
    let mut laptop = laptop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(laptop.stderr.take().unwrap());
    let code: serde_json::Value = serde_json::from_str(&until(&mut told, "FIDO:/")).unwrap();
    let scan =
        ["phone", "scan", "--pin-file", &pin, "--auto-approve", code["text"].as_str().unwrap()];
    let phone = run(&[&scan[..], &at].concat());
    assert!(laptop.wait().unwrap().success() && phone.status.success(), "{phone:?}");
    let names = events(&schema, &phone.stdout);
    for name in ["asked", "settled", "saved", "acknowledged"] {
        assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
    }
    assert_eq!(names.last().map(String::as_str), Some("result"));
    let mut line = String::new();
    let mut names = Vec::new();
    while names.last().map(String::as_str) != Some("ended") {
        line.clear();
        assert!(seen.read_line(&mut line).unwrap() > 0, "{names:?}");
        names.push(event(&schema, &line));
    }
    assert!(names.iter().any(|name| name == "scanned"), "{names:?}");
    watch.kill().unwrap();
    watch.wait().unwrap();
    let stop = format!("kill -INT {}", service.id());
    assert!(std::process::Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert!(service.wait().unwrap().success());
    let names = events(&schema, rest.as_bytes());
    assert_eq!(names, ["asked", "approved", "stopping", "stopped"]);
}

#[test]
fn a_shared_radio_keeps_to_the_schema() {
    let (_folder, path) = place();
    let schema = schema();
    let on = |machine: &str, args: &[&str]| {
        let mut command = binary(args);
        for (name, folder) in [("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")] {
            command.env(name, path(&format!("{machine}-{folder}")));
        }
        command
    };
    let pairing = on("there", &["radio", "pair"]).output().unwrap();
    assert_eq!(events(&schema, &pairing.stdout), ["radio-code"]);
    assert_eq!(events(&schema, &pairing.stderr), ["note"]);
    let code: serde_json::Value = serde_json::from_slice(&pairing.stdout).unwrap();
    std::fs::write(path("code"), code["code"].as_str().unwrap()).unwrap();
    let mut taking = on("here", &["radio", "pair", "--with-code"]);
    let taken = taking.stdin(std::fs::File::open(path("code")).unwrap()).output().unwrap();
    assert_eq!(events(&schema, &taken.stderr), ["radio-paired", "note"]);

    let air = format!("air:{}", path("air"));
    let receive = [
        "env",
        &format!("XDG_STATE_HOME={}", path("there-state")),
        &format!("XDG_RUNTIME_DIR={}", path("there-run")),
        env!("CARGO_BIN_EXE_cabled"),
        "radio",
        "receive",
    ];
    let mut share =
        on("here", &[&["radio", "share", "--radio", &air, "--"][..], &receive].concat());
    let mut share = share.stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(share.stderr.take().unwrap());
    let (mut line, mut names) = (String::new(), Vec::new());
    let mut until = |wanted: &str| {
        while names.last().map(String::as_str) != Some(wanted) {
            line.clear();
            assert!(told.read_line(&mut line).unwrap() > 0, "{names:?}");
            names.push(event(&schema, &line));
        }
    };
    until("radio-sharing");
    let doctor = ["doctor", "--radio", "shared", "--offline", "--proxy", "none"];
    let doctor = on("there", &doctor).output().unwrap();
    assert!(events(&schema, &doctor.stdout).len() > 3, "{doctor:?}");
    until("radio-idle");
    let stop = format!("kill -INT {}", share.id());
    assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    assert!(share.wait().unwrap().success());
    assert_eq!(names, ["note", "radio-sharing", "radio-listening", "radio-idle"]);
    for (machine, count) in [("there", 1), ("here", 1), ("here", 1)] {
        let gone = on(machine, &["radio", "unpair"]).output().unwrap();
        assert_eq!(events(&schema, &gone.stderr), vec!["radio-unpaired"; count]);
    }
    let lost = on("here", &[&["radio", "share", "--"][..], &receive].concat()).output().unwrap();
    assert_eq!(events(&schema, &lost.stderr), ["failed"]);
}
