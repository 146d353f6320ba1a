//! What goes into an authenticator transaction and what comes out of it.

use std::time::Duration;

use crate::hybrid::advert::{ConnectionNonce, Psm};
use crate::hybrid::crypto::PrivateKey;
use crate::hybrid::keys::LinkSecret;
use crate::hybrid::linking::{ClientPayload, LinkId, LinkingInfo};
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::{ChannelKind, QrContents};
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId, TunnelServiceId};

/// How long each state may last.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Opening the tunnel.
    pub tunnel: Duration,
    /// Opening the tunnel where an L2CAP channel will do as well: without internet the laptop
    /// should not have to wait for it.
    pub tunnel_beside_l2cap: Duration,
    /// From the advert to the laptop's handshake.
    pub client: Duration,
    /// From the handshake, or an acknowledged answer, to a request.
    pub request: Duration,
    /// From an answer to its acknowledgement: a laptop may show an account picker meanwhile.
    pub acknowledgement: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            tunnel: Duration::from_secs(30),
            tunnel_beside_l2cap: Duration::from_secs(4),
            client: Duration::from_secs(90),
            request: Duration::from_secs(60),
            acknowledgement: Duration::from_secs(180),
        }
    }
}

/// What this phone puts into the transaction, however it began.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The post-handshake message.
    pub post_handshake: PostHandshake,
    /// The handshake's ephemeral key; never used twice.
    pub ephemeral: PrivateKey,
    /// The advert's nonce; never used twice.
    pub nonce: ConnectionNonce,
    /// Where an L2CAP server of this phone listens. It is advertised only to a laptop whose QR
    /// offers such channels, because others would not recognise the longer advert.
    pub l2cap: Option<Psm>,
}

/// A scanned QR.
#[derive(Clone, Debug)]
pub struct Scan {
    /// What it says.
    pub contents: QrContents,
}

/// A ring through the tunnel service, as the laptop sent it.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The client payload.
    pub payload: ClientPayload,
}

/// A ring whose link this phone knows.
#[derive(Clone, Debug)]
pub struct Rung {
    /// What the laptop sent.
    pub ring: Ring,
    /// The secret of that link.
    pub link_secret: LinkSecret,
    /// This phone's identity key of that link.
    pub identity: Identity,
}

/// A phone's long-lived identity key for linking.
#[derive(Clone, Debug)]
pub struct Identity(pub PrivateKey);

/// A link that this phone made for the laptop.
#[derive(Clone, Debug)]
pub struct Linked {
    /// How the laptop's tunnel service is to reach this phone.
    pub contact_id: ContactId,
    /// The link.
    pub link_id: LinkId,
    /// Its secret.
    pub link_secret: LinkSecret,
    /// This phone's name, for people.
    pub name: String,
}

/// Which tunnel to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// A new one under this ID.
    New(TunnelId),
    /// The one that the ring named; only the driver knows its tunnel service's way.
    Contacted,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The tunnel is open.
    TunnelOpen {
        /// Which node the laptop has to ask for.
        routing: RoutingId,
        /// Which service this is.
        service: TunnelServiceId,
    },
    /// It could not be opened.
    TunnelFailed,
    /// One whole message.
    Message {
        /// The data channel it came from.
        via: ChannelKind,
        /// The message.
        message: &'a [u8],
    },
    /// A data channel was closed or broke.
    ChannelClosed {
        /// Which.
        via: ChannelKind,
    },
    /// The answer to the request: for CTAP a status byte and CBOR, for JSON the text.
    Response(&'a [u8]),
    /// Linking information for the laptop, or `None` for an update that says nothing.
    Update(Option<&'a LinkingInfo>),
    /// The user or the caller gives up.
    Cancel,
    /// The time of `poll_timeout` has come.
    Timeout,
}

/// What the driver has to do.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Open a tunnel and report how it went.
    OpenTunnel(Tunnel),
    /// Put this service data on the air until told otherwise.
    Advertise(Vec<u8>),
    /// Take it off the air.
    StopAdvertising,
    /// Send one whole message on this data channel; the other one may be closed.
    Send {
        /// Which channel.
        via: ChannelKind,
        /// The message.
        message: Vec<u8>,
    },
    /// Give this one channel up without a word, also if it is only being opened: there is no laptop
    /// of ours at its other end. Others may still come.
    Discard(ChannelKind),
    /// Close every channel in an orderly way, after what was sent.
    CloseChannel,
    /// Tell the caller.
    Event(Event),
}

/// What the caller wants to know.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// On the air; the laptop should notice within seconds.
    Advertising,
    /// The handshake proved that the laptop showed the QR (or has the link) and heard the advert.
    Connected,
    /// A CTAP2 command byte and its CBOR; answer with [`Input::Response`].
    Ctap(Vec<u8>),
    /// A JSON request; answer with [`Input::Response`].
    Json(Vec<u8>),
    /// The last answer arrived: the laptop said Shutdown or asked the next thing. There is no other
    /// acknowledgement.
    Acknowledged,
    /// Nothing more will come.
    Closed,
}
