//! Role: the laptop. Shows a QR, finds the phone, and forwards CTAP2 to it.
//!
//! [`Client::begin`] starts a transaction as a task and gives its [`TransactionHandle`];
//! [`webauthn`] translates between what a relying party says and CTAP2. Depends on `hybrid`,
//! `ctap`, `ble` and `channel`, never on another role.

mod error;
mod handle;
mod transaction;
pub mod webauthn;

use std::time::Duration;

use rand_core::{CryptoRng, RngCore};

use crate::ble::Radio;
use crate::channel;
use crate::channel::slot::Kept;
use crate::channel::websocket::{Connector, WebSocketChannel};
use crate::hybrid::client::{Deadlines, QrOffer, Target, Transaction};
use crate::hybrid::qr::Hint;
use crate::hybrid::tunnel::{ServiceUrl, TunnelServiceId};

pub use error::Error;
pub use handle::{Progress, ProgressStream, TransactionHandle};

/// How a laptop reaches tunnel services, and how long it waits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Opens WebSockets.
    pub connector: Connector,
    /// A service to use whatever the phone's advert names: a private relay.
    pub relay: Option<ServiceUrl>,
    /// Lets a simulated radio be used with the public services, where it would otherwise stand in
    /// for the proof of nearness that real phones' users rely on.
    pub simulated_with_public: bool,
    /// The protocol's deadlines.
    pub deadlines: Deadlines,
    /// How long one message may take to leave.
    pub send_deadline: Duration,
}

impl Config {
    /// The services that phones choose, over this connector.
    #[must_use]
    pub fn new(connector: Connector) -> Self {
        Self {
            connector,
            relay: None,
            simulated_with_public: false,
            deadlines: Deadlines::default(),
            send_deadline: Duration::from_secs(30),
        }
    }

    fn dial(&self, target: Target) -> Result<(ServiceUrl, Kept<Dialled>), Error> {
        let Target::Tunnel { service, routing, tunnel } = target else {
            return Err(Error::Protocol(crate::hybrid::Error::ChannelFailed));
        };
        let url = match &self.relay {
            Some(relay) => relay.clone(),
            None => named(service)?,
        };
        let (connector, service) = (self.connector.clone(), url.clone());
        let dialling = async move {
            let joined = connector.join_tunnel(&service, routing, tunnel).await;
            joined.map(Box::new).map_err(Box::new)
        };
        Ok((url, Box::pin(dialling)))
    }
}

/// What came of opening a tunnel.
type Dialled = Result<Box<WebSocketChannel>, Box<channel::Error>>;

fn named(service: TunnelServiceId) -> Result<ServiceUrl, Error> {
    // The state machine lets no unassigned service through.
    ServiceUrl::for_service(service).map_err(|_| Error::Protocol(crate::hybrid::Error::Misuse))
}

/// The laptop's part, over one radio.
#[derive(Clone, Debug)]
pub struct Client {
    radio: Radio,
    config: Config,
}

impl Client {
    /// Puts the parts together.
    ///
    /// # Errors
    ///
    /// [`Error::SimulatedRadio`] if nothing but the public services is left to it and the
    /// configuration does not say that this is meant.
    pub fn new(radio: Radio, config: Config) -> Result<Self, Error> {
        let public = config.relay.as_ref().is_none_or(ServiceUrl::is_public);
        if radio.is_simulated() && public && !config.simulated_with_public {
            return Err(Error::SimulatedRadio);
        }
        Ok(Self { radio, config })
    }

    /// Begins a transaction with a fresh QR; `shown_at` is Unix time in seconds. Needs a tokio
    /// runtime.
    pub fn begin(
        &self,
        hint: Hint,
        shown_at: u64,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> (TransactionHandle, ProgressStream) {
        let offer = QrOffer::new(rng, hint, shown_at, false, false);
        let now = tokio::time::Instant::now().into_std();
        let transaction = Transaction::qr(offer, self.config.deadlines, now);
        TransactionHandle::start(self.radio.clone(), self.config.clone(), transaction)
    }
}
