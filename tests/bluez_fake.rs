//! The Bluetooth backends as users have them, against a fake BlueZ on a D-Bus of the test's own.
//!
//! libdbus takes the bus's address from the environment only, so each case runs in a child: this
//! very test program again, with one test marked `#[ignore]` that plays the user's part.
#![cfg(all(feature = "bluetooth", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy takes for production code"
)]

#[path = "support/fake_bluez/mod.rs"]
mod fake;

use std::io::{BufRead as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use cabled::ble::memory::MemoryRadio;
use cabled::ble::{
    Advertisement as _, Advertiser as _, Conditions, Error, Outgoing, Radio, RadioSpec, Scan as _,
    Scanner as _,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use fake::{Counts, FakeBluez, PrivateBus};

const PATIENCE: Duration = Duration::from_secs(120);
const ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

fn memory(interval: Duration) -> Radio {
    let conditions = Conditions { interval, ..Conditions::default() };
    Radio::Memory(MemoryRadio::new(conditions).unwrap())
}

/// A bus with a fake BlueZ on it and a radio behind that.
struct World {
    fake: FakeBluez,
    radio: Radio,
    bus: PrivateBus,
}

impl World {
    async fn new() -> Self {
        Self::with(memory(Duration::from_millis(5)), &["hci0", "hci1"]).await
    }

    async fn with(radio: Radio, adapters: &[&str]) -> Self {
        let bus = PrivateBus::start();
        let fake = FakeBluez::start(bus.address(), radio.clone(), adapters).await.unwrap();
        Self { fake, radio, bus }
    }

    async fn passes(&self, part: &str) -> String {
        passes(self.bus.address(), part).await
    }

    /// Waits until clients have come or gone; each look is a turn of the runtime, not a pause.
    async fn until(&self, wanted: impl Fn(Counts) -> bool) {
        let search = async {
            while !wanted(self.fake.counts()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, search).await.expect("did not come about");
    }
}

fn command(address: &str, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", part, "--ignored", "--nocapture"]).env(ADDRESS, address);
    command.kill_on_drop(true);
    command
}

/// Runs a child to its end and gives what it printed.
async fn passes(address: &str, part: &str) -> String {
    let output = timeout(PATIENCE, command(address, part).output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{part}: {text}{errors}");
    text
}

/// A child that is told when to go on.
struct Led {
    child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Led {
    fn start(world: &World, part: &str) -> Self {
        let mut command = command(world.bus.address(), part);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from: BufReader::new(from).lines() }
    }

    async fn says(&mut self, wanted: &str) {
        let search = async {
            while let Some(line) = self.from.next_line().await.unwrap() {
                if line.ends_with(wanted) {
                    return;
                }
            }
            panic!("the child ended without {wanted:?}");
        };
        timeout(PATIENCE, search).await.unwrap();
    }

    async fn go_on(&mut self) {
        self.to.write_all(b"\n").await.unwrap();
    }

    async fn passes(mut self) {
        self.says("ok").await;
        assert!(timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success());
    }
}

mod bluez_fake {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_backends_conform_and_lose_none_of_a_thousand_adverts() {
        let world = World::new().await;
        world.passes("child_conforms").await;
        world.until(|now| now.discovering == 0 && now.on_air == 0).await;
        assert!(world.fake.counts().accepted >= 1000);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_reception_is_enough() {
        let world = World::with(memory(Duration::from_secs(60)), &["hci0", "hci1"]).await;
        world.passes("child_hears_the_first").await;
        world.until(|now| now.discovering == 0 && now.on_air == 0).await;
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
        world.fake.deny_all();
        world.passes("child_is_denied").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_missing_service_is_said() {
        let bus = PrivateBus::start();
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
}

fn bluez(spec: &str) -> Radio {
    let spec: RadioSpec = spec.parse().unwrap();
    let radio = Radio::open(&spec).unwrap();
    assert!(!radio.is_simulated());
    radio
}

fn wait_for_the_parent() {
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

fn say(text: &str) {
    println!("\n{text}");
    std::io::stdout().flush().unwrap();
}

async fn hear(radio: &Radio, data: &[u8]) {
    let mut scan = radio.scan().await.unwrap();
    let search = async { while scan.next().await.unwrap().service_data != data {} };
    timeout(PATIENCE, search).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of the tests above"]
async fn child_conforms() {
    use cabled::ble::conformance::Suite;
    let (laptop, phone) = (bluez("bluez"), bluez("bluez:hci1"));
    Suite::new(&laptop, &phone, Duration::from_secs(10), 1000, 1).run().await.unwrap();
}

/// A radio sends at once and then after its interval, which is longer than this waits.
#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_hears_the_first() {
    let (laptop, phone) = (bluez("bluez:hci0"), bluez("bluez:hci1"));
    let mut scan = laptop.scan().await.unwrap();
    for number in 0..50 {
        let _advert = phone.advertise(Outgoing::new(&[number; 20])).await.unwrap();
        let heard = timeout(Duration::from_secs(50), scan.next()).await.unwrap().unwrap();
        assert_eq!((heard.service_data.as_slice(), heard.rssi), (&[number; 20][..], Some(-40)));
    }
    // BlueZ still knows the senders: a scan that begins now does not take that for a reception.
    let mut later = bluez("bluez:hci0").scan().await.unwrap();
    let _advert = phone.advertise(Outgoing::new(&[99; 20])).await.unwrap();
    let heard = timeout(Duration::from_secs(50), later.next()).await.unwrap().unwrap();
    assert_eq!(heard.service_data, [99; 20]);
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_meets() {
    let radio = bluez("bluez:hci0");
    hear(&radio, &[9; 20]).await;
    let data = [8; 24];
    let advert = Outgoing { connectable: true, ..Outgoing::new(&data) };
    let advert = radio.advertise(advert).await.unwrap();
    say("heard");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    advert.stop().await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_holds_and_lets_go() {
    let radio = bluez("bluez");
    let scans = (radio.scan().await.unwrap(), radio.clone().scan().await.unwrap());
    let advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    say("holding");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    drop((scans, advert));
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_loses_power() {
    let radio = bluez("bluez:hci0");
    let mut scan = radio.scan().await.unwrap();
    say("holding");
    let end = timeout(PATIENCE, scan.next()).await.unwrap();
    assert!(matches!(end, Err(Error::PoweredOff)), "{end:?}");
    assert!(matches!(scan.next().await, Err(Error::PoweredOff)));
    assert!(matches!(radio.scan().await, Err(Error::PoweredOff)));
}

async fn both_fail(spec: &str, wanted: fn(&Error) -> bool) {
    let radio = bluez(spec);
    let error = radio.scan().await.unwrap_err();
    assert!(wanted(&error), "scan: {error:?}");
    let error = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap_err();
    assert!(wanted(&error), "advertise: {error:?}");
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_finds_it_off() {
    both_fail("bluez", |error| matches!(error, Error::PoweredOff)).await;
    both_fail("bluez:hci0", |error| matches!(error, Error::PoweredOff)).await;
    drop(bluez("bluez:hci1").scan().await.unwrap());
    both_fail("bluez:hci0", |error| matches!(error, Error::PoweredOff)).await;
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_finds_no_adapter() {
    both_fail("bluez", |error| matches!(error, Error::NoAdapter)).await;
    both_fail("bluez:hci7", |error| matches!(error, Error::NoAdapter)).await;
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_is_denied() {
    both_fail("bluez", |error| matches!(error, Error::PermissionDenied)).await;
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_finds_no_service() {
    both_fail("bluez", |error| matches!(error, Error::NoService(_))).await;
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_advertises() {
    bluez("bluez:hci1").advertise(Outgoing::new(&[1; 20])).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_fills_all_slots() {
    let radio = bluez("bluez:hci1");
    let mut adverts = Vec::new();
    let error = loop {
        match radio.advertise(Outgoing::new(&[1; 20])).await {
            Ok(advert) => adverts.push(advert),
            Err(error) => break error,
        }
    };
    assert_eq!(adverts.len(), 5);
    assert!(error.to_string().contains("adverts active 5, free 0; bytes 31"), "{error}");
    assert!(matches!(error, Error::NoFreeSlot { .. }));
    drop(adverts.pop());
    drop(radio.advertise(Outgoing::new(&[1; 20])).await.unwrap());
}

#[tokio::test]
#[ignore = "a child of the tests above"]
async fn child_is_refused() {
    let error = bluez("bluez").advertise(Outgoing::new(&[1; 20])).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("free 5; bytes 31; includes tx-power"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}
