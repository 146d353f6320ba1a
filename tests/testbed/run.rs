//! `cabled testbed run` around programs: what they find, how all of it ends, and what is reported.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::laptop::PATIENCE;
use crate::program::{Ended, Program, alone, binary};

/// Runs a shell script beside a bench.
fn beside(options: &[&str], script: &str) -> Program {
    let mut command = binary();
    // A display takes its time, and these programs show nothing.
    command.env("DISPLAY", ":none");
    command.args(["testbed", "run"]).args(options).args(["--", "sh", "-c", script]);
    Program::of(command)
}

/// What a script asks of the control API: `ask METHOD PATH BODY`.
const ASK: &str = r#"
ask() {
    python3 - "$@" <<'END'
import os, sys, urllib.request
method, path, body = sys.argv[1:4]
request = urllib.request.Request(os.environ["CABLED_TESTBED_URL"] + path, body.encode() or None, method=method,
    headers={"Authorization": "Bearer " + os.environ["CABLED_TESTBED_TOKEN"]})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read().decode())
END
}
"#;

fn is_there(pattern: &str) -> bool {
    let mut pgrep = Command::new("pgrep");
    pgrep.args(["-f", pattern]).stdout(Stdio::null()).status().unwrap().success()
}

/// Whether it comes to be, in time.
fn soon(is_so: impl Fn() -> bool) -> bool {
    (0..PATIENCE.as_millis() / 20).any(|_| {
        is_so() || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            false
        }
    })
}

/// Waits until no process of this command line is left.
fn gone(pattern: &str) {
    assert!(soon(|| !is_there(pattern)), "{pattern} is still there");
}

/// The folder of the bus, from its address.
fn folder(bus: &str) -> std::path::PathBuf {
    let path = bus.split_once("path=").unwrap().1.split(',').next().unwrap();
    std::path::Path::new(path).parent().unwrap().to_owned()
}

#[test]
fn a_program_finds_all_of_it_and_its_status_is_the_commands() {
    let script = "echo $DBUS_SYSTEM_BUS_ADDRESS; echo $CABLED_RELAY; echo $CABLED_RADIO; \
                  head -n 1 $CABLED_CA; echo $NO_PROXY; exit 7";
    let ended = beside(&[], script).end();
    assert_eq!(ended.status.code(), Some(7), "{ended:#?}");
    let [bus, relay, radio, ca, proxy] = &ended.out[..] else { panic!("{ended:#?}") };
    assert!(relay.starts_with("wss://localhost:") && radio.starts_with("air:/"), "{ended:#?}");
    assert_eq!(ca, "-----BEGIN CERTIFICATE-----");
    assert!(proxy.ends_with("localhost,127.0.0.1"));
    assert!(!folder(bus).exists());
    let killed = beside(&[], "kill -9 $$").end();
    assert_eq!(killed.status.code(), Some(128 + 9), "{killed:#?}");
}

#[test]
fn ceremonies_are_reported_with_their_causes() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let program = env!("CARGO_BIN_EXE_cabled");
    let script = format!(
        r#"{ASK}
        register() {{
            rm -f code
            {program} register --rp-id passkeys.example --user "$1" --qr url >result 2>code & laptop=$!
            until grep -qs ^FIDO: code; do sleep 0.05; done
            ask POST /v1/ceremonies "{{\"qr\":\"$(grep ^FIDO: code)\",\"script\":$2}}"
            wait $laptop
        }}
        register anna '{{}}' && ! register ben '{{"answers":[{{"do":"decline"}}]}}' &&
            ! register carl '{{"answers":[{{"do":"wrong-pin"}}],"walkAway":"after-consent"}}' &&
            ! ask GET /v1/ceremonies/9 ""
        "#
    );
    let mut command = binary();
    command.env("DISPLAY", ":none").current_dir(folder.path());
    command.args(["--json", "testbed", "run", "--seed", "7", "--junit"]).arg(&junit);
    command.args(["--", "bash", "-c", &script]);
    let ended = Program::of(command).end();
    assert!(ended.status.success(), "{ended:#?}");
    let told = told(&ended);
    let outcomes: Vec<_> = told.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["registered", "refused", "walked-away"], "{ended:#?}");
    assert!(told.iter().all(|line| line["as_scripted"] == true && line["phone"] == "phone"));
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"0\""), "{xml}");
    let mut lint = Command::new("python3");
    lint.args(["-c", "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])"]);
    assert!(lint.arg(&junit).status().unwrap().success());
}

#[test]
fn the_report_is_there_before_the_end() {
    let reports = tempfile::tempdir().unwrap();
    let junit = reports.path().join("junit.xml");
    let mut program = beside(
        &["--junit", junit.to_str().unwrap()],
        "echo $DBUS_SYSTEM_BUS_ADDRESS; exec sleep 0.5",
    );
    // Whoever removes the bus's folder takes long, as after thousands of phones.
    let bus = folder(&program.says(|line| line.starts_with("unix:")));
    let keeper = |signal: &str| {
        let mut pkill = Command::new("pkill");
        pkill.args([&format!("-{signal}"), "-f", &format!("sh {}$", bus.display())]);
        assert!(pkill.status().unwrap().success());
    };
    keeper("STOP");
    let (written, before) = (soon(|| junit.exists()), bus.exists());
    keeper("CONT");
    let ended = program.end();
    assert!(written && before && ended.status.success(), "{ended:#?}");
    assert!(!bus.exists());
}

fn told(ended: &Ended) -> Vec<Value> {
    let lines = ended.err.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == "ceremony").collect()
}

#[test]
fn whatever_ends_all_of_it_ends() {
    for signal in ["TERM", "INT"] {
        // A child of the program's, as a browser would be, that does not want to end.
        let mark = format!("98765{}", std::process::id());
        let script = format!("trap '' TERM; sleep {mark} & echo $DBUS_SYSTEM_BUS_ADDRESS; wait");
        let mut program = beside(&[], &script);
        let bus = program.says(|line| line.starts_with("unix:"));
        assert!(is_there(&format!("sleep {mark}")));
        program.signal(signal);
        let ended = program.end();
        assert_eq!(ended.status.code(), Some(130), "{signal}: {ended:#?}");
        gone(&format!("sleep {mark}"));
        assert!(!folder(&bus).exists(), "{signal}");
    }
    // Killed, it can do nothing any more: the keepers see to the bus and the files.
    let mut program = beside(&[], "echo $DBUS_SYSTEM_BUS_ADDRESS; exec sleep 60");
    let bus = folder(&program.says(|line| line.starts_with("unix:")));
    program.signal("KILL");
    gone(&format!("config-file={}", bus.display()));
    drop(program);
    for _ in 0..1000 {
        if !bus.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{} is still there", bus.display());
}

#[test]
fn what_cannot_be_run_is_said() {
    let mut command = binary();
    command.env("DISPLAY", ":none").args(["testbed", "run", "--", "/nonexistent/program"]);
    let (error, hint) = Program::of(command).end().failed(2);
    assert!(error.contains("/nonexistent/program") && hint.contains("after --"), "{error} {hint}");
    let mut command = alone(Command::new(env!("CARGO_BIN_EXE_cabled")));
    command.env("PATH", "/nonexistent").env("DISPLAY", ":none");
    command.args(["testbed", "run", "--browser", "chromium", "--", "/bin/true"]);
    let (error, hint) = Program::of(command).end().failed(2);
    assert!(error.contains("chromium") && hint.contains("apt install chromium"), "{error} {hint}");
}
