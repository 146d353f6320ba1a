//! Each deadline, each hang-up, and cancel in each state.

use cabled::hybrid::authenticator;
use cabled::hybrid::client::{Event, Input};
use cabled::hybrid::qr::ChannelKind;
use cabled::hybrid::{Error, Heard, Waiting};

use crate::world::{Options, World};

/// Worlds in which the laptop waits for something, and what that is.
fn laptop_states() -> Vec<(World, Waiting)> {
    let scanning = || {
        let mut world = World::qr(Options::default());
        world.laptop(Input::Timeout);
        world
    };
    let opening = || {
        let mut world = scanning();
        world.advertise();
        world.hear();
        world
    };
    let shaking = || {
        let mut world = opening();
        world.open_channels();
        world
    };
    let mut said = shaking();
    assert!(said.carry_one(&mut |_, _, m| vec![m]) && said.carry_one(&mut |_, _, m| vec![m]));
    let mut busy = scanning();
    busy.connect();
    busy.laptop(Input::Ctap(b"\x01request"));
    let mut contacting = World::linked();
    contacting.laptop(Input::Timeout);
    let mut contacted = World::linked();
    contacted.laptop(Input::Timeout);
    contacted.open_channels();
    vec![
        (scanning(), Waiting::Advert),
        (contacting, Waiting::Advert),
        (contacted, Waiting::Advert),
        (opening(), Waiting::Channel),
        (shaking(), Waiting::Handshake),
        (said, Waiting::PostHandshake),
        (busy, Waiting::Response),
    ]
}

#[test]
fn every_wait_of_the_laptop_ends() {
    for (mut world, waiting) in laptop_states() {
        let channel = world.laptop.heard().is_none();
        world.laptop_deadline();
        let expected = match waiting {
            Waiting::Advert => Error::NoAdvert(Heard::default()),
            other => Error::TimedOut(other),
        };
        assert_eq!(world.laptop_error, Some(expected));
        assert!(!world.scanning && world.laptop.is_closed());
        assert!(world.closed.0 || !channel);
        assert_eq!(world.laptop.poll_timeout(), None);
    }
}

#[test]
fn cancel_in_every_state_of_the_laptop() {
    for (mut world, waiting) in laptop_states() {
        world.carry_honestly();
        let connected = world.laptop_events.iter().any(|e| matches!(e, Event::Ready(_)));
        world.laptop(Input::Cancel);
        assert_eq!(world.laptop_error, Some(Error::Cancelled), "{waiting:?}");
        assert!(!world.scanning && world.laptop.is_closed());
        assert_eq!(world.to_phone.len(), usize::from(connected), "{waiting:?}");
        world.carry_honestly();
        if waiting == Waiting::Response {
            // The phone's user was being asked: the request is withdrawn.
            assert_eq!(world.phone_error, Some(Error::PeerClosed(Waiting::Response)));
        }
        assert_eq!(world.laptop.handle(Input::Ctap(b"\x04"), world.now), Err(Error::Misuse));
    }
}

#[test]
fn the_channel_breaks_in_every_state_of_the_laptop() {
    for (mut world, waiting) in laptop_states() {
        let no_channel_yet = waiting == Waiting::Advert && world.opened.is_empty();
        let is_link = world.laptop.qr_text().is_none();
        world.laptop(Input::ChannelClosed);
        match waiting {
            Waiting::Advert if no_channel_yet && !is_link => assert_eq!(world.laptop_error, None),
            Waiting::Channel => assert_eq!(world.laptop_error, Some(Error::ChannelFailed)),
            other => assert_eq!(world.laptop_error, Some(Error::PeerClosed(other))),
        }
    }
}

#[test]
fn an_idle_channel_waits_for_its_caller_and_may_end() {
    let mut world = World::qr(Options::default());
    world.connect();
    assert_eq!(world.laptop.poll_timeout(), None);
    world.laptop(Input::ChannelClosed);
    assert_eq!(world.laptop_error, None);
    assert_eq!(world.laptop_events.last(), Some(&Event::Closed));
}

