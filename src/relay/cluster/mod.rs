//! Several relays as one, through NATS: each has a number of its own, and a client that lands on another one than
//! holds its tunnel is let pass.
//!
//! `claim`, `link`, `frames` and `words` are pure: the lease of a number, a stream over messages that may get lost, where
//! frames begin, and what nodes say. `nats`, `carry`, `guests` and `rings` drive them. Who is a node is NATS' business:
//! whoever may write to the subjects of `words` is one. `docs/relay-cluster.md` has the whole.

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
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Bytes;

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

/// This node's part in a cluster.
pub(super) struct Cluster {
    servers: Vec<ServerAddr>,
    credentials: Option<String>,
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
    /// Reads the names of the servers and the credentials; connects to nobody.
    pub(super) fn new(config: &ClusterConfig) -> Result<Self, Error> {
        let servers = config.servers.iter().map(|server| server.parse().map_err(Error::Servers));
        let credentials = config.credentials.as_ref().map(std::fs::read_to_string).transpose();
        let credentials = credentials.map_err(Error::Credentials)?;
        if let Some(credentials) = &credentials {
            ConnectOptions::with_credentials(credentials).map_err(Error::Credentials)?;
        }
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            credentials,
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

    /// With what the first server's URL that has any says: user and password, or a token alone.
    fn with_names(&self, options: ConnectOptions) -> ConnectOptions {
        let named =
            self.servers.iter().find_map(|server| Some((server.username()?, server.password())));
        match named.map(|(user, password)| (words::unescape(user), password.map(words::unescape))) {
            Some((user, Some(password))) => options.user_and_password(user, password),
            Some((token, None)) => options.token(token),
            None => options,
        }
    }

    async fn connect(&self) -> Client {
        loop {
            let options = ConnectOptions::new()
                .name("cabled relay")
                .retry_on_initial_connect()
                .request_timeout(Some(ANSWER))
                .ping_interval(Duration::from_secs(5))
                .reconnect_delay_callback(|attempt| {
                    Duration::from_millis(200 << attempt.min(4)).min(Duration::from_secs(2))
                })
                .event_callback(|event| async move { report(&event) });
            // Read once already, when the relay was set up.
            let options = match &self.credentials {
                Some(credentials) => options.credentials(credentials).ok(),
                None => Some(self.with_names(options)),
            };
            if let Some(options) = options {
                match options.connect(self.servers.clone()).await {
                    Ok(client) => return client,
                    Err(error) => tracing::warn!(kind = %error.kind(), "cannot reach NATS"),
                }
            }
            sleep(Duration::from_secs(2)).await;
        }
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

fn report(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => {
            tracing::warn!("NATS is lost: tunnels go on, but none across nodes; trying again");
        }
        // What a server says of itself or of us may name users; its kind is enough.
        Event::ClientError(_) | Event::ServerError(_) => {
            tracing::warn!("NATS or its client failed")
        }
        _ => tracing::debug!("NATS says something of itself"),
    }
}
