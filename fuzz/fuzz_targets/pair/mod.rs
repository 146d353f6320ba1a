//! A laptop and a phone joined by what the fuzzer does to them. The bytes are a script of steps:
//! either side gets honest inputs from the other, damaged ones, invented ones, and time.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cabled::hybrid::client::{self, LinkRequest, QrOffer, Sender};
use cabled::hybrid::keys::{LinkSecret, QrSecret};
use cabled::hybrid::linking::{ClientPayload, LinkId, LinkedDevice};
use cabled::hybrid::post_handshake::{Feature, PostHandshake};
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{ContactId, RoutingId, TunnelServiceId};
use cabled::hybrid::{Error, PrivateKey, authenticator};
use cabled::secret::Secret;

const SENDER: Sender = Sender { address: [0xc0, 1, 2, 3, 4, 5], random: true };
const ROUTING: RoutingId = RoutingId::new([9, 8, 7]);
const SERVICE: TunnelServiceId = TunnelServiceId::new(266);

static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
static KEYS: LazyLock<[PrivateKey; 4]> = LazyLock::new(|| [1, 2, 3, 4].map(key));

fn key(n: u8) -> PrivateKey {
    PrivateKey::from_scalar(&Secret::new([n; 32])).expect("a valid scalar")
}

/// The bytes that are left of the script.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A length byte and that many bytes, or what is left.
    fn bytes(&mut self) -> &'a [u8] {
        let wanted = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (bytes, rest) = self.0.split_at(wanted);
        self.0 = rest;
        bytes
    }
}

pub(crate) struct Pair {
    now: Instant,
    laptop: client::Transaction,
    phone: authenticator::Transaction,
    on_air: Option<Vec<u8>>,
    to_laptop: VecDeque<Vec<u8>>,
    to_phone: VecDeque<Vec<u8>>,
    /// Honest messages that went into each side.
    honest: (usize, usize),
    connected: (bool, bool),
}

impl Pair {
    /// The first byte of the script chooses how the transaction begins.
    pub(crate) fn begin(script: &mut Script<'_>) -> Option<Self> {
        let choice = script.byte()?;
        let flag = |bit: u8| choice & (1 << bit) != 0;
        let [laptop_key, identity, ephemeral, phone_ephemeral] = KEYS.clone();
        let mut post_handshake = PostHandshake::ctap(vec![0xa0]);
        if flag(1) {
            post_handshake.features = vec![Feature::Ctap, Feature::DigitalCredentials];
        }
        let offer = authenticator::Offer {
            post_handshake,
            ephemeral: phone_ephemeral,
            nonce: [6; 10].into(),
            l2cap: None,
        };
        let phone_times = authenticator::Deadlines::default();
        let times = client::Deadlines::default();
        let now = *NOW;
        let (laptop, phone) = if flag(0) {
            let link_secret = LinkSecret::new([7; 32]);
            let device = LinkedDevice {
                contact_id: ContactId::new(vec![1, 2, 3]).expect("short enough"),
                link_id: LinkId([4; 8]),
                link_secret: link_secret.clone(),
                identity: *identity.public(),
                name: "phone".to_owned(),
                service: SERVICE,
            };
            let (nonce, hint) = ([8; 16].into(), Hint::GetAssertion);
            let payload = ClientPayload { link_id: device.link_id, nonce, hint };
            let ring = authenticator::Ring { payload };
            let identity = authenticator::Identity(identity);
            let rung = authenticator::Rung { ring, link_secret, identity };
            let request = LinkRequest { device, nonce, hint, ephemeral };
            (
                client::Transaction::state_assisted(request, times, now),
                authenticator::Transaction::state_assisted(rung, offer, phone_times, now),
            )
        } else {
            let contents = QrContents {
                identity: *laptop_key.public(),
                secret: QrSecret::new([5; 16]),
                known_services: 2,
                shown_at: None,
                wants_linking: Some(flag(2)),
                hint: Some(Hint::MakeCredential),
                channels: flag(3).then(|| vec![ChannelKind::Tunnel, ChannelKind::L2cap]),
                grease: None,
            };
            let scan = authenticator::Scan { contents: contents.clone() };
            let shown = QrOffer { contents, identity: laptop_key, ephemeral };
            (
                client::Transaction::qr(shown, times, now),
                authenticator::Transaction::qr(scan, offer, phone_times, now),
            )
        };
        let mut pair = Self {
            now,
            laptop,
            phone,
            on_air: None,
            to_laptop: VecDeque::new(),
            to_phone: VecDeque::new(),
            honest: (0, 0),
            connected: (false, false),
        };
        pair.drain_laptop();
        pair.drain_phone();
        Some(pair)
    }

