//! The phone's state machine between a tunnel, a user and a laptop that do as the fuzzer likes.
//!
//! The laptop is either the real state machine, whose messages get lost, doubled, cut, changed,
//! overtaken or preceded by forged ones, or one with all the right keys that seals anything. What
//! must hold after each input is in `phone.rs` (and `laptop.rs`).
#![no_main]

use std::time::Instant;

use cabled::hybrid::advert::trial_open;
use cabled::hybrid::authenticator::Input;
use cabled::hybrid::client::Input as LaptopInput;
use cabled::hybrid::frame::Frame;
use cabled::hybrid::noise::{AwaitResponse, Established, initiate};
use cabled::hybrid::qr::ChannelKind;
use cabled::hybrid::tunnel::{RoutingId, TunnelServiceId};
use cabled_fuzz::KEYS;
use cabled_fuzz::laptop::Laptop;
use cabled_fuzz::phone::Phone;
use cabled_fuzz::scene::{SENDER, Scene, after, message_type};
use cabled_fuzz::wire::{Fate, Wire};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

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
    TunnelOpen([u8; 3], u16),
    Receive(Fate<'a>),
    Respond(&'a [u8]),
    Update(bool),
    Laptop(LaptopStep<'a>),
    /// The laptop seals this, if it can, and it arrives before all else.
    Told(u8, &'a [u8]),
    Rarely(Rarely<'a>),
}

/// What mostly ends a transaction.
#[derive(Arbitrary, Debug)]
enum Rarely<'a> {
    TunnelFailed,
    /// Everything comes over the other channel from now on.
    OtherChannel,
    Receive(Fate<'a>),
    Closed {
        l2cap: bool,
    },
    Cancel,
    Timeout,
    Wait(u32),
    LaptopFinishes,
    LaptopCancels,
    LaptopTimeout,
}

#[derive(Arbitrary, Debug)]
enum LaptopStep<'a> {
    /// Hears the advert and opens its channel.
    Begin,
    Receive(Fate<'a>),
    Ctap(&'a [u8]),
    Json(&'a [u8]),
    /// A hostile one only: any frame, or any plaintext, with the right key.
    Seal(u8, &'a [u8]),
    SealUntyped(&'a [u8]),
}

const HONEST: [Step<'static>; 9] = [
    Step::TunnelOpen([9, 8, 7], 0),
    Step::Laptop(LaptopStep::Begin),
    Step::Receive(Fate::Arrive),
    Step::Laptop(LaptopStep::Receive(Fate::Arrive)),
    Step::Laptop(LaptopStep::Receive(Fate::Arrive)),
    Step::Laptop(LaptopStep::Ctap(&[4])),
    Step::Receive(Fate::Arrive),
    Step::Respond(&[0]),
    Step::Laptop(LaptopStep::Receive(Fate::Arrive)),
];

fuzz_target!(|script: Script<'_>| {
    let scene = Scene::new(script.linked, script.l2cap);
    let mut world = World {
        scene,
        now: scene.began,
        phone: Phone::new(scene.phone()),
        laptop: Laptop::new(scene.laptop()),
        hostile: script.hostile,
        over_l2cap: false,
        handshake: None,
        channel: None,
        to_laptop: Wire::default(),
        to_phone: Wire::default(),
    };
    let honest = usize::from(script.honest) % (HONEST.len() + 1);
    HONEST.iter().take(honest).chain(&script.steps).for_each(|step| world.step(step));
    world.laptop.wait_to_the_end();
    world.phone.wait_to_the_end();
});

struct World {
    scene: Scene,
    now: Instant,
    phone: Phone,
    laptop: Laptop,
    hostile: bool,
    over_l2cap: bool,
    /// What a hostile laptop has before and after the handshake.
    handshake: Option<AwaitResponse>,
    channel: Option<Established>,
    to_laptop: Wire,
    to_phone: Wire,
}

impl World {
    fn phone_does(&mut self, input: Input<'_>) {
        let sent = self.phone.handle(input, self.now);
        sent.into_iter().for_each(|message| self.to_laptop.send(message));
    }

    fn laptop_does(&mut self, input: LaptopInput<'_>) {
        let sent = self.laptop.handle(input, self.now);
        sent.into_iter().for_each(|message| self.to_phone.send(message));
    }

    fn step(&mut self, step: &Step<'_>) {
        match step {
            Step::TunnelOpen(routing, service) => self.phone_does(Input::TunnelOpen {
                routing: RoutingId::new(*routing),
                service: TunnelServiceId::new(*service),
            }),
            Step::Receive(fate) => self.receive(fate),
            Step::Respond(body) => self.phone_does(Input::Response(body)),
            Step::Update(says) => {
                let info = self.phone.linking_info().filter(|_| *says);
                self.phone_does(Input::Update(info.as_ref()));
            }
            Step::Laptop(step) if self.hostile => self.hostile_step(step),
            Step::Laptop(step) => self.laptop_step(step),
            Step::Told(kind, payload) => {
                let queued = std::mem::take(&mut self.to_phone);
                self.hostile_step(&LaptopStep::Seal(*kind, payload));
                self.receive(&Fate::Arrive);
                self.to_phone = queued;
            }
            Step::Rarely(step) => self.rare_step(step),
        }
    }

    fn receive(&mut self, fate: &Fate<'_>) {
        let (via, arrived) = (channel(self.over_l2cap), self.to_phone.receive(fate));
        let input = |message| Input::Message { via, message };
        arrived.iter().for_each(|message| self.phone_does(input(message)));
    }

    fn rare_step(&mut self, step: &Rarely<'_>) {
        match step {
            Rarely::TunnelFailed => self.phone_does(Input::TunnelFailed),
            Rarely::OtherChannel => self.over_l2cap = !self.over_l2cap,
            Rarely::Receive(fate) => {
                self.over_l2cap = !self.over_l2cap;
                self.receive(fate);
                self.over_l2cap = !self.over_l2cap;
            }
            Rarely::Closed { l2cap } => {
                self.phone_does(Input::ChannelClosed { via: channel(*l2cap) });
            }
            Rarely::Cancel => self.phone_does(Input::Cancel),
            Rarely::Timeout => {
                self.now = self.phone.deadline().unwrap_or(self.now).max(self.now);
                self.phone_does(Input::Timeout);
            }
            Rarely::Wait(milliseconds) => {
                self.now = after(self.now, *milliseconds);
                self.phone_does(Input::Timeout);
            }
            Rarely::LaptopFinishes if self.hostile => {
                self.hostile_step(&LaptopStep::Seal(0, &[]));
            }
            Rarely::LaptopFinishes => self.laptop_does(LaptopInput::Finish),
            Rarely::LaptopCancels => self.laptop_does(LaptopInput::Cancel),
            Rarely::LaptopTimeout => {
                self.now = self.laptop.deadline().unwrap_or(self.now).max(self.now);
                self.laptop_does(LaptopInput::Timeout);
            }
        }
    }

    fn laptop_step(&mut self, step: &LaptopStep<'_>) {
        match step {
            LaptopStep::Begin => {
                let advert = self.phone.advert().unwrap_or_default().to_vec();
                self.laptop_does(LaptopInput::Sighting { service_data: &advert, sender: SENDER });
                self.laptop_does(LaptopInput::ChannelOpen);
            }
            LaptopStep::Receive(fate) => {
                let arrived = self.to_laptop.receive(fate);
                arrived.iter().for_each(|message| self.laptop_does(LaptopInput::Message(message)));
            }
            LaptopStep::Ctap(request) => self.laptop_does(LaptopInput::Ctap(request)),
            LaptopStep::Json(request) => self.laptop_does(LaptopInput::Json(request)),
            LaptopStep::Seal(..) | LaptopStep::SealUntyped(_) => {}
        }
    }

    fn hostile_step(&mut self, step: &LaptopStep<'_>) {
        let frame = match (step, &mut self.channel) {
            (LaptopStep::Begin, _) => return self.hostile_begin(),
            (LaptopStep::Receive(_), None) => return self.hostile_finish(),
            (LaptopStep::SealUntyped(bytes), Some(channel)) => {
                let sealed = channel.sealer.seal_untyped(bytes);
                return self.to_phone.send(sealed.expect("far below the limit"));
            }
            (LaptopStep::Ctap(payload), _) => Frame { kind: message_type(1), payload },
            (LaptopStep::Json(payload), _) => Frame { kind: message_type(3), payload },
            (LaptopStep::Seal(kind, payload), _) => Frame { kind: message_type(*kind), payload },
            (LaptopStep::Receive(_) | LaptopStep::SealUntyped(_), _) => return,
        };
        if let Some(channel) = &mut self.channel {
            self.to_phone.send(channel.sealer.seal(frame).expect("far below the limit"));
        }
    }

    fn hostile_begin(&mut self) {
        let advert = self.phone.advert().and_then(|data| trial_open(&self.scene.eid_key(), data));
        let Some(advert) = advert else { return };
        let psk = self.scene.psk(&advert.plaintext);
        let begun = initiate(self.scene.client_side(), &psk, &KEYS.laptop_ephemeral);
        let (message, handshake) = begun.expect("our keys are good");
        self.to_phone.send(message.to_vec());
        self.handshake = Some(handshake);
    }

    fn hostile_finish(&mut self) {
        let Some(handshake) = self.handshake.take() else { return };
        let answer = self.to_laptop.receive(&Fate::Arrive);
        self.channel = answer.first().and_then(|answer| handshake.finish(answer).ok());
    }
}

fn channel(l2cap: bool) -> ChannelKind {
    if l2cap { ChannelKind::L2cap } else { ChannelKind::Tunnel }
}
