//! Ten thousand strangers' adverts a second for ten seconds: the right one is found, nothing grows.
//!
//! What goes through the bus and what it costs is printed; it depends on the machine.

use std::time::Duration;

use cabled::ble::{Advertiser as _, Outgoing};
use cabled::testbed::Crowd;

use crate::world::{Led, World, cpu_seconds, memory};

const PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 10;

/// The phone comes after three seconds, with the interval that phones have.
async fn storm(senders: u32) {
    let world = World::with(memory(Duration::from_millis(100)), &["hci0"]).await;
    let mut child = Led::start(&world, "child_waits_in_a_storm");
    child.says("waiting").await;
    world.until(|now| now.discovering == 1).await;
    let before = cpu_seconds();
    world.fake.gather(Some(Crowd { per_second: PER_SECOND, senders }));
    world.until(|now| now.due >= u64::from(3 * PER_SECOND)).await;
    let phone = world.radio.advertise(Outgoing::new(&[9; 20])).await.unwrap();
    let found = child.says("found").await;
    drop(phone);
    let counts = world.until(|now| now.due >= u64::from(SECONDS * PER_SECOND)).await;
    world.fake.gather(None);
    let fake = cpu_seconds() - before;
    child.go_on().await;
    let cost = child.says("CPU").await;
    println!("{senders} senders: {} adverts, {} through the bus", counts.due, counts.told);
    println!("  the fake took {fake:.1} s of CPU; the laptop {found}, {cost}");
    child.passes().await;
    // Far less than what any machine carries, and enough to have been a storm.
    assert!(counts.told >= 10_000, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_hides_nobody() {
    storm(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ever_new_senders_hide_nobody() {
    storm(1_000_000).await;
}

/// Another program has discovery on already, so that the signals are there before the laptop is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_begins_in_a_storm_hears() {
    let world = World::with(memory(Duration::from_millis(100)), &["hci0"]).await;
    let mut other = Led::start(&world, "child_holds_and_lets_go");
    other.says("holding").await;
    world.fake.gather(Some(Crowd { per_second: PER_SECOND, senders: 200 }));
    world.until(|now| now.told >= 1000).await;
    let _phone = world.radio.advertise(Outgoing::new(&[9; 20])).await.unwrap();
    for _ in 0..5 {
        world.passes("child_finds").await;
    }
}
