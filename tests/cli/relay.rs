//! The relay as an operator starts it: settings from three places, pages, systemd.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Program, alone, binary, run};
use crate::world::PATIENCE;

fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn settings_come_from_a_file_the_environment_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(
        &file,
        "tunnels = 11\nmetrics-listen = \"127.0.0.1:0\"\nconnections = 22\ndrain = 1\n",
    )
    .unwrap();
    let mut command = binary();
    command.args(["relay", "--drain", "7"]);
    command.env("CABLED_RELAY_CONFIG", &file).env("CABLED_RELAY_CONNECTIONS", "33");
    let mut relay = Program::of(command);
    relay.says(|line| line.starts_with("listening on ws://127.0.0.1:"));
    let line = relay.says(|_| true);
    let metrics = get(line.strip_prefix("metrics on http://").unwrap(), "/metrics");
    assert!(metrics.contains("\ncabled_relay_tunnels_limit 11\n"), "{metrics}");
    assert!(metrics.contains("\ncabled_relay_connections_limit 33\n"), "{metrics}");
    relay.signal("TERM");
    let ended = relay.end().succeeded();
    assert!(ended.err.iter().any(|line| line.contains("and 7 s for")), "{ended:#?}");
}

/// A relay that begins with these limits of open files, and what its own are then: soft and hard.
fn limited(limits: &str, options: &[&str]) -> (Program, String) {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limits} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, binary().get_program().to_str().unwrap(), "relay"]).args(options);
    let mut relay = Program::of(command);
    relay.says(|line| line.starts_with("listening on "));
    let text = std::fs::read_to_string(format!("/proc/{}/limits", relay.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    (relay, words.join(" "))
}

#[test]
fn its_limit_of_open_files_is_raised_to_what_its_connections_need() {
    let (_relay, limits) = limited("-Sn 256 && ulimit -Hn 4096", &["--connections", "1000"]);
    assert_eq!(limits, "1600 4096");
    let (relay, limits) = limited("-Sn 256 && ulimit -Hn 1024", &["--connections", "1000"]);
    assert_eq!(limits, "1024 1024");
    relay.signal("TERM");
    let ended = relay.end().succeeded();
    let note =
        "--connections 1000 needs 1600 open files, and 1024 are allowed, which is enough for 424";
    assert!(ended.err.iter().any(|line| line.contains(note)), "{ended:#?}");
    // Few are missing: the default is more than some systems allow.
    let (relay, limits) = limited("-Sn 256 && ulimit -Hn 1550", &["--connections", "1000"]);
    assert_eq!(limits, "1550 1550");
    relay.signal("TERM");
    let ended = relay.end().succeeded();
    assert!(ended.err.iter().all(|line| !line.contains("open files")), "{ended:#?}");
}

#[test]
fn wrong_settings_are_two_lines_that_name_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "# Limits.\n\ntunels = 5\n").unwrap();
    let (error, hint) = run(&["relay", "--config", path]).failed(2);
    assert_eq!(error, format!("{path}:3: there is no setting \"tunels\""));
    assert!(hint.starts_with("did you mean tunnels?"), "{hint}");
    let json = run(&["relay", "--json", "--config", path]).failed_in_json(2);
    assert_eq!(json["error"], error);
    let mut command = binary();
    command.arg("relay").env("CABLED_RELAY_TUNNELS", "many");
    let (error, _) = Program::of(command).end().failed(2);
    assert!(error.starts_with("CABLED_RELAY_TUNNELS: invalid value 'many'"), "{error}");
    let (error, hint) = run(&["relay", "--config", "/nonexistent/relay.toml"]).failed(9);
    assert!(error.starts_with("cannot read /nonexistent/relay.toml: "), "{error}");
    assert!(hint.contains("--config"), "{hint}");
    std::fs::write(&file, "proxy-protocol = true\n").unwrap();
    let (error, hint) = run(&["relay", "--config", path]).failed(2);
    assert!(error.contains("no proxy is named") && hint.contains("--trusted-proxy"), "{error}");
    let redirect = run(&["relay", "--redirect-listen", "127.0.0.1:0"]).failed(2);
    assert!(redirect.1.contains("--redirect-listen"), "{redirect:?}");
}

