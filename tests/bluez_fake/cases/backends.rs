//! What the backends do with each state of BlueZ.

use std::time::Duration;

use cabled::ble::{Advertiser as _, Outgoing, Radio, RadioSpec, Scan as _, Scanner as _};
use cabled::testbed::{FakeBluez, PrivateBus};
use tokio::time::timeout;

use crate::world::{Led, PATIENCE, World, memory, passes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backends_conform_and_lose_none_of_a_thousand_adverts() {
    let world = World::new().await;
    world.passes("child_conforms").await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
    assert!(world.fake.counts().accepted >= 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_backends_meet_the_simulated_radio() {
    let folder = tempfile::TempDir::new().unwrap();
    let spec: RadioSpec = format!("air:{}", folder.path().display()).parse().unwrap();
    let world = World::with(Radio::open(&spec).unwrap(), &["hci0"]).await;
    let mut child = Led::start(&world, "child_meets");
    let data = [9; 20];
    let _phone = world.radio.advertise(Outgoing::new(&data)).await.unwrap();
    child.says("heard").await;
    let mut laptop = world.radio.scan().await.unwrap();
    let search = async { while laptop.next().await.unwrap().service_data != [8; 24] {} };
    timeout(PATIENCE, search).await.unwrap();
    child.go_on().await;
    child.passes().await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guards_stop_the_radio() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_holds_and_lets_go");
    child.says("holding").await;
    world.until(|now| now.discovering == 1 && now.on_air == 1).await;
    child.go_on().await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
    child.go_on().await;
    child.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_stops_the_radio() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_holds_and_lets_go");
    child.says("holding").await;
    world.until(|now| now.discovering == 1 && now.on_air == 1).await;
    child.child.kill().await.unwrap();
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_and_an_aborted_task_stop_the_radio() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_panics_and_is_aborted_while_it_holds");
    child.says("about to panic").await;
    world.until(|now| now.asked == 1 && now.discovering == 0 && now.on_air == 0).await;
    child.go_on().await;
    child.says("holding to be aborted").await;
    world.until(|now| now.discovering == 1 && now.on_air == 1).await;
    child.go_on().await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
    child.go_on().await;
    child.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_stops_the_radio() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_aborts");
    child.says("holding").await;
    world.until(|now| now.discovering == 1 && now.on_air == 1).await;
    child.go_on().await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
    assert!(!timeout(PATIENCE, child.child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_bluez_remembers_is_not_heard() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_hears_no_memories");
    child.says("stopped").await;
    let counts = world.until(|now| now.discovering == 0).await;
    assert!(counts.devices > 0);
    child.go_on().await;
    child.passes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_is_pulled_out_is_missed() {
    let world = World::with(memory(Duration::from_millis(5)), &["hci0"]).await;
    let mut child = Led::start(&world, "child_loses_the_adapter");
    child.says("holding").await;
    world.fake.unplug("hci0").await.unwrap();
    child.says("empty-handed").await;
    world.fake.plug_in("hci0").await.unwrap();
    child.go_on().await;
    child.passes().await;
    world.until(|now| now.discovering == 0 && now.on_air == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_restarted_is_missed() {
    let world = World::with(memory(Duration::from_millis(5)), &["hci0"]).await;
    let mut child = Led::start(&world, "child_loses_the_service");
    let World { fake, radio, bus } = world;
    child.says("holding").await;
    fake.stop().await.unwrap();
    child.says("empty-handed").await;
    let fake = FakeBluez::start(bus.address(), radio, &["hci0"]).await.unwrap();
    child.go_on().await;
    child.passes().await;
    timeout(PATIENCE, fake.until(|now| now.discovering == 0 && now.on_air == 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_that_goes_off_ends_a_scan() {
    let world = World::new().await;
    let mut child = Led::start(&world, "child_loses_power");
    child.says("holding").await;
    world.fake.set_powered("hci0", false).await.unwrap();
    child.passes().await;
    assert_eq!(world.fake.counts().discovering, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_is_off_stays_off() {
    let world = World::new().await;
    world.fake.set_powered("hci0", false).await.unwrap();
    world.passes("child_finds_it_off").await;
    assert_eq!(world.fake.counts().asked, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_adapter_is_said() {
    let world = World::with(memory(Duration::from_millis(20)), &[]).await;
    world.passes("child_finds_no_adapter").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_said() {
    let world = World::new().await;
    world.fake.deny(true);
    world.passes("child_is_denied").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_service_is_said() {
    let bus = PrivateBus::start().await.unwrap();
    passes(bus.address(), "child_finds_no_service").await;
    passes("unix:path=/nonexistent/bus.sock", "child_finds_no_service").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fussy_controller_is_asked_for_less() {
    let world = World::new().await;
    world.fake.refuse(|asked| {
        let fits = !asked.broadcast && !asked.listed && asked.discoverable == Some(true);
        (!fits).then_some("Failed")
    });
    world.passes("child_advertises").await;
    let counts = world.fake.counts();
    assert_eq!((counts.asked, counts.accepted), (7, 1));
    world.fake.refuse(|asked| asked.interval.is_some().then_some("NotSupported"));
    world.passes("child_advertises").await;
    assert_eq!(world.fake.counts().asked, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_controller_can_do_is_in_the_error() {
    let world = World::new().await;
    world.passes("child_fills_all_slots").await;
    world.until(|now| now.on_air == 0).await;
    world.fake.refuse(|_| Some("Failed"));
    world.passes("child_is_refused").await;
    assert_eq!(world.fake.counts().on_air, 0);
}
