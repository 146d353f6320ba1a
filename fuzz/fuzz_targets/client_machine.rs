//! The laptop's state machine between a radio, a tunnel and a phone that do as the fuzzer likes.
//!
//! The phone is either the real state machine, whose messages get lost, doubled, cut, changed,
//! overtaken or preceded by forged ones, or one with all the right keys that seals anything. What
//! must hold after each input is in `laptop.rs` (and `phone.rs`).
#![no_main]

use std::time::Instant;

use cabled::hybrid::advert::seal;
use cabled::hybrid::authenticator::Input as PhoneInput;
use cabled::hybrid::client::Input;
use cabled::hybrid::frame::Frame;
use cabled::hybrid::noise::{Established, respond};
use cabled::hybrid::qr::ChannelKind;
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled_fuzz::KEYS;
use cabled_fuzz::laptop::Laptop;
use cabled_fuzz::phone::Phone;
use cabled_fuzz::scene::{SENDER, Scene, after, message_type};
use cabled_fuzz::wire::{Fate, Wire};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const ROUTING: [u8; 3] = [9, 8, 7];
const SERVICE: u16 = 266;

#[derive(Arbitrary, Debug)]
struct Script<'a> {
    linked: bool,
    l2cap: bool,
    hostile: bool,
    /// How much goes well first.
    honest: u8,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Advert {
        service: Option<u16>,
        suffix: &'a [u8],
    },
    Opened,
    Receive(Fate<'a>),
    Ctap(&'a [u8]),
    Json(&'a [u8]),
    Phone(PhoneStep<'a>),
    /// The phone seals this, if it can, and it arrives before all else.
    Told(u8, &'a [u8]),
    Rarely(Rarely<'a>),
}

/// What mostly ends a transaction.
#[derive(Arbitrary, Debug)]
enum Rarely<'a> {
    Sighting(&'a [u8]),
    Failed,
    Closed,
    Finish,
    Cancel,
    Timeout,
    Wait(u32),
    PhoneCancels,
    PhoneTimeout,
}

#[derive(Arbitrary, Debug)]
enum PhoneStep<'a> {
    Receive(Fate<'a>),
    Respond(&'a [u8]),
    Update(bool),
    /// A hostile one only: any frame, or any plaintext, with the right key.
    Seal(u8, &'a [u8]),
    SealUntyped(&'a [u8]),
}

const HONEST: [Step<'static>; 10] = [
    Step::Advert { service: None, suffix: &[] },
    Step::Opened,
    Step::Phone(PhoneStep::Receive(Fate::Arrive)),
    Step::Receive(Fate::Arrive),
    Step::Receive(Fate::Arrive),
    Step::Ctap(&[4]),
    Step::Phone(PhoneStep::Receive(Fate::Arrive)),
    Step::Phone(PhoneStep::Respond(&[0])),
    Step::Receive(Fate::Arrive),
    Step::Rarely(Rarely::Finish),
];

fuzz_target!(|script: Script<'_>| {
    let scene = Scene::new(script.linked, script.l2cap);
    let mut world = World {
        scene,
        now: scene.began,
        laptop: Laptop::new(scene.laptop()),
        phone: Phone::new(scene.phone()),
        hostile: script.hostile,
        channel: None,
        to_laptop: Wire::default(),
        to_phone: Wire::default(),
    };
    world.phone_does(PhoneInput::TunnelOpen {
        routing: RoutingId::new(ROUTING),
        service: TunnelServiceId::new(SERVICE),
    });
    let honest = usize::from(script.honest) % (HONEST.len() + 1);
    HONEST.iter().take(honest).chain(&script.steps).for_each(|step| world.step(step));
    world.laptop.wait_to_the_end();
    world.phone.wait_to_the_end();
});

struct World {
    scene: Scene,
    now: Instant,
    laptop: Laptop,
    phone: Phone,
    hostile: bool,
    /// What a hostile phone has after the handshake.
    channel: Option<Established>,
    to_laptop: Wire,
    to_phone: Wire,
}

impl World {
    fn laptop_does(&mut self, input: Input<'_>) {
        let sent = self.laptop.handle(input, self.now);
        sent.into_iter().for_each(|message| self.to_phone.send(message));
    }

    fn phone_does(&mut self, input: PhoneInput<'_>) {
        let sent = self.phone.handle(input, self.now);
        sent.into_iter().for_each(|message| self.to_laptop.send(message));
    }

    fn sighting(&mut self, service_data: &[u8]) {
        self.laptop_does(Input::Sighting { service_data, sender: SENDER });
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::Advert { service, suffix } => {
                let plaintext = self.scene.plaintext(ROUTING, service.unwrap_or(SERVICE));
                let advert = seal(&self.scene.eid_key(), &plaintext);
                self.sighting(&[&advert, *suffix].concat());
            }
            Step::Opened => self.laptop_does(Input::ChannelOpen),
            Step::Receive(fate) => {
                let arrived = self.to_laptop.receive(fate);
                arrived.iter().for_each(|message| self.laptop_does(Input::Message(message)));
            }
            Step::Ctap(request) => self.laptop_does(Input::Ctap(request)),
            Step::Json(request) => self.laptop_does(Input::Json(request)),
            Step::Phone(step) if self.hostile => self.hostile_step(step),
            Step::Phone(step) => self.phone_step(step),
            Step::Told(kind, payload) => {
                let queued = std::mem::take(&mut self.to_laptop);
                self.hostile_step(&PhoneStep::Seal(*kind, payload));
                let told = std::mem::replace(&mut self.to_laptop, queued).receive(&Fate::Arrive);
                told.iter().for_each(|message| self.laptop_does(Input::Message(message)));
            }
            Step::Rarely(step) => self.rare_step(step),
        }
    }

    fn rare_step(&mut self, step: &Rarely<'_>) {
        match step {
            Rarely::Sighting(data) => self.sighting(data),
            Rarely::Failed => self.laptop_does(Input::ChannelFailed),
            Rarely::Closed => self.laptop_does(Input::ChannelClosed),
            Rarely::Finish => self.laptop_does(Input::Finish),
            Rarely::Cancel => self.laptop_does(Input::Cancel),
            Rarely::Timeout => {
                self.now = self.laptop.deadline().unwrap_or(self.now).max(self.now);
                self.laptop_does(Input::Timeout);
            }
            Rarely::Wait(milliseconds) => {
                self.now = after(self.now, *milliseconds);
                self.laptop_does(Input::Timeout);
            }
            Rarely::PhoneCancels => self.phone_does(PhoneInput::Cancel),
            Rarely::PhoneTimeout => {
                self.now = self.phone.deadline().unwrap_or(self.now).max(self.now);
                self.phone_does(PhoneInput::Timeout);
            }
        }
    }

    fn phone_step(&mut self, step: &PhoneStep<'_>) {
        match step {
            PhoneStep::Receive(fate) => {
                let arrived = self.to_phone.receive(fate);
                let via = ChannelKind::Tunnel;
                let input = |message| PhoneInput::Message { via, message };
                arrived.iter().for_each(|message| self.phone_does(input(message)));
            }
            PhoneStep::Respond(body) => self.phone_does(PhoneInput::Response(body)),
            PhoneStep::Update(says) => {
                let info = self.phone.linking_info().filter(|_| *says);
                self.phone_does(PhoneInput::Update(info.as_ref()));
            }
            PhoneStep::Seal(..) | PhoneStep::SealUntyped(_) => {}
        }
    }

    fn hostile_step(&mut self, step: &PhoneStep<'_>) {
        let sealed = match (step, &mut self.channel) {
            (PhoneStep::Receive(_), None) => return self.hostile_handshake(),
            (PhoneStep::Respond(payload), Some(channel)) => {
                channel.sealer.seal(Frame { kind: message_type(1), payload })
            }
            (PhoneStep::Seal(kind, payload), Some(channel)) => {
                channel.sealer.seal(Frame { kind: message_type(*kind), payload })
            }
            (PhoneStep::SealUntyped(bytes), Some(channel)) => channel.sealer.seal_untyped(bytes),
            _ => return,
        };
        self.to_laptop.send(sealed.expect("far below the limit"));
    }

    /// Its post-handshake message says as little as possible; others follow the script.
    fn hostile_handshake(&mut self) {
        let psk = self.scene.psk(&self.scene.plaintext(ROUTING, SERVICE));
        let side = self.scene.authenticator_side();
        for message in self.to_phone.receive(&Fate::Arrive) {
            if let Ok((answer, mut channel)) = respond(side, &psk, &KEYS.phone_ephemeral, &message)
            {
                let first = channel.sealer.seal_untyped(&[0xa1, 1, 0x41, 0xa0]);
                self.to_laptop.send(answer.to_vec());
                self.to_laptop.send(first.expect("short"));
                self.channel = Some(channel);
            }
        }
    }
}
