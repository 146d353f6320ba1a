//! `cabled bench relay` against a relay of ours, and against what is none.

use std::net::TcpListener;

use serde_json::Value;

use crate::program::{Program, binary, run};

#[test]
fn a_relay_is_measured() {
    let mut command = binary();
    command.args(["relay", "--tunnel-rate-per-address", "1000"]);
    let mut relay = Program::of(command);
    let line = relay.says(|line| line.starts_with("listening on "));
    let (url, pid) = (line.strip_prefix("listening on ").unwrap(), relay.id().to_string());
    let load = ["--tunnels", "10", "--active", "4", "--messages", "6", "--window", "4"];
    let options = ["--slow", "1", "--size", "70000", "--pid", &pid, "--json"];
    let ended = run(&[&["bench", "relay", url], &load[..], &options[..]].concat()).succeeded();
    let told: Value = serde_json::from_str(&ended.out[0]).unwrap();
    assert_eq!((&told["event"], &told["messages"]), (&"bench".into(), &48.into()));
    for name in ["setups_per_second", "rtt_p50_us", "memory_base", "cpu_us_per_message"] {
        assert!(told[name].as_f64().unwrap() > 0.0, "{name}: {told}");
    }
    // What a relay's limit cuts off is an error that names the options.
    let many = ["--tunnels", "1", "--active", "1", "--messages", "2000", "--size", "8"];
    let (error, hint) = run(&[&["bench", "relay", url], &many[..]].concat()).failed(5);
    assert!(error.contains("code 1008") && hint.contains("--messages"), "{error}: {hint}");
    let crowd = ["--tunnels", "300", "--active", "0"];
    let (error, hint) = run(&[&["bench", "relay", url], &crowd[..]].concat()).failed(5);
    assert!(error.contains("429") && hint.contains("--per-address"), "{error}: {hint}");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, hint) = run(&["bench", "relay", &format!("ws://{gone}")]).failed(5);
    assert!(hint.contains("that the relay runs"), "{hint}");
    let pid = u32::MAX.to_string();
    let (error, hint) = run(&["bench", "relay", &format!("ws://{gone}"), "--pid", &pid]).failed(2);
    assert!(error.contains(&pid) && hint.contains("--pid"), "{error}: {hint}");
}

#[test]
fn a_mixed_load_is_for_a_relay_on_this_machine_without_tls() {
    let mixed = |url: &str| run(&["bench", "relay", url, "--mixed", "1"]);
    let (error, hint) = mixed("wss://127.0.0.1:9").failed(2);
    assert!(error.contains("without TLS") && hint.contains("ws://"), "{error}: {hint}");
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (error, _) = mixed(&format!("ws://{gone}")).failed(5);
    assert!(error.contains("refused"), "{error}");
    // One that answers, and is no relay of ours.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", other.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut socket, _) = other.accept().unwrap();
        assert!(socket.read(&mut [0; 1024]).unwrap() > 0);
        socket.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
    });
    let (error, _) = mixed(&url).failed(7);
    assert!(error.contains("metrics"), "{error}");
    answering.join().unwrap();
}
