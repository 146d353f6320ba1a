//! The radio without the roles: its rules, and many adverts.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use cabled::ble::conformance::{Suite, links};
use cabled::ble::{Advertisement as _, Advertiser as _, Outgoing};
use cabled::client::{self, Client};
use cabled::hybrid;
use cabled::hybrid::qr::Hint;
use tokio::time::timeout;

use crate::bluez::Bluez;
use crate::world::{LAPTOP, PATIENCE, PHONE, config, is_full, now, radio, rng};

/// An advert of somebody else beside ours: then the kernel sends them in turn, two seconds each, and
/// btvirt, which reports an advert only when it begins, reports ours again and again.
const STRANGER: [u8; 20] = [0; 20];

/// Once in some 150 connections the kernel gives one up that it has begun (`ENOTCONN`); two in a row
/// would be a finding.
const TRIES: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn the_rules_of_all_radios_hold() {
    let (bluez, laptop, phone) = (Bluez::new().await, radio(LAPTOP), radio(PHONE));
    bluez.quiet().await;
    let stranger = radio(PHONE).advertise(Outgoing::new(&STRANGER)).await.unwrap();
    let rounds = if is_full() { 100 } else { 5 };
    Suite::new(&laptop, &phone, PATIENCE, rounds, now()).run().await.unwrap();
    stranger.stop().await.unwrap();
    bluez.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn the_rules_of_connections_hold() {
    let (bluez, laptop, phone) = (Bluez::new().await, radio(LAPTOP), radio(PHONE));
    bluez.quiet().await;
    let there = bluez.address(PHONE).await;
    let outgoing = Outgoing { connectable: true, ..Outgoing::new(&STRANGER) };
    let advert = phone.advertise(outgoing).await.unwrap();
    links(&laptop, &phone, there, PATIENCE, TRIES).await.unwrap();
    advert.stop().await.unwrap();
    bluez.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn many_adverts_in_a_row_go_on_the_air_and_off_it() {
    let (bluez, phone) = (Bluez::new().await, radio(PHONE));
    bluez.quiet().await;
    let (rounds, begun) = (if is_full() { 1000 } else { 30 }, Instant::now());
    for round in 0..rounds {
        let mut data = [0; 20];
        data[..4].copy_from_slice(&u32::to_be_bytes(round));
        let advert = phone.advertise(Outgoing::new(&data)).await.unwrap();
        assert_eq!(bluez.count(PHONE).await, 1, "round {round}");
        advert.stop().await.unwrap();
        assert_eq!(bluez.count(PHONE).await, 0, "round {round}");
    }
    println!("measured: {rounds} adverts, {:?} each", begun.elapsed() / rounds);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn an_adapter_does_not_hear_itself_and_the_laptop_says_so() {
    let (bluez, both) = (Bluez::new().await, radio(PHONE));
    bluez.quiet().await;
    let mut config = config("ws://127.0.0.1:1");
    config.deadlines.advert = Duration::from_secs(10);
    let laptop = Client::new(both.clone(), config).unwrap();
    let (mut handle, _progress) = laptop.begin(Hint::MakeCredential, now(), &mut rng());
    bluez.listening(PHONE, true).await;
    let phone = both.advertise(Outgoing::new(&[5; 20])).await.unwrap();
    let error = timeout(PATIENCE, handle.ready()).await.unwrap().unwrap_err();
    let silent = |heard: &hybrid::Heard| heard.foreign == 0;
    let said =
        matches!(&error, client::Error::Protocol(hybrid::Error::NoAdvert(heard)) if silent(heard));
    assert!(said, "{error:?}");
    phone.stop().await.unwrap();
    bluez.quiet().await;
}
