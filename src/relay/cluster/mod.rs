//! Several relays as one, through NATS: each has a number of its own, and a client that lands on another one than
//! holds its tunnel is let pass.
//!
//! `claim`, `link`, `frames` and `words` are pure: the lease of a number, a stream over messages that may get lost, where
//! frames begin, and what nodes say. `nats`, `carry`, `guests` and `rings` drive them; `access` is who this node is to NATS. Who is a node is NATS' business:
//! whoever may write to the subjects of `words` is one. `docs/relay-cluster.md` has the whole.

mod access;
mod carry;
mod claim;
mod frames;
mod guests;
mod link;
mod nats;
mod rings;
mod words;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, ClientError, ConnectOptions, Event};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Bytes;

use self::access::Access;
use super::config::ClusterConfig;
use super::connection::{Shared, Visit};
use super::contact::WeakBell;
use super::error::Error;
use super::http::Upgrade;
use super::random;
use super::socket::Socket;
use super::status::Status;
use super::stop::Stop;
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::Verdict;
use crate::hybrid::tunnel::{ContactId, RoutingId, TunnelId};

/// How long another node may take to answer. A ring waits for the phone itself, which gets 5 seconds.
const ANSWER: Duration = Duration::from_secs(6);
/// How long what waits may take to leave when the relay ends.
const FLUSH: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait before NATS is tried again, as long as it has not been there.
const RETRY: Duration = Duration::from_secs(1);

/// This node's part in a cluster.
pub(super) struct Cluster {
    access: Access,
    instance: words::Instance,
    client: OnceLock<Client>,
    lease: Mutex<Lease>,
}

#[derive(Default)]
struct Lease {
    until: Option<Instant>,
    entry: Option<(RoutingId, u64)>,
}

impl Cluster {
    /// Reads names, secrets and certificates; connects to nobody.
    pub(super) fn new(config: &ClusterConfig) -> Result<Self, Error> {
        Ok(Self {
            access: Access::new(config)?,
            instance: random::instance()?,
            client: OnceLock::new(),
            lease: Mutex::default(),
        })
    }

    /// Whether this node has a number that no other has.
    pub(super) fn is_held(&self) -> bool {
        let until = self.lease.lock().unwrap_or_else(PoisonError::into_inner).until;
        until.is_some_and(|until| tokio::time::Instant::now().into_std() < until)
    }

    /// Whether NATS is there.
    pub(super) fn is_connected(&self) -> bool {
        self.client.get().is_some_and(|client| client.connection_state() == State::Connected)
    }

    fn set_lease(&self, until: Option<Instant>, entry: Option<(RoutingId, u64)>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Lease { until, entry };
    }

    fn client(&self) -> Result<Client, Status> {
        self.client.get().filter(|_| self.is_connected()).cloned().ok_or(Status::Apart)
    }

    /// The client, once there is one.
    async fn connected(&self) -> Client {
        loop {
            if let Some(client) = self.client.get() {
                return client.clone();
            }
            sleep(PAUSE).await;
        }
    }

    /// Takes part; never ends.
    pub(super) async fn run(&self, shared: Arc<Shared>, stop: Stop) {
        let client = self.connect().await;
        let client = self.client.get_or_init(|| client).clone();
        nats::run(self, shared, client, stop).await;
    }

    /// The client, as soon as NATS lets this node in. From then on it connects again by itself.
    async fn connect(&self) -> Client {
        let mut told = None;
        loop {
            let why = match self.try_to_connect().await {
                Ok(client) => return client,
                Err(why) => why,
            };
            if told.replace(why) != Some(why) {
                tracing::warn!("cannot use NATS: {why}; trying on");
            }
            sleep(RETRY).await;
        }
    }

    async fn try_to_connect(&self) -> Result<Client, &'static str> {
        // Read once already, when the relay was set up.
        let options = self.access.options().map_err(|_| access::REFUSED)?;
        let options = settle(options);
        let connecting = options.connect(self.access.servers()).await;
        connecting.map_err(|error| access::obstacle(&error))
    }

    /// Lets a client pass to the node that holds its tunnel.
    pub(super) async fn pass(
        &self,
        visit: Visit,
        socket: Socket,
        place: (RoutingId, TunnelId),
        upgrade: Upgrade,
        stop: Stop,
    ) {
        guests::pass(self, visit, socket, place, upgrade, stop).await;
    }

    /// Rings a phone on whichever node it listens.
    pub(super) async fn ring(
        &self,
        contact: &ContactId,
        place: (RoutingId, TunnelId),
        payload: ClientPayload,
    ) -> Result<Verdict, Status> {
        rings::ring(self, contact, place, payload).await
    }

    /// Passes rings of other nodes on to a phone that listens here; ends when it listens elsewhere.
    pub(super) async fn attend(&self, shared: &Arc<Shared>, contact: &ContactId, bell: &WeakBell) {
        rings::attend(self, shared, contact, bell).await;
    }

    /// Lets what waits leave, and gives the number back.
    pub(super) async fn leave(&self, shared: &Shared) {
        let Ok(client) = self.client() else { return };
        let quiet = async {
            while shared.metrics.passages.links() > 0 {
                sleep(PAUSE / 4).await;
            }
        };
        let _ = timeout(2 * FLUSH, quiet).await;
        let entry = self.lease.lock().unwrap_or_else(PoisonError::into_inner).entry;
        if let Some(entry) = entry {
            nats::give_back(&client, entry).await;
        }
        let _ = timeout(FLUSH, client.flush()).await;
    }
}

/// Asks whoever hears a subject; `nobody` if nobody does.
async fn ask(
    client: &Client,
    subject: String,
    request: Vec<u8>,
    nobody: Status,
) -> Result<Bytes, Status> {
    let answer = client.request(subject, request.into()).await;
    answer.map(|message| message.payload).map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => nobody,
        RequestErrorKind::TimedOut => Status::Distant,
        _ => Status::Apart,
    })
}

/// What does not depend on who this node is.
fn settle(options: ConnectOptions) -> ConnectOptions {
    options
        .name("cabled relay")
        .request_timeout(Some(ANSWER))
        .ping_interval(Duration::from_secs(5))
        .reconnect_delay_callback(|attempt| {
            Duration::from_millis(200 << attempt.min(4)).min(Duration::from_secs(2))
        })
        .event_callback(|event| async move { report(&event) })
}

/// What a server says of itself or of us may name users: its kind is enough.
fn report(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => {
            tracing::warn!("NATS is lost: tunnels go on, but none across nodes; trying again");
        }
        Event::ClientError(ClientError::Other(words)) => {
            let why = access::obstacle_again(words);
            match why == access::REFUSED {
                true => tracing::warn!("cannot use NATS: {why}; trying on"),
                // That it is lost was said.
                false => tracing::debug!("cannot use NATS: {why}; trying on"),
            }
        }
        Event::ClientError(_) | Event::ServerError(_) => {
            tracing::warn!("NATS or its client failed")
        }
        _ => tracing::debug!("NATS says something of itself"),
    }
}
