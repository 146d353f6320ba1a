//! What goes into a client transaction and what comes out of it.

use std::time::Duration;

use rand_core::{CryptoRng, RngCore};

use crate::hybrid::advert::Psm;
use crate::hybrid::crypto::PrivateKey;
use crate::hybrid::keys::{ClientNonce, QrSecret};
use crate::hybrid::linking::{ClientPayload, LinkedDevice};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::{ChannelKind, Hint, QrContents};
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId, TunnelServiceId};

/// How long each state may last.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the QR to the advert: people have to find their phone.
    pub advert: Duration,
    /// Opening one data channel.
    pub channel: Duration,
    /// Each of opening an L2CAP channel and the handshake's answer over it, as long as something else
    /// comes after it: the tunnel, or a second try.
    pub l2cap: Duration,
    /// Each of the handshake's answer and the phone's first message.
    pub handshake: Duration,
    /// The phone's answer to a request: people have to read and touch.
    pub response: Duration,
    /// After Shutdown, for updates, before the channel is closed from this side.
    pub linger: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            advert: Duration::from_secs(180),
            channel: Duration::from_secs(30),
            l2cap: Duration::from_secs(8),
            handshake: Duration::from_secs(15),
            response: Duration::from_secs(180),
            linger: Duration::from_secs(3),
        }
    }
}

/// Everything that a QR-initiated transaction starts from.
#[derive(Debug)]
pub struct QrOffer {
    /// What the QR says.
    pub contents: QrContents,
    /// The private half of the key in it.
    pub identity: PrivateKey,
    /// The handshake's ephemeral key; never used twice.
    pub ephemeral: PrivateKey,
}

impl QrOffer {
    /// Draws fresh keys and puts a QR together; `shown_at` is Unix time in seconds.
    ///
    /// Key 6 is left out unless `l2cap` asks for it, because some phones refuse a QR that has it.
    pub fn new(
        rng: &mut (impl RngCore + CryptoRng),
        hint: Hint,
        shown_at: u64,
        wants_linking: bool,
        l2cap: bool,
    ) -> Self {
        let identity = PrivateKey::generate(rng);
        let contents = QrContents {
            identity: *identity.public(),
            secret: QrSecret::random(rng),
            known_services: TunnelServiceId::ASSIGNED.into(),
            shown_at: Some(shown_at),
            wants_linking: Some(wants_linking),
            hint: Some(hint),
            channels: l2cap.then(|| vec![ChannelKind::Tunnel, ChannelKind::L2cap]),
            grease: None,
        };
        Self { contents, identity, ephemeral: PrivateKey::generate(rng) }
    }
}

/// Everything that a state-assisted transaction starts from.
#[derive(Debug)]
pub struct LinkRequest {
    /// The phone.
    pub device: LinkedDevice,
    /// Freshness; one per request.
    pub nonce: ClientNonce,
    /// What will be asked.
    pub hint: Hint,
    /// The handshake's ephemeral key; never used twice.
    pub ephemeral: PrivateKey,
}

/// Who sent an advertisement, opaque to the protocol: six address bytes and whether it is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The address, most significant byte first.
    pub address: [u8; 6],
    /// A random address, as phones use, not a public one.
    pub random: bool,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A sighting under one of the service UUIDs, received after the transaction began.
    Sighting {
        /// All of its service data.
        service_data: &'a [u8],
        /// Where it came from, for an L2CAP channel.
        sender: Sender,
    },
    /// The channel of the last [`Output::OpenChannel`] is open.
    ChannelOpen,
    /// It could not be opened.
    ChannelFailed,
    /// One whole message from the channel.
    Message(&'a [u8]),
    /// The channel was closed or broke.
    ChannelClosed,
    /// The caller asks: a CTAP2 command byte and its CBOR.
    Ctap(&'a [u8]),
    /// The caller asks: a JSON request, UTF-8.
    Json(&'a [u8]),
    /// The caller needs nothing more; the phone is told so.
    Finish,
    /// The caller gives up.
    Cancel,
    /// The time of [`Transaction::poll_timeout`](super::Transaction::poll_timeout) has come.
    Timeout,
}

/// Where a data channel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The tunnel service of the advert.
    Tunnel {
        /// Which service.
        service: TunnelServiceId,
        /// Which of its nodes.
        routing: RoutingId,
        /// Which tunnel.
        tunnel: TunnelId,
    },
    /// The tunnel service of a linked phone, which is to ring it.
    Contact {
        /// Which service.
        service: TunnelServiceId,
        /// Whom to ring.
        contact: ContactId,
        /// What to tell it.
        payload: ClientPayload,
    },
    /// The phone itself over Bluetooth LE.
    L2cap {
        /// Its address.
        peer: Sender,
        /// Its port.
        psm: Psm,
    },
}

impl Target {
    /// The kind of channel that leads there.
    #[must_use]
    pub fn kind(&self) -> ChannelKind {
        match self {
            Self::Tunnel { .. } | Self::Contact { .. } => ChannelKind::Tunnel,
            Self::L2cap { .. } => ChannelKind::L2cap,
        }
    }
}

/// What the driver has to do.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Report sightings from now on.
    StartScan,
    /// No sightings are needed any more.
    StopScan,
    /// Open a data channel and report how it went.
    OpenChannel(Target),
    /// Send one whole message.
    Send(Vec<u8>),
    /// Close the channel in an orderly way, after what was sent.
    CloseChannel,
    /// Tell the caller.
    Event(Event),
}

/// What the caller wants to know.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The phone is near: its advert opened.
    AdvertSeen,
    /// The handshake is done: the phone is the one that read the QR, or the linked one.
    Connected,
    /// The phone said what it can; requests may follow.
    Ready(PostHandshake),
    /// The answer to a CTAP request: status byte and CBOR, untouched.
    Ctap(Vec<u8>),
    /// The answer to a JSON request.
    Json(Vec<u8>),
    /// The phone offers to be remembered, and its signature holds.
    Linked(LinkedDevice),
    /// Nothing more will come.
    Closed,
}
