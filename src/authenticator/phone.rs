//! The phone over one radio: what it is set up with, and the way into a transaction.
//!
//! Depends on `hybrid`, `ble`, `channel` and the siblings in `authenticator`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rand_core::{CryptoRng, RngCore};
use tokio::time::Instant;

use super::door::{Door, Entrance};
use super::driver::Driver;
use super::engine::{Engine, Outcome, Transport};
use super::{Consent, CredentialId, Error, PasskeyStore, Timestamp, store};
use crate::ble::{Linker as _, Radio};
use crate::channel;
use crate::channel::websocket::Connector;
use crate::hybrid::PrivateKey;
use crate::hybrid::advert::ConnectionNonce;
use crate::hybrid::authenticator::{Deadlines, Identity, Offer, Rung, Scan, Transaction};
use crate::hybrid::keys::LinkSecret;
use crate::hybrid::linking::LinkId;
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::{ChannelKind, QrContents};
use crate::hybrid::tunnel::{ContactId, RoutingId, ServiceUrl, TunnelId, TunnelServiceId};

/// Sees each CTAP2 request as it comes, before it is answered: for test tools. What it sees names sites and
/// accounts, and is not for logs.
#[derive(Clone)]
pub struct RequestTap(pub Arc<OnRequest>);

/// What sees a request.
pub type OnRequest = dyn Fn(&[u8]) + Send + Sync;

impl fmt::Debug for RequestTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestTap")
    }
}

/// How a phone reaches its tunnel service, and how long it waits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Opens WebSockets.
    pub connector: Connector,
    /// The service at which tunnels are opened.
    pub relay: ServiceUrl,
    /// The number that the advert names it by.
    pub service: TunnelServiceId,
    /// Lets a simulated radio be used with the public services.
    pub simulated_with_public: bool,
    /// The protocol's deadlines.
    pub deadlines: Deadlines,
    /// How long one message may take to leave.
    pub send_deadline: Duration,
    /// Who sees the requests, in tests.
    pub tap: Option<RequestTap>,
}

impl Config {
    /// Tunnels at `relay`, which adverts name as `service`.
    #[must_use]
    pub fn new(connector: Connector, relay: ServiceUrl, service: TunnelServiceId) -> Self {
        Self {
            connector,
            relay,
            service,
            simulated_with_public: false,
            deadlines: Deadlines::default(),
            send_deadline: Duration::from_secs(30),
            tap: None,
        }
    }

    /// Whether this radio may be used: a simulated one proves no nearness, so it is not combined with
    /// the public services unless that is meant.
    #[must_use]
    pub fn suits(&self, radio: &Radio) -> bool {
        !radio.is_simulated() || !self.relay.is_public() || self.simulated_with_public
    }
}

/// What a phone that may be rung tells a laptop that asks to be remembered, once its user has agreed to
/// what that laptop wanted.
pub struct Linking {
    /// Who the phone is to laptops.
    pub identity: Identity,
    /// Under which it listens.
    pub contact_id: ContactId,
    /// Its name, for people.
    pub name: String,
    /// Keeps a new link, and the passkey at whose use it was made, durably.
    pub keep: Keep,
}

/// Keeps a new link.
pub type Keep =
    Box<dyn FnMut(LinkId, &LinkSecret, &CredentialId) -> Result<(), store::Error> + Send + Sync>;

impl fmt::Debug for Linking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linking").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A ring that is answered, and where its laptop waits.
#[derive(Clone, Debug)]
pub struct Call {
    /// The ring, and what this phone knows of the link.
    pub rung: Rung,
    /// The node of the tunnel service.
    pub routing: RoutingId,
    /// The laptop's tunnel.
    pub tunnel: TunnelId,
}

