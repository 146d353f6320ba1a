//! The children's parts: users of Bluetooth, who know nothing of a fake.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use cabled::ble::{
    Advertisement as _, Advertiser as _, Error, Outgoing, Radio, RadioSpec, Scan as _, Scanner as _,
};
use tokio::time::timeout;

use crate::world::PATIENCE;

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