#[test]
fn lingering_ends() {
    let mut world = World::qr(Options::default());
    world.connect();
    world.laptop(Input::Finish);
    assert!(!world.closed.0);
    world.laptop_deadline();
    assert!(world.closed.0 && world.laptop_error.is_none());
    assert_eq!(world.laptop_events.last(), Some(&Event::Closed));
}

#[test]
fn every_wait_of_the_phone_ends() {
    let mut opening = World::qr(Options::default());
    opening.phone_deadline();
    assert_eq!(opening.phone_error, Some(Error::TimedOut(Waiting::Channel)));

    let mut advertising = World::qr(Options::default());
    advertising.advertise();
    advertising.phone_deadline();
    assert_eq!(advertising.phone_error, Some(Error::TimedOut(Waiting::Client)));
    assert!(advertising.on_air.is_none(), "the advert is taken off the air");

    let mut idle = World::qr(Options::default());
    idle.connect();
    idle.phone_deadline();
    assert_eq!(idle.phone_error, Some(Error::TimedOut(Waiting::Request)));

    let mut answered = World::qr(Options::default());
    answered.connect();
    answered.exchange(b"\x01request", b"\x00answer");
    answered.phone_deadline();
    assert_eq!(answered.phone_error, Some(Error::TimedOut(Waiting::Acknowledgement)));
    assert!(answered.closed.1);
}

#[test]
fn the_phone_notices_that_the_laptop_is_gone() {
    let via = ChannelKind::Tunnel;
    let mut world = World::qr(Options::default());
    world.phone(authenticator::Input::ChannelClosed { via });
    assert_eq!(world.phone_error, Some(Error::ChannelFailed));

    let mut world = World::qr(Options::default());
    world.advertise();
    world.phone(authenticator::Input::ChannelClosed { via });
    assert_eq!(world.phone_error, Some(Error::PeerClosed(Waiting::Client)));

    let mut world = World::qr(Options::default());
    world.connect();
    world.laptop(Input::Ctap(b"\x01request"));
    world.carry_honestly();
    assert_eq!(world.phone.poll_timeout(), None, "its user may think");
    world.phone(authenticator::Input::ChannelClosed { via });
    assert_eq!(world.phone_error, Some(Error::PeerClosed(Waiting::Response)));

    let mut world = World::qr(Options::default());
    world.connect();
    world.exchange(b"\x01request", b"\x00answer");
    world.phone(authenticator::Input::ChannelClosed { via });
    assert_eq!(world.phone_error, Some(Error::PeerClosed(Waiting::Acknowledgement)));
    assert!(!world.phone_events.contains(&authenticator::Event::Acknowledged));
}

#[test]
fn cancel_in_every_state_of_the_phone() {
    let mut opening = World::qr(Options::default());
    let mut advertising = World::qr(Options::default());
    advertising.advertise();
    let mut idle = World::qr(Options::default());
    idle.connect();
    let mut thinking = World::qr(Options::default());
    thinking.connect();
    thinking.laptop(Input::Ctap(b"\x01request"));
    thinking.carry_honestly();
    for world in [&mut opening, &mut advertising, &mut idle, &mut thinking] {
        world.phone(authenticator::Input::Cancel);
        assert_eq!(world.phone_error, Some(Error::Cancelled));
        assert!(world.closed.1 && world.on_air.is_none() && world.phone.is_closed());
    }
}

#[test]
fn a_tunnel_that_cannot_be_opened() {
    let mut world = World::qr(Options::default());
    world.phone(authenticator::Input::TunnelFailed);
    assert_eq!(world.phone_error, Some(Error::ChannelFailed));
    let mut world = World::linked();
    world.laptop(Input::Timeout);
    world.laptop(Input::ChannelFailed);
    assert_eq!(world.laptop_error, Some(Error::ChannelFailed));
    assert!(!world.scanning);
}
