//! Why the phone's part did not come to an end.

use super::{CredentialId, store};
use crate::hybrid::Waiting;
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::ServiceUrl;
use crate::{ble, channel, hybrid};

/// What ended a transaction of the phone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The radio cannot advertise.
    #[error("cannot advertise to the laptop")]
    Radio(#[source] ble::Error),
    /// The tunnel service cannot be used.
    #[error("cannot open a tunnel at {service}")]
    Tunnel {
        /// Which one.
        service: Box<ServiceUrl>,
        /// Why.
        #[source]
        source: Box<channel::Error>,
    },
    /// The laptop wants to connect over Bluetooth alone, and this radio does not take connections.
    #[error("cannot take a connection from the laptop")]
    Bluetooth(#[source] ble::Error),
    /// The tunnel service cannot be used, and nobody came over Bluetooth, which would have done.
    #[error("{}, and no tunnel can be opened at {service}", no_bluetooth(.bluetooth.as_ref()))]
    Neither {
        /// Why nobody could come over Bluetooth; `None` if somebody could have.
        bluetooth: Option<ble::Error>,
        /// Which tunnel service.
        service: Box<ServiceUrl>,
        /// Why it cannot be used.
        #[source]
        source: Box<channel::Error>,
    },
    /// The data channel ended in the middle, and the laptop did not say goodbye.
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
    /// A passkey was saved, and what ended the transaction came before the sign that the laptop has
    /// it: it is possibly an orphan, and marked as one in the store.
    #[error("a passkey was saved, but the laptop did not confirm that it has it")]
    Unconfirmed {
        /// The passkey.
        credential: CredentialId,
        /// What ended the transaction; never this variant itself.
        #[source]
        source: Box<Error>,
    },
    /// The protocol ended it.
    #[error(transparent)]
    Protocol(#[from] hybrid::Error),
    /// The store could not note that an answer arrived.
    #[error("the passkey's state could not be saved")]
    Store(#[source] store::Error),
    /// A simulated radio proves no nearness, so it is not combined with the public services.
    #[error("a simulated radio is not used with a public tunnel service")]
    SimulatedRadio,
}

impl Error {
    /// The name of the cause for machines; [`Self::Unconfirmed`] is one of its own.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Radio(_) => "radio",
            Self::Tunnel { .. } => "tunnel",
            Self::Bluetooth(_) => "bluetooth",
            Self::Neither { .. } => "neither",
            Self::Broken { .. } => "broken",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Protocol(hybrid::Error::Cancelled) => "cancelled",
            Self::Protocol(hybrid::Error::TimedOut(_)) => "timed-out",
            Self::Protocol(hybrid::Error::PeerClosed(_)) => "hung-up",
            Self::Protocol(_) => "protocol",
            Self::Store(_) => "store",
            Self::SimulatedRadio => "simulated-radio",
        }
    }
}

fn no_bluetooth(why: Option<&ble::Error>) -> String {
    why.map_or_else(|| "the laptop did not connect over Bluetooth".to_owned(), ToString::to_string)
}
