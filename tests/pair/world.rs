//! A laptop, a phone, the air and a tunnel service that does what a test tells it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cabled::hybrid::advert::{ConnectionNonce, Psm};
use cabled::hybrid::client::{self, LinkRequest, QrOffer, Sender, Target};
use cabled::hybrid::keys::{ClientNonce, LinkSecret};
use cabled::hybrid::linking::{ClientPayload, LinkId, LinkedDevice};
use cabled::hybrid::post_handshake::{Feature, PostHandshake};
use cabled::hybrid::qr::{ChannelKind, Hint, QrContents};
use cabled::hybrid::tunnel::{ContactId, RoutingId, TunnelServiceId};
use cabled::hybrid::{Error, PrivateKey, authenticator};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub(crate) const SENDER: Sender = Sender { address: [0xc0, 1, 2, 3, 4, 5], random: true };
pub(crate) const ROUTING: RoutingId = RoutingId::new([9, 8, 7]);
pub(crate) const SERVICE: TunnelServiceId = TunnelServiceId::new(266);

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Laptop,
    Phone,
}

/// What the tunnel does to the n-th message (counted over both directions).
pub(crate) type Tamper<'a> = &'a mut dyn FnMut(usize, From, Vec<u8>) -> Vec<Vec<u8>>;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) laptop: client::Transaction,
    pub(crate) phone: authenticator::Transaction,
    /// The advert that is on the air.
    pub(crate) on_air: Option<Vec<u8>>,
    pub(crate) scanning: bool,
    pub(crate) to_phone: VecDeque<Vec<u8>>,
    pub(crate) to_laptop: VecDeque<Vec<u8>>,
    pub(crate) laptop_events: Vec<client::Event>,
    pub(crate) phone_events: Vec<authenticator::Event>,
    pub(crate) laptop_error: Option<Error>,
    pub(crate) phone_error: Option<Error>,
    pub(crate) opened: Vec<Target>,
    /// Channels that cannot be opened by the laptop.
    pub(crate) refuse: fn(&Target) -> bool,
    pub(crate) via: ChannelKind,
    pub(crate) closed: (bool, bool),
    /// Channels that the phone gave up.
    pub(crate) discarded: Vec<ChannelKind>,
    pub(crate) opens_tunnel: bool,
    delivered: usize,
}

pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) wants_linking: bool,
    pub(crate) l2cap: (bool, Option<Psm>),
    /// The QR does not offer the tunnel.
    pub(crate) only_l2cap: bool,
    pub(crate) features: Vec<Feature>,
}

impl Default for Options {
    fn default() -> Self {
        let features = vec![Feature::Ctap, Feature::DigitalCredentials];
        Self { seed: 1, wants_linking: false, l2cap: (false, None), only_l2cap: false, features }
    }
}

fn offer(rng: &mut ChaCha20Rng, options: &Options) -> authenticator::Offer {
    let mut post_handshake = PostHandshake::ctap(vec![0xa0]);
    post_handshake.features = options.features.clone();
    authenticator::Offer {
        post_handshake,
        ephemeral: PrivateKey::generate(rng),
        nonce: ConnectionNonce::random(rng),
        l2cap: options.l2cap.1,
    }
}

impl World {
    /// A QR that the phone has just scanned.
    pub(crate) fn qr(options: Options) -> Self {
        let now = Instant::now();
        let mut rng = ChaCha20Rng::seed_from_u64(options.seed);
        let hint = Hint::MakeCredential;
        let mut shown =
            QrOffer::new(&mut rng, hint, 1_700_000_000, options.wants_linking, options.l2cap.0);
        if options.only_l2cap {
            shown.contents.channels = Some(vec![ChannelKind::L2cap]);
        }
        let laptop = client::Transaction::qr(shown, client::Deadlines::default(), now);
        let contents = QrContents::decode(&laptop.qr_text().unwrap()).unwrap();
        let offer = offer(&mut rng, &options);
        let scan = authenticator::Scan { contents };
        let deadlines = authenticator::Deadlines::default();
        let phone = authenticator::Transaction::qr(scan, offer, deadlines, now);
        Self::new(now, rng, laptop, phone)
    }

