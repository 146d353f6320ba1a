//! Why the laptop's part did not come to an end.

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
    #[error("cannot connect to {service}")]
    Tunnel {
        /// Which one.
        service: Box<ServiceUrl>,
        /// Why.
        #[source]
        source: Box<channel::Error>,
    },
    /// The protocol ended it.
    #[error(transparent)]
    Protocol(#[from] hybrid::Error),
    /// A simulated radio proves no nearness, so it is not combined with the public services.
    #[error("a simulated radio is not used with a public tunnel service")]
    SimulatedRadio,
    /// The transaction's task is gone, because the transaction is over.
    #[error("the transaction is over")]
    Over,
}
