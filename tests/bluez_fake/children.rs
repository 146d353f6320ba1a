//! The children's parts: users of Bluetooth, who know nothing of a fake.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use cabled::ble::{
    Advertisement as _, Advertiser as _, Error, Outgoing, Radio, RadioSpec, Scan as _, Scanner as _,
};
use tokio::time::timeout;

use crate::world::{PATIENCE, cpu_seconds, resident_kib};

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
#[ignore = "a child of the cases"]
async fn child_conforms() {
    use cabled::ble::conformance::Suite;
    let (laptop, phone) = (bluez("bluez"), bluez("bluez:hci1"));
    Suite::new(&laptop, &phone, Duration::from_secs(10), 1000, 1).run().await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the cases"]
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
#[ignore = "a child of the cases"]
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
#[ignore = "a child of the cases"]
async fn child_loses_power() {
    let radio = bluez("bluez:hci0");
    let mut scan = radio.scan().await.unwrap();
    let mut advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    say("holding");
    assert!(matches!(off_air(&mut advert).await, Error::PoweredOff));
    assert!(matches!(end(&mut scan).await, Error::PoweredOff));
    assert!(matches!(scan.next().await, Err(Error::PoweredOff)));
    assert!(matches!(radio.scan().await, Err(Error::PoweredOff)));
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_loses_the_adapter() {
    let radio = bluez("bluez:hci0");
    let mut scan = radio.scan().await.unwrap();
    let mut advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear_in(&mut scan, &[1; 20]).await;
    say("holding");
    assert!(matches!(off_air(&mut advert).await, Error::AdapterGone));
    assert!(matches!(end(&mut scan).await, Error::AdapterGone));
    assert!(matches!(end(&mut scan).await, Error::AdapterGone));
    both_fail("bluez:hci0", |error| matches!(error, Error::NoAdapter)).await;
    assert!(matches!(radio.scan().await, Err(Error::NoAdapter)));
    assert!(matches!(radio.advertise(Outgoing::new(&[1; 20])).await, Err(Error::NoAdapter)));
    drop(advert);
    say("empty-handed");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    hear(&radio, &[2; 20]).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_loses_the_service() {
    let radio = bluez("bluez");
    let mut scan = radio.scan().await.unwrap();
    let mut advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear_in(&mut scan, &[1; 20]).await;
    say("holding");
    assert!(matches!(off_air(&mut advert).await, Error::ServiceGone));
    assert!(matches!(end(&mut scan).await, Error::ServiceGone));
    both_fail("bluez", |error| matches!(error, Error::NoService(_))).await;
    assert!(matches!(radio.scan().await, Err(Error::NoService(_))));
    say("empty-handed");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    // The new service knows nothing of the old advert, which is as good as taken off.
    advert.stop().await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    hear(&radio, &[2; 20]).await;
}

async fn off_air(advert: &mut cabled::ble::RadioAdvertisement) -> Error {
    timeout(PATIENCE, advert.lost()).await.unwrap()
}

/// Waits for the end of a scan; what was on its way comes before.
async fn end(scan: &mut cabled::ble::RadioScan) -> Error {
    let ending = async {
        loop {
            if let Err(error) = scan.next().await {
                return error;
            }
        }
    };
    timeout(PATIENCE, ending).await.unwrap()
}

async fn hear_in(scan: &mut cabled::ble::RadioScan, data: &[u8]) {
    let search = async { while scan.next().await.unwrap().service_data != data {} };
    timeout(PATIENCE, search).await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_panics_and_is_aborted_while_it_holds() {
    let radio = bluez("bluez");
    for aborted in [false, true] {
        let holder = radio.clone();
        let (ready, wait) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let scan = holder.scan().await.unwrap();
            let advert = holder.advertise(Outgoing::new(&[1; 20])).await.unwrap();
            ready.send(()).unwrap();
            tokio::task::yield_now().await;
            assert!(aborted, "this panic is meant");
            std::future::pending::<()>().await;
            drop((scan, advert));
        });
        wait.await.unwrap();
        say(if aborted { "holding to be aborted" } else { "about to panic" });
        if aborted {
            tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
            task.abort();
        }
        assert_eq!(task.await.unwrap_err().is_cancelled(), aborted);
        tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_aborts() {
    let radio = bluez("bluez");
    let _scan = radio.scan().await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    say("holding");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    std::process::abort();
}

/// Hears an advert, and then, in a second discovery, only what is sent then: not what BlueZ remembers.
#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_hears_no_memories() {
    let (laptop, phone) = (bluez("bluez:hci0"), bluez("bluez:hci1"));
    let before = phone.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&laptop, &[1; 20]).await;
    before.stop().await.unwrap();
    say("stopped");
    tokio::task::spawn_blocking(wait_for_the_parent).await.unwrap();
    let mut scan = laptop.scan().await.unwrap();
    let _after = phone.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    for _ in 0..5 {
        let sighting = timeout(PATIENCE, scan.next()).await.unwrap().unwrap();
        assert_eq!(sighting.service_data, [2; 20]);
    }
}

async fn both_fail(spec: &str, wanted: fn(&Error) -> bool) {
    let radio = bluez(spec);
    let error = radio.scan().await.unwrap_err();
    assert!(wanted(&error), "scan: {error:?}");
    let error = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap_err();
    assert!(wanted(&error), "advertise: {error:?}");
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_finds_it_off() {
    both_fail("bluez", |error| matches!(error, Error::PoweredOff)).await;
    both_fail("bluez:hci0", |error| matches!(error, Error::PoweredOff)).await;
    drop(bluez("bluez:hci1").scan().await.unwrap());
    both_fail("bluez:hci0", |error| matches!(error, Error::PoweredOff)).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_finds_no_adapter() {
    both_fail("bluez", |error| matches!(error, Error::NoAdapter)).await;
    both_fail("bluez:hci7", |error| matches!(error, Error::NoAdapter)).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_is_denied() {
    both_fail("bluez", |error| matches!(error, Error::PermissionDenied)).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_finds_no_service() {
    both_fail("bluez", |error| matches!(error, Error::NoService(_))).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_advertises() {
    bluez("bluez:hci1").advertise(Outgoing::new(&[1; 20])).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the cases"]
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
#[ignore = "a child of the cases"]
async fn child_is_refused() {
    let error = bluez("bluez").advertise(Outgoing::new(&[1; 20])).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("free 5; bytes 31; includes tx-power"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_meets_itself() {
    let (laptop, phone) = (bluez("bluez:hci0"), bluez("bluez:hci1"));
    let _advert = phone.advertise(Outgoing::new(&[3; 20])).await.unwrap();
    hear(&laptop, &[3; 20]).await;
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_finds_it_all_off() {
    both_fail("bluez", |error| matches!(error, Error::PoweredOff)).await;
}

/// A laptop that waits for `[9; 20]` and stays until it is told to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child of the cases"]
async fn child_waits_in_a_storm() {
    let radio = bluez("bluez");
    let mut scan = radio.scan().await.unwrap();
    say("waiting");
    let (mut heard, mut warm, mut found) = (0_u64, None, false);
    let mut go = tokio::task::spawn_blocking(wait_for_the_parent);
    let storm = async {
        loop {
            tokio::select! {
                gone = &mut go => return gone.unwrap(),
                sighting = scan.next() => {
                    heard += 1;
                    if sighting.unwrap().service_data == [9; 20] && !found {
                        found = true;
                        say(&format!("heard {heard} until it found"));
                    }
                    if heard == 1000 {
                        warm = Some(resident_kib());
                    }
                }
            }
        }
    };
    timeout(PATIENCE, storm).await.unwrap();
    let (after, warm) = (resident_kib(), warm.unwrap());
    let grown = after.saturating_sub(warm);
    say(&format!("{heard} in all, {after} KiB (+{grown}), {:.1} s of CPU", cpu_seconds()));
    assert!(found && grown < 4096, "{grown} KiB more than after the first 1,000 adverts");
}

/// A program of others: it takes the adapter, the power, the filter and the events from btleplug.
#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_hears_through_btleplug() {
    use btleplug::api::{Central as _, CentralEvent, Manager as _, ScanFilter};
    use futures_util::StreamExt as _;
    let manager = btleplug::platform::Manager::new().await.unwrap();
    let adapter = manager.adapters().await.unwrap().remove(0);
    let mut events = adapter.events().await.unwrap();
    adapter.start_scan(ScanFilter::default()).await.unwrap();
    let search = async {
        loop {
            let event = events.next().await.unwrap();
            if let CentralEvent::ServiceDataAdvertisement { service_data, .. } = event
                && service_data.values().any(|data| *data == [7; 20])
            {
                return;
            }
        }
    };
    timeout(PATIENCE, search).await.unwrap();
    adapter.stop_scan().await.unwrap();
}

#[tokio::test]
#[ignore = "a child of the cases"]
async fn child_finds() {
    hear(&bluez("bluez"), &[9; 20]).await;
}