    /// A linked phone that the laptop rings.
    pub(crate) fn linked() -> Self {
        let now = Instant::now();
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let identity = PrivateKey::generate(&mut rng);
        let link_secret = LinkSecret::random(&mut rng);
        let device = LinkedDevice {
            contact_id: ContactId::new(vec![1, 2, 3]).unwrap(),
            link_id: LinkId([4; 8]),
            link_secret: link_secret.clone(),
            identity: *identity.public(),
            name: "phone".to_owned(),
            service: SERVICE,
        };
        let nonce = ClientNonce::random(&mut rng);
        let hint = Hint::GetAssertion;
        let payload = ClientPayload { link_id: device.link_id, nonce, hint };
        let ephemeral = PrivateKey::generate(&mut rng);
        let request = LinkRequest { device, nonce, hint, ephemeral };
        let laptop =
            client::Transaction::state_assisted(request, client::Deadlines::default(), now);
        let rung = authenticator::Rung {
            ring: authenticator::Ring { payload },
            link_secret,
            identity: authenticator::Identity(identity),
        };
        let offer = offer(&mut rng, &Options::default());
        let deadlines = authenticator::Deadlines::default();
        let phone = authenticator::Transaction::state_assisted(rung, offer, deadlines, now);
        Self::new(now, rng, laptop, phone)
    }

    fn new(
        now: Instant,
        rng: ChaCha20Rng,
        laptop: client::Transaction,
        phone: authenticator::Transaction,
    ) -> Self {
        Self {
            now,
            rng,
            laptop,
            phone,
            on_air: None,
            scanning: false,
            to_phone: VecDeque::new(),
            to_laptop: VecDeque::new(),
            laptop_events: Vec::new(),
            phone_events: Vec::new(),
            laptop_error: None,
            phone_error: None,
            opened: Vec::new(),
            refuse: |_| false,
            via: ChannelKind::Tunnel,
            closed: (false, false),
            discarded: Vec::new(),
            opens_tunnel: false,
            delivered: 0,
        }
    }

