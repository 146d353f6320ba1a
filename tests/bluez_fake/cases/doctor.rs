//! `cabled doctor` before each state of BlueZ, and without one.

use std::process::{Output, Stdio};

use cabled::testbed::PrivateBus;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::world::{ADDRESS, PATIENCE, World};

/// A finding: area, severity, cause.
type Said = (String, String, String);

async fn look(address: &str, more: &[&str]) -> (Option<i32>, Vec<Said>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    command.args(["doctor", "--json", "--offline"]).args(more);
    command.env(ADDRESS, address).env_remove("CABLED_RADIO").kill_on_drop(true);
    command.stdin(Stdio::null());
    let Output { status, stdout, .. } = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let lines = std::str::from_utf8(&stdout).unwrap().lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let findings = lines.filter(|line| line["event"] == "finding");
    let said = |line| (text(&line, "area"), text(&line, "severity"), text(&line, "cause"));
    (status.code(), findings.map(said).collect())
}

fn says(found: &[Said], area: &str, severity: &str, cause: &str) -> bool {
    found.iter().any(|(a, s, c)| a == area && s == severity && c.contains(cause))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_what_is_well() {
    let world = World::new().await;
    let (_, found) = look(world.bus.address(), &[]).await;
    assert!(says(&found, "dbus", "ok", "can be used"), "{found:#?}");
    assert!(says(&found, "bluetooth", "ok", "BlueZ answers"), "{found:#?}");
    for adapter in ["hci0", "hci1"] {
        let fine = format!("{adapter} can hear and send adverts");
        assert!(says(&found, "bluetooth", "ok", &fine), "{found:#?}");
    }
    assert!(world.fake.counts().asked == 0, "it only looks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_an_adapter_that_is_off() {
    let world = World::new().await;
    world.fake.set_powered("hci0", false).await.unwrap();
    let (status, found) = look(world.bus.address(), &[]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "bluetooth", "problem", "hci0 is switched off"), "{found:#?}");
    let (_, found) = look(world.bus.address(), &["--radio", "bluez:hci1"]).await;
    assert!(says(&found, "bluetooth", "note", "hci0 is switched off"), "{found:#?}");
    assert!(says(&found, "bluetooth", "ok", "hci1 can hear and send"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_misses_an_adapter() {
    let world = World::new().await;
    let (status, found) = look(world.bus.address(), &["--radio", "bluez:hci7"]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "bluetooth", "problem", "no Bluetooth adapter hci7"), "{found:#?}");
    for adapter in ["hci0", "hci1"] {
        world.fake.unplug(adapter).await.unwrap();
    }
    let (status, found) = look(world.bus.address(), &[]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "bluetooth", "problem", "there is no Bluetooth adapter"), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_tells_a_missing_right_from_a_missing_service() {
    let world = World::new().await;
    world.fake.deny(true);
    let (status, found) = look(world.bus.address(), &[]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "dbus", "ok", ""), "{found:#?}");
    assert!(says(&found, "bluetooth", "problem", "this user may not use Bluetooth"), "{found:#?}");
    let empty = PrivateBus::start().await.unwrap();
    let (status, found) = look(empty.address(), &[]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "dbus", "ok", ""), "{found:#?}");
    assert!(says(&found, "bluetooth", "problem", "the Bluetooth service "), "{found:#?}");
    let (status, found) = look("unix:path=/nonexistent/bus", &[]).await;
    assert_eq!(status, Some(3));
    assert!(says(&found, "dbus", "problem", "there is no D-Bus"), "{found:#?}");
}
