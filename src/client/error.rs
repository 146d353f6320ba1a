//! Why the laptop's part did not come to an end.

use crate::hybrid::Waiting;
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
    /// The tunnel ended in the middle, and the phone did not say goodbye.
    #[error("the tunnel broke while waiting for {waiting}")]
    Broken {
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
    /// The transaction is over, and what ended it has been told already.
    #[error("the transaction is over")]
    Over,
}
