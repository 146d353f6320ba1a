//! What should work, works.

use cabled::hybrid::authenticator::{self, Identity, Linked};
use cabled::hybrid::client::{Event, Input, Target};
use cabled::hybrid::keys::LinkSecret;
use cabled::hybrid::linking::LinkId;
use cabled::hybrid::post_handshake::Feature;
use cabled::hybrid::qr::ChannelKind;
use cabled::hybrid::tunnel::ContactId;
use cabled::hybrid::{Error, PrivateKey, Waiting};

use crate::world::{Options, ROUTING, SENDER, SERVICE, World};

#[test]
fn a_qr_transaction_from_advert_to_acknowledgement() {
    let mut world = World::qr(Options::default());
    world.connect();
    world.exchange(b"\x01request", b"\x00answer");
    world.exchange(b"\x08", b"\x00next");
    let acknowledged = |world: &World| {
        let is = |e: &&authenticator::Event| **e == authenticator::Event::Acknowledged;
        world.phone_events.iter().filter(is).count()
    };
    assert_eq!(acknowledged(&world), 1, "the second request acknowledges the first answer");
    world.laptop(Input::Finish);
    world.carry_honestly();
    assert_eq!(acknowledged(&world), 2);
    assert!(world.closed.1 && world.phone.is_closed());
    world.laptop(Input::ChannelClosed);
    assert_eq!(world.laptop_events.last(), Some(&Event::Closed));
    assert_eq!((world.laptop_error, world.phone_error), (None, None));
}

#[test]
fn the_advert_names_the_tunnel() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    assert!(world.scanning);
    world.advertise();
    world.hear();
    let [Target::Tunnel { service, routing, .. }] = &world.opened[..] else { panic!() };
    assert_eq!((*service, *routing), (SERVICE, ROUTING));
}

#[test]
fn a_linked_phone_is_rung_without_a_qr() {
    for advert_first in [false, true] {
        let mut world = World::linked();
        assert_eq!(world.laptop.qr_text(), None);
        world.laptop(Input::Timeout);
        assert!(matches!(world.opened[..], [Target::Contact { .. }]));
        world.advertise();
        if advert_first {
            world.hear();
            world.open_channels();
        } else {
            world.open_channels();
            world.foreign();
            world.hear();
        }
        world.carry_honestly();
        world.exchange(b"\x02request", b"\x00answer");
        world.laptop(Input::Finish);
        world.carry_honestly();
        assert_eq!((world.laptop_error, world.phone_error), (None, None));
    }
}

#[test]
fn a_phone_offers_to_be_remembered() {
    let mut world = World::qr(Options { wants_linking: true, ..Options::default() });
    world.connect();
    let identity = Identity(PrivateKey::generate(&mut world.rng));
    let link_secret = LinkSecret::random(&mut world.rng);
    let linked = Linked {
        contact_id: ContactId::new(b"push".to_vec()).unwrap(),
        link_id: LinkId([1; 8]),
        link_secret: link_secret.clone(),
        name: "Anna's phone".to_owned(),
    };
    let info = world.phone.linking_info(linked, &identity).unwrap();
    let mut forged = info.clone();
    forged.signature[31] ^= 1;
    world.phone(authenticator::Input::Update(Some(&forged)));
    world.phone(authenticator::Input::Update(None));
    world.carry_honestly();
    let is_link = |e: &&Event| matches!(e, Event::Linked(_));
    assert_eq!(world.laptop_events.iter().filter(is_link).count(), 0);

    world.laptop(Input::Ctap(b"\x01request"));
    world.carry_honestly();
    world.phone(authenticator::Input::Response(b"\x00answer"));
    world.laptop(Input::Cancel);
    assert_eq!(world.laptop_error, Some(Error::Cancelled));

    let mut world = World::qr(Options { wants_linking: true, ..Options::default() });
    world.connect();
    world.exchange(b"\x01request", b"\x00answer");
    let linked = Linked {
        contact_id: ContactId::new(b"push".to_vec()).unwrap(),
        link_id: LinkId([1; 8]),
        link_secret,
        name: "Anna's phone".to_owned(),
    };
    let info = world.phone.linking_info(linked, &identity).unwrap();
    world.laptop(Input::Finish);
    world.phone(authenticator::Input::Update(Some(&info)));
    world.carry_honestly();
    let Some(Event::Linked(device)) = world.laptop_events.iter().find(is_link) else { panic!() };
    assert_eq!((device.name.as_str(), device.service), ("Anna's phone", SERVICE));
    assert_eq!(&device.identity, identity.0.public());
}

