//! Role: the laptop. Shows a QR, finds the phone, and forwards CTAP2 to it.
//!
//! [`Client::begin`] starts a transaction as a task and gives its [`TransactionHandle`];
//! [`webauthn`] translates between what a relying party says and CTAP2, [`ceremony`] has the order of
//! both, and [`service`] is all of it for many programs at once, with [`receipts`]. Depends on `hybrid`,
//! `ctap`, `ble`, `channel` and `journal`, never on another role.

pub mod ceremony;
mod dial;
mod error;
mod handle;
#[cfg(target_os = "linux")]
pub mod key;
pub mod phones;
pub mod receipts;
pub mod service;
mod transaction;
pub mod webauthn;

use std::time::Duration;

use rand_core::{CryptoRng, RngCore};

use crate::ble::{Proximity, Radio, SharedScanner};
use crate::channel::l2cap::Framing;
use crate::channel::websocket::Connector;
use crate::hybrid::PrivateKey;
use crate::hybrid::client::{Deadlines, LinkRequest, QrOffer, Transaction};
use crate::hybrid::keys::ClientNonce;
use crate::hybrid::linking::LinkedDevice;
use crate::hybrid::qr::Hint;
use crate::hybrid::tunnel::ServiceUrl;

pub use error::{Error, Unreachable};
pub use handle::{Progress, ProgressStream, TransactionHandle};

/// How a laptop reaches phones, and how long it waits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Opens WebSockets.
    pub connector: Connector,
    /// A service to use whatever the phone's advert names: a private relay.
    pub relay: Option<ServiceUrl>,
    /// Offers phones to be reached over Bluetooth alone, without internet, in this framing. Some
    /// phones refuse a QR that does.
    pub l2cap: Option<Framing>,
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
            l2cap: None,
            simulated_with_public: false,
            deadlines: Deadlines::default(),
            send_deadline: Duration::from_secs(30),
        }
    }
}

/// The laptop's part, over one radio. Its transactions, and those of its clones, share one scan.
#[derive(Clone, Debug)]
pub struct Client {
    radio: SharedScanner<Radio>,
    config: Config,
}

impl Client {
    /// Puts the parts together.
    ///
    /// # Errors
    ///
    /// [`Error::SimulatedRadio`] if nothing but the public services is left to it and the
    /// configuration does not say that this is meant; [`Error::CannotLink`] if Bluetooth alone is to be
    /// offered and the radio cannot do that.
    pub fn new(radio: Radio, config: Config) -> Result<Self, Error> {
        let public = config.relay.as_ref().is_none_or(ServiceUrl::is_public);
        let simulated = !public || config.simulated_with_public;
        if radio.is_simulated() && !simulated {
            return Err(Error::SimulatedRadio);
        }
        if config.l2cap.is_some() && !radio.can_link() {
            return Err(Error::CannotLink);
        }
        let radio = SharedScanner::new(radio.or_simulated(simulated));
        Ok(Self { radio, config })
    }

    /// To what being heard proves nearness.
    #[must_use]
    pub fn proximity(&self) -> Proximity {
        self.radio.scanner().proximity()
    }

    /// Whether phones may do without internet.
    #[must_use]
    pub fn offers_l2cap(&self) -> bool {
        self.config.l2cap.is_some()
    }

    /// Begins a transaction with a fresh QR; `shown_at` is Unix time in seconds. Needs a tokio
    /// runtime.
    pub fn begin(
        &self,
        hint: Hint,
        shown_at: u64,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> (TransactionHandle, ProgressStream) {
        self.begin_asking(hint, shown_at, false, rng)
    }

    /// [`Self::begin`], and asks the phone to be remembered if `remember` says so:
    /// [`Progress::Linked`] tells that it agrees.
    pub fn begin_asking(
        &self,
        hint: Hint,
        shown_at: u64,
        remember: bool,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> (TransactionHandle, ProgressStream) {
        let offer = QrOffer::new(rng, hint, shown_at, remember, self.config.l2cap.is_some());
        let now = tokio::time::Instant::now().into_std();
        self.start(Transaction::qr(offer, self.config.deadlines, now))
    }

    /// Begins a transaction by ringing a phone that is remembered, which has `patience` to be heard. Needs
    /// a tokio runtime.
    pub fn ring(
        &self,
        device: LinkedDevice,
        hint: Hint,
        patience: Duration,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> (TransactionHandle, ProgressStream) {
        let nonce = ClientNonce::random(rng);
        let request = LinkRequest { device, nonce, hint, ephemeral: PrivateKey::generate(rng) };
        let deadlines = Deadlines { advert: patience, ..self.config.deadlines };
        let now = tokio::time::Instant::now().into_std();
        self.start(Transaction::state_assisted(request, deadlines, now))
    }

    fn start(&self, transaction: Transaction) -> (TransactionHandle, ProgressStream) {
        TransactionHandle::start(self.radio.clone(), self.config.clone(), transaction)
    }
}