#[test]
fn a_configuration_is_checked_without_listening() {
    // The address is taken, so that listening would fail.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&["relay", "--listen", &address, "--check-config"]).succeeded();
    assert_eq!(ended.out, ["the configuration can be used"]);
    let ended = run(&["relay", "--listen", &address, "--check-config", "--json"]).succeeded();
    let told: Value = serde_json::from_str(&ended.out[0]).unwrap();
    assert_eq!(told["usable"], true);
    let files = ["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"];
    let words = [&["relay", "--check-config"][..], &files].concat();
    let (error, _) = run(&words).failed(9);
    assert!(error.contains("/nonexistent"), "{error}");
    let (error, _) = run(&["relay", "--check-config", "--listen", "0.0.0.0:1"]).failed(2);
    assert!(error.contains("reachable from other machines"), "{error}");
}

/// What the program tells the service manager.
fn notice(manager: &UnixDatagram) -> String {
    let mut notice = [0; 64];
    let length = manager.recv(&mut notice).unwrap();
    String::from_utf8(notice[..length].to_vec()).unwrap()
}

#[test]
fn a_service_manager_hands_over_the_socket_and_is_told_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let notices = folder.path().join("notify");
    let manager = UnixDatagram::bind(&notices).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // As systemd does: descriptor 3, and the number of the process that it is meant for.
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut command = alone(Command::new("sh"));
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_cabled"), "relay"]);
    command.env("NOTIFY_SOCKET", &notices);
    let mut relay = Program::reading(command, Stdio::from(std::os::fd::OwnedFd::from(listener)));
    assert_eq!(relay.says(|_| true), format!("listening on ws://{address}"));
    assert_eq!(notice(&manager), "READY=1");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    relay.signal("TERM");
    assert_eq!(notice(&manager), "STOPPING=1");
    relay.end().succeeded();
}

#[test]
fn a_socket_that_is_no_listener_is_refused() {
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut command = alone(Command::new("sh"));
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_cabled"), "relay"]);
    let relay = Program::reading(command, Stdio::from(std::os::fd::OwnedFd::from(one)));
    let (error, hint) = relay.end().failed(1);
    assert!(error.starts_with("the socket that systemd hands over cannot be used"), "{error}");
    assert!(hint.contains("cabled-relay.socket"), "{hint}");
}

/// A copy of the unit files whose program is the one under test.
fn units() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/system");
    for unit in ["cabled-relay.service", "cabled-relay.socket"] {
        let text = std::fs::read_to_string(shipped.join(unit)).unwrap();
        let text = text.replace("/usr/bin/cabled", env!("CARGO_BIN_EXE_cabled"));
        std::fs::write(folder.path().join(unit), text).unwrap();
    }
    folder
}

/// What `systemd-analyze` says; none on a machine without it.
fn analyzed(arguments: &[&str], folder: &Path, units: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg("--no-pager").args(units).current_dir(folder);
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_units_are_correct_and_closely_confined() {
    let folder = units();
    let both = ["./cabled-relay.service", "./cabled-relay.socket"];
    let Some((correct, text)) = analyzed(&["verify", "--man=no"], folder.path(), &both) else {
        println!("not checked: there is no systemd-analyze");
        return;
    };
    // Remarks about other units of this machine are none of ours.
    let ours = text.lines().find(|line| line.contains("cabled-relay"));
    assert!(correct && ours.is_none(), "{text}");
    let security = ["security", "--offline=true", "--threshold=25"];
    let verdict = analyzed(&security, folder.path(), &both[..1]);
    let (confined, text) = verdict.unwrap();
    assert!(confined && text.contains("Overall exposure level"), "{text}");
}

#[test]
fn a_certificate_by_acme_needs_the_feature_and_somebody_who_agrees_to_terms() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["relay", "--check-config", "--redirect-listen", "127.0.0.1:0"];
    let mut command = binary();
    command.args(words).env("CABLED_RELAY_ACME_DOMAIN", "relay.example,cable.ua5v.com");
    command.env("CABLED_RELAY_ACME_FOLDER", folder.path());
    let (error, hint) = Program::of(command).end().failed(2);
    let (why, what) = match cfg!(feature = "acme") {
        true => ("nobody agreed to the terms", "--acme-agree-to-terms"),
        false => ("built without the feature `acme`", "--features acme"),
    };
    assert!(error.contains(why) && hint.contains(what), "{error} {hint}");
    let (error, hint) = run(&["relay", "--acme-folder", "/nonexistent"]).failed(2);
    assert!(error.contains("no name") && hint.contains("--acme-domain"), "{error} {hint}");
}