    pub(crate) fn laptop(&mut self, input: client::Input<'_>) {
        if let Err(error) = self.laptop.handle(input, self.now) {
            assert!(self.laptop_error.is_none() || error == Error::Misuse);
            self.laptop_error.get_or_insert(error);
        }
        while let Some(output) = self.laptop.poll_output() {
            match output {
                client::Output::StartScan => self.scanning = true,
                client::Output::StopScan => self.scanning = false,
                client::Output::OpenChannel(target) => self.opened.push(target),
                client::Output::Send(message) => self.to_phone.push_back(message),
                client::Output::CloseChannel => self.closed.0 = true,
                client::Output::Event(event) => self.laptop_events.push(event),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn phone(&mut self, input: authenticator::Input<'_>) {
        use authenticator::Output;
        if let Err(error) = self.phone.handle(input, self.now) {
            assert!(self.phone_error.is_none() || error == Error::Misuse);
            self.phone_error.get_or_insert(error);
        }
        while let Some(output) = self.phone.poll_output() {
            match output {
                Output::OpenTunnel(_) => self.opens_tunnel = true,
                Output::Discard(via) => self.discarded.push(via),
                Output::Advertise(data) => self.on_air = Some(data),
                Output::StopAdvertising => self.on_air = None,
                Output::Send { via, message } => {
                    assert_eq!(via, self.via);
                    self.to_laptop.push_back(message);
                }
                Output::CloseChannel => self.closed.1 = true,
                Output::Event(event) => self.phone_events.push(event),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The phone's tunnel opens and its advert goes on the air.
    pub(crate) fn advertise(&mut self) {
        self.phone(authenticator::Input::TunnelOpen { routing: ROUTING, service: SERVICE });
    }

    /// The laptop hears what is on the air once.
    pub(crate) fn hear(&mut self) {
        let data = self.on_air.clone().expect("nothing is on the air");
        self.sighting(&data);
    }

    pub(crate) fn sighting(&mut self, service_data: &[u8]) {
        self.laptop(client::Input::Sighting { service_data, sender: SENDER });
    }

    pub(crate) fn foreign(&mut self) {
        let mut data = [0; 20];
        self.rng.fill_bytes(&mut data);
        self.sighting(&data);
    }

    /// Opens the channels that the laptop asked for, until one opens.
    pub(crate) fn open_channels(&mut self) {
        while let Some(target) = self.opened.pop() {
            if (self.refuse)(&target) {
                self.laptop(client::Input::ChannelFailed);
            } else {
                self.via = match target {
                    Target::L2cap { .. } => ChannelKind::L2cap,
                    _ => ChannelKind::Tunnel,
                };
                self.laptop(client::Input::ChannelOpen);
            }
        }
    }

    /// Carries messages both ways until there are none.
    pub(crate) fn carry(&mut self, tamper: Tamper<'_>) {
        while self.carry_one(tamper) {}
    }

    /// Carries one message; false when there is none.
    pub(crate) fn carry_one(&mut self, tamper: Tamper<'_>) -> bool {
        if let Some(message) = self.to_phone.pop_front() {
            let via = self.via;
            for message in self.tampered(tamper, From::Laptop, message) {
                self.phone(authenticator::Input::Message { via, message: &message });
            }
        } else if let Some(message) = self.to_laptop.pop_front() {
            for message in self.tampered(tamper, From::Phone, message) {
                self.laptop(client::Input::Message(&message));
            }
        } else {
            return false;
        }
        true
    }

    fn tampered(&mut self, tamper: Tamper<'_>, from: From, message: Vec<u8>) -> Vec<Vec<u8>> {
        self.delivered += 1;
        tamper(self.delivered - 1, from, message)
    }

    pub(crate) fn carry_honestly(&mut self) {
        self.carry(&mut |_, _, message| vec![message]);
    }

    /// From nothing to a ready channel.
    pub(crate) fn connect(&mut self) {
        self.laptop(client::Input::Timeout);
        self.open_channels();
        self.advertise();
        self.hear();
        self.open_channels();
        self.carry_honestly();
        assert!(self.phone_events.contains(&authenticator::Event::Connected), "{self:?}");
        assert!(self.on_air.is_none() && !self.scanning);
    }

    /// One request and its answer; what each side got.
    pub(crate) fn exchange(&mut self, request: &[u8], answer: &[u8]) {
        self.laptop(client::Input::Ctap(request));
        self.carry_honestly();
        let asked = authenticator::Event::Ctap(request.to_vec());
        assert_eq!(self.phone_events.last(), Some(&asked));
        self.phone(authenticator::Input::Response(answer));
        self.carry_honestly();
        assert_eq!(self.laptop_events.last(), Some(&client::Event::Ctap(answer.to_vec())));
    }

    /// Goes to the laptop's next deadline and wakes it, one nanosecond early first.
    pub(crate) fn laptop_deadline(&mut self) {
        let at = self.laptop.poll_timeout().expect("the laptop has a deadline");
        self.now = at - Duration::from_nanos(1);
        let before = self.laptop_error;
        self.laptop(client::Input::Timeout);
        assert_eq!(self.laptop_error, before, "woke too early");
        self.now = at;
        self.laptop(client::Input::Timeout);
    }

    /// The same for the phone.
    pub(crate) fn phone_deadline(&mut self) {
        let at = self.phone.poll_timeout().expect("the phone has a deadline");
        self.now = at - Duration::from_nanos(1);
        let before = self.phone_error;
        self.phone(authenticator::Input::Timeout);
        assert_eq!(self.phone_error, before, "woke too early");
        self.now = at;
        self.phone(authenticator::Input::Timeout);
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let laptop = (&self.laptop_events, &self.laptop_error);
        let phone = (&self.phone_events, &self.phone_error);
        write!(f, "laptop {laptop:?}, phone {phone:?}")
    }
}
