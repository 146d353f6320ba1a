//! The relay as an operator starts it: settings from three places, pages, systemd.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::program::{Program, binary, run};
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