    /// One step of the laptop. `hostile` allows inputs that no honest phone or driver gives.
    pub(crate) fn step_laptop(&mut self, op: u8, hostile: bool, script: &mut Script<'_>) {
        use client::Input;
        let was_closed = self.laptop.is_closed();
        let held;
        let input = match op {
            0 => match self.on_air.clone() {
                Some(advert) => {
                    held = advert;
                    Input::Sighting { service_data: &held, sender: SENDER }
                }
                None => return,
            },
            1 => Input::ChannelOpen,
            2 => match self.to_laptop.pop_front() {
                Some(message) => {
                    held = message;
                    self.honest.0 += 1;
                    Input::Message(&held)
                }
                None => return,
            },
            3 => Input::Ctap(script.bytes()),
            4 => Input::Json(script.bytes()),
            5 => Input::Finish,
            6 => Input::Cancel,
            7 => Input::ChannelClosed,
            8 => Input::ChannelFailed,
            9 => {
                self.now = self.laptop.poll_timeout().unwrap_or(self.now);
                Input::Timeout
            }
            10 if hostile => Input::Sighting { service_data: script.bytes(), sender: SENDER },
            11 if hostile => Input::Message(script.bytes()),
            12 if hostile => match self.to_laptop.pop_front() {
                Some(message) => {
                    held = damage(message, script);
                    Input::Message(&held)
                }
                None => return,
            },
            _ => {
                self.now += Duration::from_millis(250);
                return;
            }
        };
        let result = self.laptop.handle(input, self.now);
        self.drain_laptop();
        let misused = matches!(result, Err(Error::Misuse));
        if result.is_err() && !misused {
            assert!(self.laptop.is_closed(), "an error ends the transaction");
        }
        assert!(!was_closed || self.laptop.is_closed(), "closed stays closed");
        assert!(!self.laptop.is_closed() || self.laptop.poll_timeout().is_none());
    }

    fn drain_laptop(&mut self) {
        use client::{Event, Output};
        for _ in 0..64 {
            match self.laptop.poll_output() {
                None => return,
                Some(Output::Send(message)) => self.to_phone.push_back(message),
                Some(Output::Event(Event::Connected)) => self.connected.0 = true,
                Some(Output::Event(Event::Ready(_) | Event::Ctap(_) | Event::Json(_))) => {
                    assert!(self.connected.0 && self.honest.0 > 0, "an answer out of thin air");
                }
                Some(_) => {}
            }
        }
        panic!("one input gives a bounded number of outputs");
    }

    /// One step of the phone; see [`step_laptop`](Self::step_laptop).
    pub(crate) fn step_phone(&mut self, op: u8, hostile: bool, script: &mut Script<'_>) {
        use authenticator::Input;
        let was_closed = self.phone.is_closed();
        let (held, via) = (&mut Vec::new(), ChannelKind::Tunnel);
        let input = match op {
            0 => Input::TunnelOpen { routing: ROUTING, service: SERVICE },
            1 => match self.to_phone.pop_front() {
                Some(message) => {
                    *held = message;
                    self.honest.1 += 1;
                    Input::Message { via, message: held }
                }
                None => return,
            },
            2 => Input::Response(script.bytes()),
            3 => Input::Update(None),
            4 => Input::Cancel,
            5 => Input::ChannelClosed { via },
            6 => Input::TunnelFailed,
            7 => {
                self.now = self.phone.poll_timeout().unwrap_or(self.now);
                Input::Timeout
            }
            8 if hostile => Input::Message { via, message: script.bytes() },
            9 if hostile => match self.to_phone.pop_front() {
                Some(message) => {
                    *held = damage(message, script);
                    Input::Message { via, message: held }
                }
                None => return,
            },
            10 if hostile => Input::Message { via: ChannelKind::L2cap, message: script.bytes() },
            11 if hostile => Input::ChannelClosed { via: ChannelKind::L2cap },
            _ => {
                self.now += Duration::from_millis(250);
                return;
            }
        };
        let result = self.phone.handle(input, self.now);
        self.drain_phone();
        if result.is_err() && !matches!(result, Err(Error::Misuse)) {
            assert!(self.phone.is_closed(), "an error ends the transaction");
            assert!(self.on_air.is_none(), "still on the air after the end");
        }
        assert!(!was_closed || self.phone.is_closed(), "closed stays closed");
        assert!(!self.phone.is_closed() || self.phone.poll_timeout().is_none());
    }

    fn drain_phone(&mut self) {
        use authenticator::{Event, Output};
        for _ in 0..64 {
            match self.phone.poll_output() {
                None => return,
                Some(Output::Send { message, .. }) => self.to_laptop.push_back(message),
                Some(Output::Advertise(advert)) => self.on_air = Some(advert),
                Some(Output::StopAdvertising) => self.on_air = None,
                Some(Output::Event(Event::Connected)) => self.connected.1 = true,
                Some(Output::Event(Event::Ctap(_) | Event::Json(_) | Event::Acknowledged)) => {
                    assert!(self.connected.1 && self.honest.1 > 1, "a request out of thin air");
                }
                Some(_) => {}
            }
        }
        panic!("one input gives a bounded number of outputs");
    }

    /// Whatever happened, waiting ends: deadlines alone close both sides, or leave it to a caller
    /// whose turn it is.
    pub(crate) fn wait_to_the_end(mut self) {
        for _ in 0..64 {
            let (laptop, phone) = (self.laptop.poll_timeout(), self.phone.poll_timeout());
            if laptop.is_none() && phone.is_none() {
                return;
            }
            let mut nothing = Script(&[]);
            if laptop.is_some() {
                self.step_laptop(9, false, &mut nothing);
            }
            if phone.is_some() {
                self.step_phone(7, false, &mut nothing);
            }
        }
        panic!("a deadline that never ends the wait");
    }
}

/// Cuts, flips or lengthens a message; never gives it back as it was.
fn damage(mut message: Vec<u8>, script: &mut Script<'_>) -> Vec<u8> {
    let (how, at) = (script.byte().unwrap_or(0), usize::from(script.byte().unwrap_or(0)));
    let at = at % message.len().max(1);
    match (how % 3, message.get_mut(at)) {
        (0, _) | (_, None) => message.push(how),
        (1, _) => message.truncate(at),
        (_, Some(byte)) => *byte ^= (how | 1).rotate_left(u32::from(how) % 8),
    }
    message
}
