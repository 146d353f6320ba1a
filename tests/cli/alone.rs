//! Commands that need no other process.

use serde_json::Value;

use crate::program::{Program, run};

#[test]
fn help_names_every_command_and_fits_the_screen() {
    let help = run(&["--help"]).succeeded();
    assert!(help.err.is_empty());
    let text = help.out.join("\n");
    for command in ["demo", "register", "sign-in", "phone", "relay", "inspect", "testbed"] {
        assert!(text.contains(&format!("\n  {command} ")), "{text}");
        let own = run(&[command, "--help"]).succeeded();
        assert!(own.out.iter().any(|line| line.starts_with("Usage: cabled ")), "{own:?}");
        assert!(own.out.iter().all(|line| line.chars().count() <= 100), "{own:#?}");
    }
    for status in 0..=10 {
        assert!(text.replace('\n', " ").contains(&format!(" {status} ")), "status {status}");
    }
    assert!(text.contains("130"));
}

#[test]
fn the_version_is_the_packages() {
    let version = run(&["--version"]).succeeded();
    assert_eq!(version.out, [format!("cabled {}", env!("CARGO_PKG_VERSION"))]);
}

#[test]
fn without_a_command_help_is_shown() {
    let ended = run::<&str>(&[]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.out.is_empty() && ended.err.iter().any(|line| line == "Commands:"));
}

#[test]
fn a_relay_says_where_it_listens_and_ends_in_order() {
    let drains = "Stopping: no new tunnels, and 30 s for those that run. Ctrl-C ends them now.";
    for (signal, said) in [("TERM", &[drains, "Stopped."][..]), ("INT", &["Stopped."])] {
        let mut relay = Program::start(&["relay"]);
        let line = relay.says(|_| true);
        let port = line.strip_prefix("listening on ws://127.0.0.1:").unwrap();
        assert!(port.parse::<u16>().unwrap() > 0);
        relay.signal(signal);
        let ended = relay.end().succeeded();
        assert!(ended.out.len() == 1 && ended.err == said, "{ended:#?}");
    }
}

#[test]
fn a_relay_talks_to_machines_too() {
    let mut relay = Program::start(&["relay", "--json"]);
    let line: Value = serde_json::from_str(&relay.says(|_| true)).unwrap();
    assert_eq!((&line["v"], &line["event"]), (&1.into(), &"listening".into()));
    assert!(line["url"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
    relay.signal("TERM");
    relay.end().succeeded();
}

#[test]
fn the_names_of_tunnel_services_are_computed() {
    for (id, domain) in
        [("0", "cable.ua5v.com"), ("1", "cable.auth.com"), ("266", "cable.wufkweyy3uaxb.com")]
    {
        assert_eq!(run(&["relay", "domain", id]).succeeded().out, [domain]);
        let json = run(&["relay", "domain", id, "--json"]).succeeded();
        let json: Value = serde_json::from_str(&json.out[0]).unwrap();
        assert_eq!(json["domain"], domain);
    }
}

#[test]
fn the_demo_passes_and_says_so_last() {
    let demo = run(&["demo"]).succeeded();
    assert!(demo.err.is_empty(), "{demo:#?}");
    let verdict = demo.out.last().unwrap();
    assert!(verdict.starts_with("PASSED: "), "{verdict}");
    // The code is drawn with its quiet zone, in explicit colours.
    assert!(demo.out.iter().any(|line| line.contains("\x1b[")), "{demo:#?}");
    let steps = demo.out.iter().filter(|line| line.contains(" ms  "));
    assert!(steps.count() > 15, "{demo:#?}");
    let plain = run(&["demo", "--no-qr"]).succeeded();
    assert!(plain.out.iter().all(|line| !line.contains('\x1b')), "{plain:#?}");
}

#[test]
fn the_demo_in_json_is_one_object_to_a_line() {
    let demo = run(&["demo", "--json"]).succeeded();
    assert!(demo.err.is_empty());
    let lines: Vec<Value> =
        demo.out.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1 && line["event"].is_string()));
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    for event in ["qr", "saved", "registration-verified", "sign-in-verified", "delivered"] {
        assert!(events.contains(&event), "{events:?}");
    }
    let verdict = lines.last().unwrap();
    assert_eq!((&verdict["event"], &verdict["passed"]), (&"verdict".into(), &true.into()));
}
