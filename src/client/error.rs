//! Why the laptop's part did not come to an end.

use crate::hybrid::Waiting;
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::ServiceUrl;
use crate::{ble, channel, hybrid};

/// What ended a transaction of the laptop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The radio cannot listen.
    #[error("cannot listen for the phone")]
    Radio(#[source] ble::Error),
    /// The tunnel service that the phone chose cannot be used.
    #[error("cannot use the tunnel service {service}")]
    Tunnel {
        /// Which one.
        service: Box<ServiceUrl>,
        /// Why.
        #[source]
        source: Box<channel::Error>,
    },
    /// The tunnel service did not get the linked phone to come.
    #[error("the phone cannot be rung through the tunnel service {service}")]
    Ring {
        /// Which one.
        service: Box<ServiceUrl>,
        /// Why: status 410 means that the phone does not know this computer any more.
        #[source]
        source: Box<channel::Error>,
    },
    /// The phone offers to be reached over Bluetooth alone, and that failed.
    #[error("cannot reach the phone")]
    Bluetooth(#[source] Unreachable),
    /// Both ways to the phone failed.
    #[error("{bluetooth}, and the tunnel service {service} cannot be used")]
    Neither {
        /// Why Bluetooth alone does not do.
        bluetooth: Unreachable,
        /// Which tunnel service.
        service: Box<ServiceUrl>,
        /// Why that does not do either.
        #[source]
        source: Box<channel::Error>,
    },
    /// The data channel ended in the middle, and the phone did not say goodbye.
    #[error("the {via} broke while waiting for {waiting}")]
    Broken {
        /// Which kind of channel.
        via: ChannelKind,
        /// What for.
        waiting: Waiting,
        /// How it ended.
        #[source]
        source: Box<channel::Error>,
    },
    /// The protocol ended it.
    #[error(transparent)]
    Protocol(#[from] hybrid::Error),
    /// A simulated radio proves no nearness, so it is not combined with the public services.
    #[error("a simulated radio is not used with a public tunnel service")]
    SimulatedRadio,
    /// Bluetooth alone was to be offered, over a radio that cannot do that.
    #[error("a shared radio only hears, so that phones cannot be reached over Bluetooth alone")]
    CannotLink,
    /// The transaction is over, and what ended it has been told already.
    #[error("the transaction is over")]
    Over,
}

impl Error {
    /// Whether the phone has forgotten this computer, so that it is of no use to ring it again.
    #[must_use]
    pub fn is_unlinked(&self) -> bool {
        let gone =
            |source: &channel::Error| matches!(source, channel::Error::Status { status: 410 });
        matches!(self, Self::Ring { source, .. } if gone(source))
    }

    /// The name of the cause for machines.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Radio(_) => "radio",
            Self::Tunnel { .. } => "tunnel",
            Self::Ring { source, .. } => match **source {
                channel::Error::Status { status: 410 } => "unlinked",
                channel::Error::Status { status: 404 | 429 | 504 } => "phone-away",
                _ => "tunnel",
            },
            Self::Bluetooth(_) => "bluetooth",
            Self::Neither { .. } => "neither",
            Self::Broken { .. } => "broken",
            Self::Protocol(hybrid::Error::NoAdvert(_)) => "not-heard",
            Self::Protocol(hybrid::Error::Cancelled) => "cancelled",
            Self::Protocol(hybrid::Error::TimedOut(_)) => "timed-out",
            Self::Protocol(hybrid::Error::PeerClosed(_)) => "hung-up",
            Self::Protocol(_) => "protocol",
            Self::SimulatedRadio => "simulated-radio",
            Self::CannotLink => "cannot-link",
            Self::Over => "over",
        }
    }
}

/// Why a phone cannot be reached over Bluetooth alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// There is no connection.
    #[error(transparent)]
    Radio(#[from] ble::Error),
    /// There was none in time.
    #[error("no connection over Bluetooth came about in time")]
    TimedOut,
    /// There was one, but no handshake: it led to somebody else, or the two mark their messages in
    /// different ways.
    #[error("whoever took the connection over Bluetooth did not answer as the phone")]
    NoHandshake,
}
