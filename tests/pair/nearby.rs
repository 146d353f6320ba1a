//! The L2CAP channel beside the tunnel: who offers it, what falls back, what nobody may spoil.

use std::time::Duration;

use cabled::hybrid::advert::Psm;
use cabled::hybrid::authenticator;
use cabled::hybrid::client::{self, Event, Input, Target};
use cabled::hybrid::qr::ChannelKind;
use cabled::hybrid::{Error, Waiting};

use crate::world::{Options, SENDER, World};

const PSM: Psm = Psm(0x82);
const TUNNEL: ChannelKind = ChannelKind::Tunnel;
const L2CAP: ChannelKind = ChannelKind::L2cap;

fn both() -> World {
    let mut world = World::qr(Options { l2cap: (true, Some(PSM)), ..Options::default() });
    world.laptop(Input::Timeout);
    world
}

/// A QR that offers no tunnel, and a phone that has an L2CAP server or not.
fn l2cap_only(psm: Option<Psm>) -> World {
    World::qr(Options { l2cap: (true, psm), only_l2cap: true, ..Options::default() })
}

/// Both sides at the point where the laptop has sent its first message over L2CAP.
fn shaking_over_l2cap() -> World {
    let mut world = both();
    world.advertise();
    world.hear();
    assert!(matches!(world.opened[..], [Target::L2cap { .. }]));
    world.open_channels();
    assert_eq!((world.via, world.to_phone.len()), (L2CAP, 1));
    world
}

/// The laptop has given the L2CAP channel up and goes to the tunnel, where all is well.
fn goes_on_over_the_tunnel(mut world: World) {
    assert!(world.closed.0, "the first channel is closed before the second is opened");
    assert!(matches!(world.opened[..], [Target::Tunnel { .. }]), "{:?}", world.opened);
    world.to_phone.clear();
    world.open_channels();
    assert_eq!(world.via, TUNNEL);
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");
    assert_eq!((world.laptop_error, world.phone_error), (None, None));
}

#[test]
fn without_internet_the_phone_is_soon_on_the_air() {
    for fails in [true, false] {
        let mut world = both();
        let begun = world.now;
        if fails {
            world.phone(authenticator::Input::TunnelFailed);
        } else {
            world.phone_deadline();
            assert_eq!(world.discarded, [TUNNEL], "a tunnel that opens late is of no use");
        }
        assert!(world.now - begun < Duration::from_secs(5));
        world.hear();
        world.open_channels();
        world.carry_honestly();
        world.exchange(b"\x01request", b"\x00answer");
        assert_eq!((world.via, world.phone_error), (L2CAP, None));
    }
    // Where there is nothing beside the tunnel it gets the time that it had.
    let mut world = World::qr(Options { l2cap: (false, Some(PSM)), ..Options::default() });
    let begun = world.now;
    world.phone_deadline();
    assert_eq!(world.phone_error, Some(Error::TimedOut(Waiting::Channel)));
    assert_eq!(world.now - begun, authenticator::Deadlines::default().tunnel);
}

#[test]
fn the_channel_that_is_not_used_is_given_up() {
    let mut world = shaking_over_l2cap();
    world.carry_honestly();
    assert_eq!(world.discarded, [TUNNEL]);
    // What still comes from there is nobody's.
    world.phone(authenticator::Input::Message { via: TUNNEL, message: b"\x04 late" });
    world.phone(authenticator::Input::ChannelClosed { via: TUNNEL });
    world.exchange(b"\x01request", b"\x00answer");
    assert_eq!(world.phone_error, None);

    let mut world = both();
    world.refuse = |target| matches!(target, Target::L2cap { .. });
    world.connect();
    assert_eq!((world.via, &world.discarded[..]), (TUNNEL, &[L2CAP][..]));
}

#[test]
fn a_stranger_at_the_door_spoils_nothing() {
    let mut world = both();
    world.advertise();
    for message in [&b""[..], b"\x04", &[4; 81], &[0xff; 1000]] {
        world.phone(authenticator::Input::Message { via: L2CAP, message });
        assert_eq!(world.discarded.pop(), Some(L2CAP), "{message:?}");
        world.phone(authenticator::Input::ChannelClosed { via: L2CAP });
    }
    assert!(world.phone_error.is_none() && world.on_air.is_some());
    world.hear();
    world.open_channels();
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");
    // In the tunnel there are no strangers: nonsense there is the end.
    let mut world = both();
    world.advertise();
    world.phone(authenticator::Input::Message { via: TUNNEL, message: &[4; 81] });
    assert!(matches!(world.phone_error, Some(Error::Handshake(_))));
}