/// How a transaction gets on, for the person who waits and for whoever keeps a record.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The tunnel is being opened.
    OpeningTunnel,
    /// There is no tunnel; whether the laptop comes over Bluetooth alone will show.
    WithoutTunnel(&'a channel::Error),
    /// On the air.
    Advertising,
    /// The laptop that showed the QR is there.
    Connected {
        /// Over which kind of data channel.
        via: ChannelKind,
    },
    /// A request was answered, if only with a refusal.
    Answered(&'a Outcome),
    /// The laptop took the last answer.
    Acknowledged,
    /// The laptop may ring from now on.
    Linked,
}

/// The phone's part, over one radio and one engine.
#[derive(Debug)]
pub struct Phone<S, C> {
    pub(super) radio: Radio,
    pub(super) config: Config,
    pub(super) engine: Engine<S, C>,
    pub(super) linking: Option<Linking>,
}

impl<S: PasskeyStore + Send + Sync, C: Consent + Send + Sync> Phone<S, C> {
    /// Puts the parts together.
    ///
    /// # Errors
    ///
    /// [`Error::SimulatedRadio`] if the radio is simulated, the service public, and the
    /// configuration does not say that this is meant.
    pub fn new(radio: Radio, config: Config, engine: Engine<S, C>) -> Result<Self, Error> {
        if !config.suits(&radio) {
            return Err(Error::SimulatedRadio);
        }
        Ok(Self { radio, config, engine, linking: None })
    }

    /// Lets the next laptop ring from then on, if it asks to be remembered.
    #[must_use]
    pub fn with_linking(self, linking: Linking) -> Self {
        Self { linking: Some(linking), ..self }
    }

    /// Answers the laptop that showed a QR: from the scan until it has taken the last answer.
    ///
    /// Resolving `cancel` ends the transaction in order, which the laptop sees as a hang-up.
    /// `clock` gives Unix time. Not cancel safe otherwise: dropping it leaves the laptop waiting.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A refusal is none: it is told through `progress`.
    pub async fn answer(
        &mut self,
        contents: QrContents,
        cancel: impl Future<Output = ()> + Send,
        clock: impl Fn() -> Timestamp + Send + Sync,
        rng: &mut (impl RngCore + CryptoRng + Send),
        progress: impl FnMut(Progress<'_>) + Send,
    ) -> Result<(), Error> {
        let entrance = self.entrance(&contents).await?;
        self.linking = self.linking.take().filter(|_| contents.wants_linking == Some(true));
        let offer = self.offer(&entrance, rng);
        let now = Instant::now().into_std();
        let transaction = Transaction::qr(Scan { contents }, offer, self.config.deadlines, now);
        let driver = Driver::new(self, transaction, entrance, clock, rng, progress);
        driver.run(cancel).await
    }

    /// Answers a laptop that rang; otherwise as [`Self::answer`].
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub async fn come(
        &mut self,
        call: Call,
        cancel: impl Future<Output = ()> + Send,
        clock: impl Fn() -> Timestamp + Send + Sync,
        rng: &mut (impl RngCore + CryptoRng + Send),
        progress: impl FnMut(Progress<'_>) + Send,
    ) -> Result<(), Error> {
        let Call { rung, routing, tunnel } = call;
        let entrance = Entrance::NotAskedFor;
        let offer = self.offer(&entrance, rng);
        let now = Instant::now().into_std();
        let deadlines = self.config.deadlines;
        let transaction = Transaction::state_assisted(rung, offer, deadlines, now);
        let driver = Driver::new(self, transaction, entrance, clock, rng, progress);
        driver.contacted(routing, tunnel).run(cancel).await
    }

    fn offer(&self, entrance: &Entrance, rng: &mut (impl RngCore + CryptoRng)) -> Offer {
        Offer {
            post_handshake: PostHandshake::ctap(self.engine.get_info(Transport::Hybrid)),
            ephemeral: PrivateKey::generate(rng),
            nonce: ConnectionNonce::random(rng),
            l2cap: entrance.psm(),
        }
    }

    /// Takes connections over Bluetooth if the laptop can make them. A radio that cannot is no
    /// obstacle as long as there is the tunnel.
    async fn entrance(&self, contents: &QrContents) -> Result<Entrance, Error> {
        if !contents.offers(ChannelKind::L2cap) {
            return Ok(Entrance::NotAskedFor);
        }
        match self.radio.listen().await {
            Ok(listener) => Ok(Entrance::Open(Door::new(listener))),
            Err(error) if contents.offers(ChannelKind::Tunnel) => Ok(Entrance::Failed(error)),
            Err(error) => Err(Error::Bluetooth(error)),
        }
    }
}
