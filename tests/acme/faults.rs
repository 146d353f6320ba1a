//! What goes wrong: servers that refuse or are away, files that cannot be used, and an end at any moment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::world::{Manner, Pebble, Place, free_port};

const DAY: u64 = 86_400;

/// A relay that is expected to end by itself.
fn ended(options: &[String], more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cabled"))
        .arg("relay")
        .args(options)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn one_that_is_refused_says_why_keeps_the_old_certificate_and_does_not_insist() {
    let place = Place::new();
    // Each of its questions is to be one line of its log.
    let wrong = Manner { refused_nonces: 0, ..Manner::at(free_port()) };
    let mut pebble = Pebble::start(&wrong);
    let old = place.plant(&pebble, 80 * DAY, 2 * DAY);
    for start in 1..=4 {
        let relay = place.relay(&pebble);
        let said = relay.says("trying again in ");
        assert!(said.contains("has no proof that localhost is this relay's"), "{said}");
        assert!(said.contains("(connection)") && said.contains("--redirect-listen"), "{said}");
        assert!(relay.shows(&old).is_ok() && relay.is_ready());
        assert_eq!((relay.orders(), pebble.orders()), ([0, 1], start));
    }
    // Enough for this hour: it does not ask, however often it is started.
    let relay = place.relay(&pebble);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((relay.orders(), pebble.orders()), ([0, 0], 4));
    assert!(relay.shows(&old).is_ok() && relay.is_ready());
    drop(relay);

    // The way is free, and the server has forgotten the account: another one is made with the next try.
    place.an_hour_passes(&pebble);
    pebble.again(&Manner::at(place.http));
    let relay = place.relay(&pebble);
    let said = relay.says("trying again in ");
    assert!(said.contains("does not know the account any more"), "{said}");
    drop(relay);
    let relay = place.relay(&pebble);
    relay.says("there is a new certificate");
    assert!(relay.shows(&pebble.root()).is_ok() && relay.shows(&old).is_err());
}

#[test]
fn without_a_server_and_a_certificate_it_is_not_ready_and_says_what_to_look_at() {
    let place = Place::new();
    let mut pebble = Pebble::start(&Manner::at(place.http));
    // Nobody of whom the machine knows vouches for Pebble.
    let mut options = place.options(&pebble);
    options.retain(|option| !option.starts_with("--acme-tls-ca"));
    let relay = place.relay_with(&options);
    let said = relay.says("trying again in ");
    assert!(said.contains("TLS with it fails") && said.contains("--acme-tls-ca"), "{said}");
    drop(relay);
    pebble.stop();
    let relay = place.relay(&pebble);
    let said = relay.says("trying again in ");
    assert!(said.contains("nobody answers there") && said.contains("--acme-directory"), "{said}");
    assert_eq!(relay.orders(), [0, 1]);
    assert!(!relay.is_ready() && relay.shows(&pebble.authority()).is_err());
    assert_eq!(relay.metric("tls_certificate_not_after_seconds"), 0);
}

#[test]
fn whenever_it_is_killed_the_pair_is_whole() {
    let place = Place::new();
    let manner = Manner::at(place.http);
    let pebble = Pebble::start(&manner);
    let old = place.plant(&pebble, 80 * DAY, 2 * DAY);
    let file = place.kept(&pebble).join("certificate.pem");
    let planted = fs::read(&file).unwrap();
    let mut renewed = 0;
    for number in 0..24_u64 {
        let mut relay = place.relay(&pebble);
        std::thread::sleep(Duration::from_millis(number * 60));
        relay.program.kill();
        drop(relay);
        let now = fs::read(&file).unwrap();
        assert!(CertificateDer::from_pem_slice(&now).is_ok(), "after {number}");
        assert!(PrivateKeyDer::from_pem_slice(&now).is_ok(), "after {number}");
        let account = place.kept(&pebble).join("account.json");
        if let Ok(account) = fs::read(account) {
            assert!(serde_json::from_slice::<serde_json::Value>(&account).is_ok());
        }
        if now != planted {
            renewed += 1;
            fs::write(&file, &planted).unwrap();
        }
        place.an_hour_passes(&pebble);
    }
    assert!(renewed < 24, "it was always too late to be killed");
    let relay = place.relay(&pebble);
    relay.says("there is a new certificate");
    assert!(relay.shows(&pebble.root()).is_ok() && relay.shows(&old).is_err());
    let mut names: Vec<_> = fs::read_dir(place.kept(&pebble))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".new"))
        .collect();
    names.sort();
    assert_eq!(names, ["account.json", "certificate.pem", "tries"]);
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let place = Place::new();
    let pebble = Pebble::start(&Manner::at(place.http));
    place.plant(&pebble, 0, DAY);
    let file = place.kept(&pebble).join("certificate.pem");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let output = ended(&place.options(&pebble), &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(9), "{said}");
    assert!(said.contains("certificate.pem") && said.contains("chmod 600"), "{said}");
    // A broken one is as good as none.
    mode(0o600);
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
    let relay = place.relay(&pebble);
    relay.says("the stored certificate is not used");
    relay.gets_ready();
    assert!(relay.shows(&pebble.root()).is_ok());
}

#[test]
fn settings_are_checked_without_asking_anybody_or_writing_anything() {
    let place = Place::new();
    let mut pebble = Pebble::start(&Manner::at(place.http));
    pebble.stop();
    let options = place.options(&pebble);
    let output = ended(&options, &["--check-config"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!place.folder.path().join("acme").exists());
    let without = |name: &str| -> Vec<String> {
        options.iter().filter(|option| !option.starts_with(name)).cloned().collect()
    };
    for (options, more, words) in [
        (without("--acme-agree"), "--check-config", "--acme-agree-to-terms"),
        (without("--redirect-listen"), "--check-config", "--redirect-listen"),
        (without("--acme-folder"), "--check-config", "--acme-folder"),
        (options.clone(), "--acme-domain=*.example", "--acme-domain"),
        (options.clone(), "--acme-domain=192.0.2.1", "--acme-domain"),
        (without("--acme-directory"), "--acme-directory=http://localhost/", "--acme-directory"),
        (without("--acme-tls-ca"), "--acme-tls-ca=/nonexistent", "--acme-tls-ca"),
    ] {
        let output =
            ended(&options, &["--check-config", more][usize::from(more == "--check-config")..]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{more} {words}: {said}");
    }
}
