//! `--offline`: laptop and phone as processes, and no relay anywhere.

use cabled::ble::air::AirRadio;
use cabled::ble::{Advertiser as _, Conditions, Outgoing};
use cabled::hybrid::advert::{self, AdvertPlaintext, AdvertSuffix, ConnectionNonce, Psm};
use cabled::hybrid::client::QrOffer;
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use serde_json::Value;

use crate::program::Program;
use crate::three::{Place, in_order};
use crate::world::{links, options_for, request_for, rng};

/// A machine on which nobody listens where the relay should be.
fn without_internet() -> Place {
    let mut place = Place::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.url = format!("ws://{}", closed.local_addr().unwrap());
    place
}

#[test]
fn a_registration_and_a_sign_in_need_no_internet() {
    let place = without_internet();
    let options = options_for("anna", serde_json::json!({}));
    let (laptop, code) = place.laptop("register", &options, &["--offline"]);
    let phone = place.phone(&code, &[]);
    let laptop = laptop.end().succeeded();
    in_order(
        &laptop,
        &["Both devices need Bluetooth, and internet if", "to your phone over Bluetooth.", "saved"],
    );
    let phone = phone.end().succeeded();
    in_order(&phone, &["No tunnel", "Connected to the laptop over Bluetooth.", "Passkey saved"]);

    // CR LF may stand inside of a sealed message by chance, one in some 250: it has three tries.
    let signed_in = |_| {
        let options = request_for(&[], serde_json::json!({}));
        let more = ["--offline", "--l2cap-framing", "crlf"];
        let (laptop, code) = place.laptop("sign-in", &options, &more);
        let phone = place.phone(&code, &[]).end();
        let laptop = laptop.end();
        laptop.status.success().then_some((laptop, phone))
    };
    let (laptop, phone) = (0..3).find_map(signed_in).unwrap();
    in_order(&laptop, &["over Bluetooth.", "Signed in"]);
    phone.succeeded();
    assert!(place.is_quiet() && links(&place.folder.path().join("air")) == 0);
}

#[test]
fn machines_are_told_over_what_the_devices_are_connected() {
    let via = |lines: &[String]| -> Value {
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == "connected").map(|line| line["via"].clone()).collect()
    };
    let with_relay = Place::new();
    let options = options_for("anna", serde_json::json!({}));
    for (place, more, expected) in [
        (&with_relay, &[][..], "tunnel"),
        (&with_relay, &["--offline"], "bluetooth"),
        (&without_internet(), &["--offline"], "bluetooth"),
    ] {
        let mut laptop = place.laptop_in_json("register", &options, more);
        let line = laptop.tells(|line| line.contains("FIDO:/"));
        let line: Value = serde_json::from_str(&line).unwrap();
        let phone = place.phone(line["text"].as_str().unwrap(), &["--json"]);
        let (laptop, phone) = (laptop.end(), phone.end());
        assert_eq!(via(&laptop.err), serde_json::json!([expected]), "{laptop:#?}");
        assert_eq!(via(&phone.out), serde_json::json!([expected]), "{phone:#?}");
    }
}

#[test]
fn a_code_that_offers_no_tunnel_is_answered_over_bluetooth_alone() {
    let place = without_internet();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let offer = QrOffer::new(&mut rng(3), Hint::MakeCredential, now, false, true);
    let only = |channels| QrContents { channels: Some(channels), ..offer.contents.clone() };
    let mut phone = place.phone(&only(vec![ChannelKind::L2cap]).encode(), &[]);
    phone.begins("Showing");
    assert_eq!(links(&place.folder.path().join("air")), 1);
    phone.signal("INT");
    let ended = phone.end();
    ended.failed(130);
    assert!(!ended.err.iter().any(|line| line.contains("unnel")), "{ended:#?}");

    let (error, hint) = place.phone(&only(vec![]).encode(), &[]).end().failed(2);
    assert!(error.contains("no way to answer") && hint.contains("tunnel"), "{error} {hint}");
}

/// The test is the phone: its advert names a port at which nobody listens, and no tunnel.
#[tokio::test]
async fn when_nothing_works_both_halves_are_named() {
    let place = without_internet();
    let options = options_for("anna", serde_json::json!({}));
    let (laptop, code) = place.laptop("register", &options, &["--offline"]);
    let contents = QrContents::decode(&code).unwrap();
    let nonce = ConnectionNonce::random(&mut rng(1));
    let plaintext = AdvertPlaintext::new(nonce, RoutingId::new([0; 3]), TunnelServiceId::GOOGLE);
    let mut data = advert::seal(&contents.secret.eid_key(), &plaintext).to_vec();
    data.extend(AdvertSuffix { psm: Some(Psm(0xee)) }.encode());
    let air = AirRadio::new(place.path("air"), Conditions::default()).unwrap();
    let advert = Outgoing { connectable: true, ..Outgoing::new(&data) };
    let _on_air = air.advertise(advert).await.unwrap();
    let ended = tokio::task::spawn_blocking(|| laptop.end()).await.unwrap();
    in_order(&ended, &["Bluetooth alone does not do"]);
    let (error, hint) = ended.failed(5);
    assert!(error.contains("did not take a connection over Bluetooth"), "{error}");
    assert!(error.contains("tunnel service") && error.contains("Connection refused"), "{error}");
    assert!(hint.contains("nearer") && hint.contains("internet"), "{hint}");
}

#[test]
fn adapters_are_named_once_and_only_for_bluetooth() {
    let fails = |more: &[&str], error: &str| {
        let mut arguments = vec!["register", "--rp-id", "a.example"];
        arguments.extend(more);
        let (said, _) = Program::start(&arguments).end().failed(2);
        assert!(said.contains(error), "{said}");
    };
    fails(&["--adapter", "eth0"], "\"eth0\" is no Bluetooth adapter");
    fails(&["--adapter", "hci1", "--radio", "bluez:hci0"], "two Bluetooth adapters");
    fails(&["--adapter", "hci1", "--radio", "air:/tmp/air"], "no Bluetooth adapter");
    fails(&["--l2cap-framing", "crlf"], "--offline");
    fails(&["--offline", "--l2cap-framing", "lf"], "write length or crlf");
}