#[test]
fn json_is_carried_when_the_phone_offers_it() {
    let mut world = World::qr(Options::default());
    world.connect();
    world.laptop(Input::Json(b"{}"));
    world.carry_honestly();
    assert_eq!(world.phone_events.last(), Some(&authenticator::Event::Json(b"{}".to_vec())));
    world.phone(authenticator::Input::Response(b"{\"response\":{}}"));
    world.carry_honestly();
    let answer = Event::Json(b"{\"response\":{}}".to_vec());
    assert_eq!(world.laptop_events.last(), Some(&answer));

    let mut world = World::qr(Options { features: vec![Feature::Ctap], ..Options::default() });
    world.connect();
    world.laptop(Input::Json(b"{}"));
    assert_eq!(world.laptop_error, Some(Error::NotOffered));
}

#[test]
fn l2cap_is_used_when_both_sides_offer_it() {
    let psm = cabled::hybrid::advert::Psm(0x82);
    let mut world = World::qr(Options { l2cap: (true, Some(psm)), ..Options::default() });
    world.laptop(Input::Timeout);
    world.phone(authenticator::Input::TunnelFailed);
    assert_eq!(world.on_air.as_ref().unwrap().len(), 24);
    world.hear();
    assert_eq!(world.opened, [Target::L2cap { peer: SENDER, psm }]);
    world.open_channels();
    assert_eq!(world.via, ChannelKind::L2cap);
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");
    world.phone(authenticator::Input::ChannelClosed { via: ChannelKind::Tunnel });
    assert_eq!(world.phone_error, None, "the unused tunnel may go");
}

#[test]
fn l2cap_falls_back_to_the_tunnel() {
    let psm = cabled::hybrid::advert::Psm(0x82);
    let mut world = World::qr(Options { l2cap: (true, Some(psm)), ..Options::default() });
    world.refuse = |target| matches!(target, Target::L2cap { .. });
    world.connect();
    assert_eq!(world.via, ChannelKind::Tunnel);
    world.exchange(b"\x01request", b"\x00answer");

    // A peer that lets the connection attempt hang is given up at the deadline.
    let mut world = World::qr(Options { l2cap: (true, Some(psm)), ..Options::default() });
    world.laptop(Input::Timeout);
    world.advertise();
    world.hear();
    world.opened.clear();
    world.laptop_deadline();
    assert!(matches!(world.opened[..], [Target::Tunnel { .. }]), "{world:?}");
    world.opened.clear();
    world.laptop_deadline();
    assert!(matches!(world.opened[..], [Target::L2cap { .. }]), "{world:?}");
    world.opened.clear();
    world.laptop_deadline();
    assert_eq!(world.laptop_error, Some(Error::TimedOut(Waiting::Channel)));
}

#[test]
fn a_suffix_goes_only_to_laptops_that_ask() {
    let psm = cabled::hybrid::advert::Psm(0x82);
    let mut world = World::qr(Options { l2cap: (false, Some(psm)), ..Options::default() });
    world.advertise();
    assert_eq!(world.on_air.as_ref().unwrap().len(), 20);
    // One that somebody else appended is not followed either.
    let mut data = world.on_air.clone().unwrap();
    data.extend([0xa1, 1, 0x18, 0x82]);
    world.sighting(&data);
    assert!(matches!(world.opened[..], [Target::Tunnel { .. }]));
}

#[test]
fn misuse_changes_nothing() {
    let mut world = World::qr(Options::default());
    for input in [Input::Ctap(b"\x04"), Input::Finish, Input::Json(b"{}")] {
        assert_eq!(world.laptop.handle(input, world.now), Err(Error::Misuse));
    }
    world.connect();
    assert_eq!(world.laptop.handle(Input::Ctap(b""), world.now), Err(Error::Misuse));
    let response = authenticator::Input::Response(b"\x00");
    assert_eq!(world.phone.handle(response, world.now), Err(Error::Misuse));
    world.laptop(Input::Ctap(b"\x01one"));
    assert_eq!(world.laptop.handle(Input::Ctap(b"\x01two"), world.now), Err(Error::Misuse));
    world.carry_honestly();
    world.phone(authenticator::Input::Response(b"\x00fine"));
    world.carry_honestly();
    assert_eq!(world.laptop_events.last(), Some(&Event::Ctap(b"\x00fine".to_vec())));
}
