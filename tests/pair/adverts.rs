//! Bad air: loss, reordering, duplicates, replays, foreign adverts, unassigned services.

use cabled::hybrid::advert::{self, AdvertPlaintext, ConnectionNonce};
use cabled::hybrid::client::Input;
use cabled::hybrid::tunnel::TunnelServiceId;
use cabled::hybrid::{Error, Heard};
use rand_chacha::rand_core::RngCore;

use crate::world::{Options, ROUTING, World};

#[test]
fn the_right_advert_is_found_in_a_storm() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    world.advertise();
    (0..100_000).for_each(|_| world.foreign());
    let heard = Heard { foreign: 100_000, unassigned_service: None };
    assert_eq!(world.laptop.heard(), Some(heard));
    world.hear();
    assert_eq!(world.opened.len(), 1);
    world.open_channels();
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");
}

#[test]
fn a_storm_alone_ends_at_the_deadline_and_says_so() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    (0..500).for_each(|_| world.foreign());
    world.laptop_deadline();
    let heard = Heard { foreign: 500, unassigned_service: None };
    assert_eq!(world.laptop_error, Some(Error::NoAdvert(heard)));
    assert!(!world.scanning);
}

#[test]
fn lost_and_repeated_adverts_do_not_matter() {
    for seed in 0..50 {
        let mut world = World::qr(Options { seed, ..Options::default() });
        world.laptop(Input::Timeout);
        world.advertise();
        let advert = world.on_air.clone().unwrap();
        // Nine of ten are lost, and what comes through may come twice, before or after others.
        while world.opened.is_empty() {
            match world.rng.next_u32() % 10 {
                0 => (0..2).for_each(|_| world.sighting(&advert)),
                _ => world.foreign(),
            }
        }
        assert_eq!(world.opened.len(), 1, "a repeated advert opens no second channel");
        world.open_channels();
        world.sighting(&advert);
        world.carry_honestly();
        world.sighting(&advert);
        world.exchange(b"\x01request", b"\x00answer");
        assert_eq!(world.laptop_error, None);
    }
}

#[test]
fn an_advert_of_an_older_qr_does_not_match() {
    let mut old = World::qr(Options::default());
    old.advertise();
    let replayed = old.on_air.unwrap();
    let mut world = World::qr(Options { seed: 2, ..Options::default() });
    world.laptop(Input::Timeout);
    (0..100).for_each(|_| world.sighting(&replayed));
    assert!(world.opened.is_empty());
    assert_eq!(world.laptop.heard().unwrap().foreign, 100);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_foreign() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    world.advertise();
    let advert = world.on_air.clone().unwrap();
    (0..advert.len()).for_each(|len| world.sighting(&advert[..len]));
    for bit in 0..advert.len() * 8 {
        let mut bad = advert.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        world.sighting(&bad);
    }
    assert!(world.opened.is_empty());
    world.sighting(&[&advert[..], &[0; 300]].concat());
    assert!(world.opened.is_empty(), "service data longer than any advertisement");
    world.sighting(&[&advert[..], &[0xff; 8]].concat());
    assert_eq!(world.opened.len(), 1, "a suffix that makes no sense is ignored");
}

#[test]
fn an_unassigned_service_is_skipped_and_remembered() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    let text = world.laptop.qr_text().unwrap();
    let contents = cabled::hybrid::qr::QrContents::decode(&text).unwrap();
    for id in [2, 77, 255] {
        let nonce = ConnectionNonce::random(&mut world.rng);
        let service = TunnelServiceId::new(id);
        let plaintext = AdvertPlaintext::new(nonce, ROUTING, service);
        world.sighting(&advert::seal(&contents.secret.eid_key(), &plaintext));
        assert!(world.opened.is_empty());
        assert_eq!(world.laptop.heard().unwrap().unassigned_service, Some(service));
    }
    world.advertise();
    world.hear();
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_phone_that_heard_of_the_tunnel_only_cannot_take_the_place() {
    // The PSK needs the advert: a laptop that guesses another nonce fails the handshake.
    let mut world = World::qr(Options::default());
    let mut other = World::qr(Options::default());
    world.laptop(Input::Timeout);
    world.advertise();
    let text = world.laptop.qr_text().unwrap();
    let contents = cabled::hybrid::qr::QrContents::decode(&text).unwrap();
    let nonce = ConnectionNonce::random(&mut other.rng);
    let guessed = AdvertPlaintext::new(nonce, ROUTING, crate::world::SERVICE);
    world.sighting(&advert::seal(&contents.secret.eid_key(), &guessed));
    world.open_channels();
    world.carry_honestly();
    assert!(matches!(world.phone_error, Some(Error::Handshake(_))), "{world:?}");
    assert!(world.closed.1 && world.on_air.is_none());
}
