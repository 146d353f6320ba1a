//! Certificates that are got: the first, one that is there, and the next.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cabled::channel::DataChannel as _;
use cabled::channel::tls::Trust;
use cabled::channel::websocket::Connector;
use cabled::hybrid::tunnel::TunnelId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::world::{Manner, PATIENCE, Pebble, Place, now, until};

#[test]
fn the_first_certificate_comes_from_nothing_and_is_kept() {
    let place = Place::new();
    // Every second nonce is refused: that is no answer to anything.
    let manner = Manner { refused_nonces: 50, ..Manner::at(place.http) };
    let mut pebble = Pebble::start(&manner);
    let relay = place.relay(&pebble);
    relay.gets_ready();
    let root = pebble.root();
    let shown = relay.shows(&root).unwrap();
    assert!(relay.shows(&pebble.authority()).is_err(), "others do not vouch for it");
    assert_eq!(relay.orders(), [1, 0]);
    let left = relay.metric("tls_certificate_not_after_seconds") - now();
    assert!((80 * 86_400..=90 * 86_400).contains(&left), "{left}");

    // What it keeps is its owner's, and none of it is said or left at the door.
    let mut secrets = Vec::new();
    for name in ["certificate.pem", "account.json", "tries"] {
        let path = place.kept(&pebble).join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        secrets.push(fs::read_to_string(path).unwrap());
    }
    let key = secrets[0].split("PRIVATE KEY-----").nth(1).unwrap();
    let account: serde_json::Value = serde_json::from_str(&secrets[1]).unwrap();
    let account = account["key_pkcs8"].as_str().unwrap();
    let said = relay.said();
    assert!(said.contains("there is no certificate for localhost yet"), "{said}");
    assert!(!said.contains('\u{1b}'), "colours are for terminals: {said}");
    for secret in key.lines().filter(|line| line.len() > 10).chain([account]) {
        assert!(!said.contains(secret), "{said}");
    }
    for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/unknown"] {
        assert!(relay.http(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(relay.http("/other").starts_with("HTTP/1.1 308 "));

    // The next start finds it, and asks nobody.
    drop(relay);
    pebble.stop();
    let relay = place.relay(&pebble);
    assert!(relay.is_ready());
    assert_eq!(relay.shows(&root).unwrap(), shown);
    assert_eq!(relay.orders(), [0, 0]);
    // One with another name too has to be got, and serves meanwhile.
    drop(relay);
    let mut options = place.options(&pebble);
    options.push("--acme-domain=other.localhost".to_owned());
    let relay = place.relay_with(&options);
    relay.says("no certificate for localhost, other.localhost yet");
    relay.says("trying again");
    assert_eq!(relay.shows(&root).unwrap(), shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_the_certificate_with_which_it_began() {
    let place = Place::new();
    let pebble = Pebble::start(&Manner { life: 40, ..Manner::at(place.http) });
    let relay = place.relay(&pebble);
    relay.gets_ready();
    let root = pebble.root();
    let first = relay.shows(&root).unwrap();
    let connector = Connector::new(Trust::Only(root.clone())).with_deadline(PATIENCE);
    let (url, id) = (relay.url().parse().unwrap(), TunnelId::new([7; 16]));
    let (mut phone, routing) = connector.open_tunnel(&url, id).await.unwrap();
    let mut laptop = connector.join_tunnel(&url, routing, id).await.unwrap();
    assert_eq!(relay.orders(), [1, 0], "the first was still there");

    let second =
        until("another certificate", || relay.shows(&root).ok().filter(|shown| *shown != first));
    assert_eq!(relay.orders(), [2, 0]);
    let kept = place.kept(&pebble).join("certificate.pem");
    assert_eq!(CertificateDer::from_pem_file(kept).unwrap(), second);
    assert!(relay.metric("tls_certificate_not_after_seconds") > now());
    for number in 0..20_u8 {
        phone.send(&[number]).await.unwrap();
        assert_eq!(laptop.recv().await.unwrap(), [number]);
        laptop.send(&[number, number]).await.unwrap();
        assert_eq!(phone.recv().await.unwrap(), [number, number]);
    }
}
