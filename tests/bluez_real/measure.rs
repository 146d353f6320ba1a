//! What a reception costs through real BlueZ, beside what BlueZ takes by itself.

use std::future::Future;
use std::time::{Duration, Instant};

use btleplug::api::{Central as _, CentralEvent, Manager as _};
use cabled::ble::{Advertisement as _, Advertiser as _, Outgoing, Scan as _, Scanner as _};
use cabled::client::{Client, Progress};
use cabled::hybrid::advert::{AdvertPlaintext, ConnectionNonce, seal};
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::bluez::{Bluez, service_data};
use crate::world::{LAPTOP, PATIENCE, PHONE, config, is_full, now, radio, rng};

/// Waits for something on a task of its own, and tells how long after `begun` it was there.
fn stopwatch(begun: Instant, event: impl Future<Output = ()> + Send + 'static) -> Watch {
    tokio::spawn(async move {
        timeout(PATIENCE, event).await.unwrap();
        begun.elapsed()
    })
}

type Watch = tokio::task::JoinHandle<Duration>;

fn median<T: Copy + PartialOrd>(mut all: Vec<T>) -> T {
    all.sort_by(|one, other| one.partial_cmp(other).unwrap());
    all[all.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn from_the_advert_to_the_tunnel() {
    let (bluez, laptop, phone) = (Bluez::new().await, radio(LAPTOP), radio(PHONE));
    bluez.quiet().await;
    let relay = std::sync::Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("ws://{}", relay.local_addr().unwrap());
    let rounds = if is_full() { 50 } else { 5 };
    let (mut theirs, mut ours, mut between) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let client = Client::new(laptop.clone(), config(&url)).unwrap();
        let (handle, mut progress) = client.begin(Hint::MakeCredential, now(), &mut rng());
        assert_eq!(progress.next().await, Some(Progress::Listening));
        let secret = QrContents::decode(handle.qr_text().unwrap()).unwrap().secret;
        let nonce = ConnectionNonce::random(&mut rng());
        let plain = AdvertPlaintext::new(nonce, RoutingId::new([0; 3]), TunnelServiceId::GOOGLE);
        let data = seal(&secret.eid_key(), &plain);
        let mut signals = bluez.signals().await;
        let begun = Instant::now();
        let bystander = stopwatch(begun, async move {
            while service_data(&signals.next().await.unwrap().unwrap()).is_none_or(|d| d != data) {}
        });
        let relay = std::sync::Arc::clone(&relay);
        let tunnel = stopwatch(begun, async move { drop(relay.accept().await.unwrap()) });
        let advert = phone.advertise(Outgoing::new(&data)).await.unwrap();
        let (bluez, connected) = (bystander.await.unwrap(), tunnel.await.unwrap());
        theirs.push(bluez);
        ours.push(connected);
        between.push((connected.as_secs_f64() - bluez.as_secs_f64()) * 1000.0);
        handle.cancel().await;
        advert.stop().await.unwrap();
    }
    println!(
        "measured: from the request to advertise, median of {rounds}: BlueZ's signal {:?}, tunnel \
         connected {:?}, {:.1} ms after the signal",
        median(theirs),
        median(ours),
        median(between)
    );
    let mut trips = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        bluez.count(PHONE).await;
        trips.push(begun.elapsed());
    }
    println!("measured: one question to BlueZ and its answer, median {:?}", median(trips));
    bluez.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the guest of tests/run bluez-real"]
async fn the_first_reception_is_enough() {
    let (bluez, laptop, phone) = (Bluez::new().await, radio(LAPTOP), radio(PHONE));
    bluez.quiet().await;
    let rounds = if is_full() { 10 } else { 2 };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let data = [round + 1; 20];
        let mut scan = laptop.scan().await.unwrap();
        let mut events = btleplug_events().await;
        let begun = Instant::now();
        // From the adapter's own address: from a new one each time nothing would ever be repeated.
        let outgoing = Outgoing { connectable: true, ..Outgoing::new(&data) };
        let advert = phone.advertise(outgoing).await.unwrap();
        let heard = async { while scan.next().await.unwrap().service_data != data {} };
        timeout(PATIENCE, heard).await.unwrap();
        first.push(begun.elapsed());
        // With a second advert the kernel sends both in turn, and so the first one again.
        let other = phone.advertise(Outgoing::new(&[0; 20])).await.unwrap();
        let again = Instant::now();
        let event = async {
            loop {
                let event = events.next().await.unwrap();
                if let CentralEvent::ServiceDataAdvertisement { service_data, .. } = event
                    && service_data.into_values().any(|found| found == data)
                {
                    return;
                }
            }
        };
        timeout(PATIENCE, event).await.unwrap();
        second.push(again.elapsed());
        other.stop().await.unwrap();
        advert.stop().await.unwrap();
    }
    println!(
        "measured: heard {:?} after the request to advertise, median of {rounds}; btleplug's own event \
         another {:?} later, when the advert was repeated",
        median(first),
        median(second)
    );
    bluez.quiet().await;
}

async fn btleplug_events() -> impl futures_util::Stream<Item = CentralEvent> + Unpin {
    let manager = btleplug::platform::Manager::new().await.unwrap();
    for adapter in manager.adapters().await.unwrap() {
        if adapter.adapter_info().await.unwrap().starts_with(LAPTOP) {
            return adapter.events().await.unwrap();
        }
    }
    panic!("btleplug does not see {LAPTOP}");
}
