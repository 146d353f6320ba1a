//! The Bluetooth half: nothing heard, only strangers heard, nonsense heard, no radio.

use std::time::Duration;

use cabled::ble::memory::MemoryRadio;
use cabled::ble::{self, Advertiser as _, Conditions, Outgoing, Radio};
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::client::{self, Client, Error, Progress, TransactionHandle};
use cabled::hybrid::advert::{self, AdvertPlaintext, ConnectionNonce};
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled::hybrid::{self, PrivateKey};
use serde_json::json;

use crate::world::{NOW, World, alive, options_for, rand_core_os, rng, soon};

fn memory(conditions: Conditions) -> MemoryRadio {
    MemoryRadio::new(conditions).unwrap()
}

fn config() -> client::Config {
    let mut config = client::Config::new(Connector::new(Trust::System));
    config.relay = Some("ws://127.0.0.1:9".parse().unwrap());
    config
}

fn laptop(radio: &MemoryRadio) -> Client {
    Client::new(Radio::Memory(radio.clone()), config()).unwrap()
}

async fn fails(mut handle: TransactionHandle) -> Error {
    let error = handle.ready().await.unwrap_err();
    alive(0).await;
    error
}

fn heard(error: &Error) -> hybrid::Heard {
    match error {
        Error::Protocol(hybrid::Error::NoAdvert(heard)) => *heard,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_the_deadline() {
    let (handle, mut progress) =
        laptop(&memory(Conditions::default())).begin(Hint::MakeCredential, NOW.0, &mut rng(1));
    let begun = tokio::time::Instant::now();
    assert_eq!(heard(&fails(handle).await), hybrid::Heard::default());
    assert_eq!(
        begun.elapsed(),
        client::Config::new(Connector::new(Trust::System)).deadlines.advert
    );
    assert_eq!(progress.next().await, Some(Progress::Listening));
    assert_eq!(progress.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn strangers_are_counted_and_nothing_else() {
    let radio = memory(Conditions { foreign: 50, seed: Some(1), ..Conditions::default() });
    let (handle, _) = laptop(&radio).begin(Hint::GetAssertion, NOW.0, &mut rng(1));
    let heard = heard(&fails(handle).await);
    assert!(heard.foreign > 1000 && heard.unassigned_service.is_none(), "{heard:?}");
}

/// Not on a paused clock, which stands still as long as there is something to hear.
#[tokio::test]
async fn a_flood_of_strangers_does_not_hold_up_the_deadline_or_the_user() {
    let conditions = Conditions { foreign: 1_000_000, seed: Some(1), ..Conditions::default() };
    let radio = Radio::Memory(memory(conditions));
    let mut config = config();
    let mut foreign = 0;
    // A slow machine hears none before a short deadline.
    for milliseconds in [50, 500, 5000] {
        config.deadlines.advert = Duration::from_millis(milliseconds);
        let client = Client::new(radio.clone(), config.clone()).unwrap();
        let (handle, _) = client.begin(Hint::GetAssertion, NOW.0, &mut rng(1));
        foreign = heard(&soon("the deadline", fails(handle)).await).foreign;
        if foreign > 0 {
            break;
        }
    }
    assert!(foreign > 0);

    config.deadlines.advert = Duration::from_secs(1000);
    let client = Client::new(radio, config).unwrap();
    let (handle, mut progress) = client.begin(Hint::GetAssertion, NOW.0, &mut rng(1));
    progress.next().await.unwrap();
    soon("the end", handle.cancel()).await;
    alive(0).await;
}

#[tokio::test(start_paused = true)]
async fn an_advert_that_names_no_tunnel_service_is_told_of() {
    for service in [2, 77, 255] {
        let radio = memory(Conditions::default());
        let (handle, _) = laptop(&radio).begin(Hint::GetAssertion, NOW.0, &mut rng(1));
        let contents = QrContents::decode(handle.qr_text().unwrap()).unwrap();
        let nonce = ConnectionNonce::random(&mut rng(2));
        let service = TunnelServiceId::new(service);
        let plaintext = AdvertPlaintext::new(nonce, RoutingId::new([1, 2, 3]), service);
        let data = advert::seal(&contents.secret.eid_key(), &plaintext);
        let on_air = radio.advertise(Outgoing::new(&data)).await.unwrap();
        let mut handle = handle;
        let error = handle.ready().await.unwrap_err();
        drop(on_air);
        assert_eq!(heard(&error).unassigned_service, Some(service));
        alive(0).await;
    }
}

#[tokio::test]
async fn a_radio_that_is_off_is_named_on_both_sides() {
    let radio = memory(Conditions::default());
    radio.set_powered(false);
    let (handle, _) = laptop(&radio).begin(Hint::GetAssertion, NOW.0, &mut rng(1));
    assert!(matches!(fails(handle).await, Error::Radio(ble::Error::PoweredOff)));

    radio.set_powered(true);
    let (handle, mut progress) = laptop(&radio).begin(Hint::GetAssertion, NOW.0, &mut rng(1));
    assert_eq!(progress.next().await, Some(Progress::Listening));
    radio.set_powered(false);
    assert!(matches!(fails(handle).await, Error::Radio(ble::Error::PoweredOff)));

    let world = World::new(&[]).await;
    let mut phone = world.phone_over(Radio::Memory(radio));
    let contents = some_qr();
    let mut rng = rand_core_os();
    let answered = phone.answer(contents, std::future::pending(), || NOW, &mut rng, |_| {});
    let error = soon("the phone's end", answered).await.unwrap_err();
    use cabled::authenticator::Error as E;
    assert!(matches!(error, E::Radio(ble::Error::PoweredOff)), "{error:?}");
    // The tunnel that it had opened before is closed.
    world.leaves_nothing_running().await;
}

fn some_qr() -> QrContents {
    let identity = PrivateKey::generate(&mut rng(1));
    QrContents {
        identity: *identity.public(),
        secret: hybrid::keys::QrSecret::new([5; 16]),
        known_services: 2,
        shown_at: None,
        wants_linking: None,
        hint: None,
        channels: None,
        grease: None,
    }
}

#[tokio::test]
async fn simulated_radios_and_public_services_are_not_combined_by_accident() {
    let world = World::new(&[]).await;
    let radio = world.radio();
    for relay in [None, Some("wss://cable.ua5v.com".parse().unwrap())] {
        let config = client::Config { relay, ..config() };
        let refused = Client::new(radio.clone(), config.clone());
        assert!(matches!(refused, Err(Error::SimulatedRadio)));
        let meant = client::Config { simulated_with_public: true, ..config };
        assert!(Client::new(radio.clone(), meant).is_ok());
    }
    let mut world = world;
    world.phone_url = "wss://cable.auth.com".parse().unwrap();
    let refused = world.try_phone(radio).unwrap_err();
    assert!(matches!(refused, cabled::authenticator::Error::SimulatedRadio));
    world.leaves_nothing_running().await;
}

#[tokio::test]
async fn bad_air_delays_and_changes_nothing_else() {
    let mut world = World::new(&[]).await;
    world.conditions = Conditions {
        loss: 0.7,
        delay: Duration::from_millis(3),
        foreign: 500,
        replay: true,
        seed: Some(3),
        ..Conditions::default()
    };
    let made = world.registered(&options_for("anna", json!({}))).await;
    // Now the first advert is repeated, and belongs to nobody any more.
    let request = crate::world::request_for(&[&made.id.0], json!({}));
    world.signed_in(&request).await;
    world.leaves_nothing().await;
}