#[test]
fn whatever_goes_wrong_before_the_handshake_falls_back() {
    // It led to somebody else, who says something,
    let mut world = shaking_over_l2cap();
    world.laptop(Input::Message(&[4; 81]));
    goes_on_over_the_tunnel(world);
    // who hangs up,
    let mut world = shaking_over_l2cap();
    world.laptop(Input::ChannelClosed);
    goes_on_over_the_tunnel(world);
    // or who is silent.
    let mut world = shaking_over_l2cap();
    world.laptop_deadline();
    goes_on_over_the_tunnel(world);
}

/// Both sides at the point where the laptop has given the first L2CAP channel and the tunnel up.
fn without_a_tunnel() -> World {
    let mut world = shaking_over_l2cap();
    world.laptop_deadline();
    assert!(matches!(world.opened[..], [Target::Tunnel { .. }]));
    world.opened.clear();
    world.to_phone.clear();
    world
}

#[test]
fn bluetooth_gets_a_second_try_where_there_is_no_tunnel() {
    for fail in
        [|world| world.laptop(Input::ChannelFailed), World::laptop_deadline] as [fn(&mut World); 2]
    {
        let mut world = without_a_tunnel();
        fail(&mut world);
        assert_eq!(world.opened, [Target::L2cap { peer: SENDER, psm: PSM }]);
        world.open_channels();
        world.carry_honestly();
        world.exchange(b"\x01request", b"\x00answer");
        assert_eq!((world.via, world.laptop_error, world.phone_error), (L2CAP, None, None));
    }
    // The tunnel has the time that it always had; the last try too.
    let mut world = without_a_tunnel();
    let (begun, times) = (world.now, client::Deadlines::default());
    world.laptop_deadline();
    assert_eq!(world.now - begun, times.channel);
    world.opened.clear();
    world.laptop_deadline();
    assert_eq!(world.now - begun, 2 * times.channel);
    assert_eq!(world.laptop_error, Some(Error::TimedOut(Waiting::Channel)));
    assert!(world.opened.is_empty() && world.laptop.is_closed());
}

#[test]
fn a_tunnel_that_opened_is_the_last_channel() {
    for fail in [
        (|world| world.laptop(Input::Message(&[4; 81]))) as fn(&mut World),
        |world| world.laptop(Input::ChannelClosed),
        World::laptop_deadline,
    ] {
        let mut world = shaking_over_l2cap();
        world.laptop(Input::ChannelClosed);
        world.open_channels();
        assert_eq!(world.via, TUNNEL);
        fail(&mut world);
        assert!(
            world.laptop_error.is_some() && world.laptop.is_closed() && world.opened.is_empty()
        );
    }
}

#[test]
fn after_the_handshake_there_is_no_way_back() {
    let mut world = shaking_over_l2cap();
    world.carry_one(&mut |_, _, message| vec![message]);
    world.carry_one(&mut |_, _, message| vec![message]);
    assert_eq!(world.laptop_events.last(), Some(&Event::Connected));
    world.laptop(Input::ChannelClosed);
    assert_eq!(world.laptop_error, Some(Error::PeerClosed(Waiting::PostHandshake)));
    assert!(world.opened.is_empty());
}

#[test]
fn a_copied_advert_with_another_port_leads_to_the_tunnel() {
    let mut world = both();
    world.advertise();
    let mut data = world.on_air.clone().unwrap();
    *data.last_mut().unwrap() = 0xee;
    world.sighting(&data);
    assert_eq!(world.opened, [Target::L2cap { peer: SENDER, psm: Psm(0xee) }]);
    world.refuse = |target| matches!(target, Target::L2cap { .. });
    world.open_channels();
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");
    assert_eq!((world.via, world.laptop_error), (TUNNEL, None));
}

#[test]
fn a_laptop_may_want_nothing_but_l2cap() {
    let mut world = l2cap_only(Some(PSM));
    world.laptop(Input::Timeout);
    assert!(!world.opens_tunnel);
    world.phone(authenticator::Input::Timeout);
    // Somebody took the port away from a copy: there may be a better reception.
    let advert = world.on_air.clone().unwrap();
    world.sighting(&advert[..20]);
    assert!(world.opened.is_empty() && world.scanning);
    world.hear();
    world.open_channels();
    world.carry_honestly();
    world.exchange(b"\x01request", b"\x00answer");

    let mut world = l2cap_only(Some(PSM));
    world.laptop(Input::Timeout);
    world.phone(authenticator::Input::Timeout);
    world.hear();
    for _ in 0..2 {
        assert!(matches!(world.opened[..], [Target::L2cap { .. }]) && world.laptop_error.is_none());
        world.opened.clear();
        world.laptop(Input::ChannelFailed);
    }
    assert_eq!(world.laptop_error, Some(Error::ChannelFailed));

    let mut world = l2cap_only(None);
    world.phone(authenticator::Input::Timeout);
    assert_eq!(world.phone_error, Some(Error::NoCommonChannel));
}
