//! What ends a transaction, sorted by who is at fault.
//!
//! Specification: none; the wire has no error codes, a failed side closes.

use super::tunnel::TunnelServiceId;
use super::{frame, noise, post_handshake};

/// What a side was waiting for when time ran out or the peer went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The client for an advert of this transaction.
    Advert,
    /// Either side for its data channel to open.
    Channel,
    /// The phone for the client to appear at the tunnel and begin the handshake.
    Client,
    /// The client for the handshake's answer.
    Handshake,
    /// The client for the phone's first message.
    PostHandshake,
    /// The phone for a request.
    Request,
    /// The client for the phone's answer, that is, for its user.
    Response,
    /// The phone for the sign that its answer arrived.
    Acknowledgement,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Advert => "the phone's advert",
            Self::Channel => "the data channel",
            Self::Client => "the laptop to connect",
            Self::Handshake => "the handshake",
            Self::PostHandshake => "the phone's first message",
            Self::Request => "a request",
            Self::Response => "the phone's answer",
            Self::Acknowledgement => "the laptop to take the answer",
        })
    }
}

/// What a scan heard in vain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Adverts that belong to other transactions.
    pub foreign: u64,
    /// The last unassigned tunnel service (2 to 255) that an advert of *this* transaction named.
    pub unassigned_service: Option<TunnelServiceId>,
}

/// Why a transaction ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable advert came in time: the phone is not near, has Bluetooth off, or never scanned.
    #[error("the phone was not heard over Bluetooth in time (adverts of other phones heard: {})", .0.foreign)]
    NoAdvert(Heard),
    /// A deadline passed.
    #[error("timed out waiting for {0}")]
    TimedOut(Waiting),
    /// The data channel could not be opened; the driver knows why.
    #[error("the data channel could not be opened")]
    ChannelFailed,
    /// The QR offers no kind of data channel that this phone has.
    #[error("laptop and phone have no kind of data channel in common")]
    NoCommonChannel,
    /// The peer closed the channel, or it broke, too early.
    #[error("the other device hung up while waiting for {0}")]
    PeerClosed(Waiting),
    /// The peer is not the one of this QR or link, or somebody altered a message.
    #[error("the handshake failed")]
    Handshake(#[from] noise::HandshakeFailed),
    /// A sealed message did not open or made no sense.
    #[error("the other device sent a bad message")]
    Frame(#[from] frame::Error),
    /// The phone's first message made no sense.
    #[error("the phone's first message is invalid")]
    PostHandshake(#[from] post_handshake::Error),
    /// A message that this state does not expect, such as an answer to no request.
    #[error("the other device sent a message out of turn")]
    OutOfTurn,
    /// The phone does not offer the application (CTAP or digital credentials) that was asked for.
    #[error("the phone does not offer what was asked for")]
    NotOffered,
    /// The caller's input does not fit the state, for example two requests at once.
    #[error("the transaction is not in a state for this call")]
    Misuse,
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}
