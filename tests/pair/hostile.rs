//! A tunnel that cuts, repeats, swaps and invents messages: every one is an error, none a panic.

use cabled::hybrid::authenticator;
use cabled::hybrid::client::Input;
use cabled::hybrid::{Error, Waiting};

use crate::world::{From, Options, World};

/// Runs a whole transaction and lets the tunnel treat the messages; gives what came of it.
fn ceremony(tamper: &mut dyn FnMut(usize, From, Vec<u8>) -> Vec<Vec<u8>>) -> World {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    world.advertise();
    world.hear();
    world.open_channels();
    world.carry(tamper);
    if world.laptop.handle(Input::Ctap(b"\x01request"), world.now).is_ok() {
        world.laptop(Input::Timeout);
        world.carry(tamper);
    }
    if world.phone.handle(authenticator::Input::Response(b"\x00answer"), world.now).is_ok() {
        world.phone(authenticator::Input::Timeout);
        world.carry(tamper);
    }
    if world.laptop.handle(Input::Finish, world.now).is_ok() {
        world.laptop(Input::Timeout);
        world.carry(tamper);
    }
    world
}

fn failed(world: &World, from: From) -> bool {
    match from {
        From::Laptop => world.phone_error.is_some() && world.closed.1,
        // After Shutdown a message that does not open closes the channel and is no error.
        From::Phone => world.laptop_error.is_some() && world.closed.0,
    }
}

/// The messages of an undisturbed transaction, in order: who sent them and how long they are.
fn messages() -> Vec<(From, usize)> {
    let mut seen = Vec::new();
    let world = ceremony(&mut |_, from, message| {
        seen.push((from, message.len()));
        vec![message]
    });
    assert_eq!((world.laptop_error, world.phone_error), (None, None));
    assert!(world.phone_events.contains(&authenticator::Event::Acknowledged));
    assert_eq!(seen.len(), 6, "two handshake messages, post-handshake, request, answer, shutdown");
    seen
}

#[test]
fn truncation_at_every_byte() {
    for (index, (from, len)) in messages().into_iter().enumerate() {
        for cut in 0..len {
            let world = ceremony(&mut |i, _, message| match i == index {
                true => vec![message[..cut].to_vec()],
                false => vec![message],
            });
            assert!(failed(&world, from), "message {index} cut to {cut}: {world:?}");
        }
    }
}

#[test]
fn a_flipped_bit_in_every_byte() {
    for (index, (from, len)) in messages().into_iter().enumerate() {
        for byte in 0..len {
            let world = ceremony(&mut |i, _, mut message| {
                if i == index {
                    message[byte] ^= 1 << (byte % 8);
                }
                vec![message]
            });
            assert!(failed(&world, from), "message {index}, byte {byte}: {world:?}");
        }
    }
}

#[test]
fn a_repeated_message() {
    for (index, (from, _)) in messages().into_iter().enumerate() {
        let world = ceremony(&mut |i, _, message| match i == index {
            true => vec![message.clone(), message],
            false => vec![message],
        });
        // A second Shutdown finds the phone closed already, which is fine.
        assert!(failed(&world, from) || index == 5, "message {index}: {world:?}");
    }
}

#[test]
fn swapped_messages() {
    // The handshake's answer and the post-handshake message follow each other on the wire.
    let mut held = None;
    let world = ceremony(&mut |i, _, message| match i {
        1 => {
            held = Some(message);
            vec![]
        }
        2 => vec![message, held.take().unwrap()],
        _ => vec![message],
    });
    assert!(matches!(world.laptop_error, Some(Error::Handshake(_))), "{world:?}");
}

#[test]
fn a_dropped_message_ends_at_a_deadline() {
    for (index, waiting) in [(0, Waiting::Handshake), (1, Waiting::Handshake)] {
        let mut dropped = false;
        let mut world = ceremony(&mut |i, _, message| {
            dropped |= i == index;
            if dropped { vec![] } else { vec![message] }
        });
        world.laptop_deadline();
        assert_eq!(world.laptop_error, Some(Error::TimedOut(waiting)));
    }
    let mut world = ceremony(&mut |i, _, message| if i == 2 { vec![] } else { vec![message] });
    world.laptop_deadline();
    assert_eq!(world.laptop_error, Some(Error::TimedOut(Waiting::PostHandshake)));
    let mut world = ceremony(&mut |i, _, message| if i == 4 { vec![] } else { vec![message] });
    world.laptop_deadline();
    assert_eq!(world.laptop_error, Some(Error::TimedOut(Waiting::Response)));
}

#[test]
fn messages_from_nowhere() {
    for len in [0, 1, 15, 16, 48, 70, 81, 82, 65_536, (1 << 20) + 1] {
        let junk = vec![0x5a; len];
        let mut world = World::qr(Options::default());
        world.connect();
        world.laptop(Input::Message(&junk));
        assert!(matches!(world.laptop_error, Some(Error::Frame(_))), "{len}");
        let via = world.via;
        world.phone(authenticator::Input::Message { via, message: &junk });
        assert!(matches!(world.phone_error, Some(Error::Frame(_))), "{len}");

        let mut world = World::qr(Options::default());
        world.advertise();
        world.phone(authenticator::Input::Message { via, message: &junk });
        assert!(matches!(world.phone_error, Some(Error::Handshake(_))), "{len}");
        let mut world = World::qr(Options::default());
        world.phone(authenticator::Input::Message { via, message: &junk });
        assert_eq!(world.phone_error, Some(Error::OutOfTurn));
    }
}

#[test]
fn a_tunnel_that_echoes_convinces_nobody() {
    let mut world = World::qr(Options::default());
    world.laptop(Input::Timeout);
    world.advertise();
    world.hear();
    world.open_channels();
    let first = world.to_phone.pop_front().unwrap();
    world.laptop(Input::Message(&first));
    assert!(matches!(world.laptop_error, Some(Error::Handshake(_))));

    let mut world = World::qr(Options::default());
    world.connect();
    world.laptop(Input::Ctap(b"\x01request"));
    let request = world.to_phone.pop_front().unwrap();
    world.laptop(Input::Message(&request));
    assert!(matches!(world.laptop_error, Some(Error::Frame(_))), "directions have their own keys");
}
