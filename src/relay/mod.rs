//! Role: tunnel service. Pairs the WebSocket of a phone with that of a laptop and carries whole
//! messages between them.
//!
//! ```text
//!  phone ── /cable/new/TUNNEL ─────────────> 101, X-caBLE-Routing-ID        host of the tunnel
//!  laptop ─ /cable/connect/ROUTING/TUNNEL ─> 101                            its one guest
//! ```
//!
//! Depends on `hybrid::tunnel` only. `registry` decides who meets whom and is pure; `http`
//! reads and answers request heads; `connection` leads one connection through both; `pipe` is what
//! runs afterwards. The relay sees addresses, times and sizes, never contents: those are sealed.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `/`, `/healthz`, `/metrics`, and `/readyz` (503 with as many tunnels as allowed, or draining) |
//! | 400 | not HTTP/1.1, no upgrade, a bad key, or `fido.cable` not among the subprotocols |
//! | 404 | a path or id that no tunnel service has; nobody waits under that tunnel and routing id |
//! | 404 | `/cable/contact`: this relay calls no phones; 410 would make laptops forget theirs |
//! | 405, 426, 431 | not GET; not version 13; a head over 8 KiB or 64 headers |
//! | 409 | the tunnel id has its phone already |
//! | 429, 503 | too many connections from one address; too many tunnels |
//!
//! | close code | when |
//! |---|---|
//! | 1000, 1001 | the other side said goodbye; is gone, or the relay stops |
//! | 1003, 1009, 1002 | to whoever sent text, too long a message, or broke the protocol |
//! | 1008 | a limit: time, messages, bytes; and to the partner of someone who broke a rule |

mod cause;
mod connection;
mod http;
mod metrics;
mod page;
mod pipe;
mod registry;
mod socket;
mod stop;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_core::RngCore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::connection::{Shared, Visit};
use self::metrics::Metrics;
use self::registry::{Quotas, Registry};
use crate::hybrid::tunnel::RoutingId;

#[cfg(fuzzing)]
pub use self::http::fuzz_request_head;
pub use self::tls::{TlsError, TlsFiles};

/// How long a stopping relay waits for goodbyes.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The longest `waiting` and `life`: a clock that many seconds ahead cannot overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to leave the listener alone when the system has no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a relay is told before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Certificate and key; without them the relay speaks plain `ws://`.
    pub tls: Option<TlsFiles>,
    /// Permits plain `ws://` on an address that is not loopback: behind a proxy that ends TLS.
    pub allow_plain: bool,
    /// This node's routing id; by default random.
    pub routing_id: Option<RoutingId>,
    /// What clients may ask of it.
    pub limits: Limits,
}

impl Config {
    /// Plain `ws://`, a random routing id, and the default limits.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        let limits = Limits::default();
        Self { listen, tls: None, allow_plain: false, routing_id: None, limits }
    }
}

/// How much of everything one may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long TLS and request head may take together. Default 10 seconds.
    pub head_deadline: Duration,
    /// How long a phone waits for its laptop, at most a day. Default 2 minutes: a QR is scanned in
    /// seconds.
    pub waiting: Duration,
    /// How long a tunnel lives once joined, at most a day. Default 5 minutes: a user's consent, and
    /// then the 2 to 3 minutes for which laptops keep listening for linking information.
    pub life: Duration,
    /// Bytes in one message. Default 1 MiB, as browsers allow.
    pub message_len: usize,
    /// Messages per tunnel and direction, pings included. Default 1024; a ceremony has about 4.
    pub messages: u64,
    /// Bytes per tunnel and direction. Default 16 MiB.
    pub bytes: u64,
    /// Messages kept for a laptop that is not there yet. Default 8; then nothing more is read.
    pub early_messages: usize,
    /// Bytes of those after which nothing more is read. Default 64 KiB.
    pub early_bytes: usize,
    /// Tunnels, waiting and joined. Default 10,000.
    pub tunnels: usize,
    /// Connections, whatever they do. Default 20,256; beyond them nobody is accepted.
    pub connections: usize,
    /// Connections from one IPv4 address or IPv6 /64. Default 256: many households share one.
    pub connections_per_address: usize,
    /// How long tunnels may go on once the relay drains, at most a day. Default 30 seconds: a ceremony
    /// that is under way needs some.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_deadline: Duration::from_secs(10),
            waiting: Duration::from_secs(120),
            life: Duration::from_secs(300),
            message_len: 1 << 20,
            messages: 1024,
            bytes: 16 << 20,
            early_messages: 8,
            early_bytes: 64 << 10,
            tunnels: 10_000,
            connections: 20_256,
            connections_per_address: 256,
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Plain `ws://` on an address that others can reach, without being asked for.
    #[error("{address} is reachable from other machines, and there is no certificate for TLS")]
    Plain {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Certificate or key cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The system gave no random bytes for the routing id.
    #[error("cannot choose a routing id")]
    Random(#[source] rand_core::Error),
}

/// A tunnel service that listens. Bound, it takes connections; served, it answers them.
pub struct Relay {
    listener: TcpListener,
    address: SocketAddr,
    routing_id: RoutingId,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Relay {
    /// Loads certificate and key, and starts to listen.
    ///
    /// # Errors
    ///
    /// Any of [`Error`].
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let Config { listen, limits, .. } = config;
        if config.tls.is_none() && !config.allow_plain && !listen.ip().is_loopback() {
            return Err(Error::Plain { address: listen });
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let routing_id = config.routing_id.map_or_else(random_routing_id, Ok)?;
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let limits = Limits { life: limits.life.min(LONGEST), ..limits };
        let quotas = Quotas {
            waiting: limits.waiting.min(LONGEST),
            tunnels: limits.tunnels,
            connections_per_address: limits.connections_per_address,
        };
        let registry = Mutex::new(Registry::new(routing_id, quotas));
        let shared = Arc::new(Shared { limits, tls, registry, metrics: Metrics::new() });
        Ok(Self { listener, address, routing_id, shared })
    }

    /// The address that it listens on, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The routing id that phones are told.
    #[must_use]
    pub fn routing_id(&self) -> RoutingId {
        self.routing_id
    }

    /// What to give to `--relay` on this machine: `ws://` or `wss://` and the address. A
    /// certificate for a name needs that name in place of the address.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `shutdown` is ready, then closes all tunnels with code 1001, which takes at
    /// most 5 seconds.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        self.serve_and_drain(std::future::pending(), shutdown).await;
    }

    /// [`Self::serve`], and when `drain` is ready takes no new tunnels (503, also at `/readyz`), but lets
    /// those that there are go on for [`Limits::drain`]; then, or when none is left, it shuts down.
    pub async fn serve_and_drain(
        self,
        drain: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()>,
    ) {
        let (stopper, stop) = stop::channel();
        let mut connections = JoinSet::new();
        let (mut drain, mut shutdown) = (pin!(drain), pin!(shutdown));
        let mut until: Option<Instant> = None;
        while until.is_none() || self.shared.registry().census().tunnels > 0 {
            let room = connections.len() < self.shared.limits.connections;
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut drain, if until.is_none() => {
                    self.shared.registry().drain();
                    until = Some(Instant::now() + self.shared.limits.drain.min(LONGEST));
                }
                () = passed(until) => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = self.listener.accept(), if room => match accepted {
                    Ok((socket, address)) => {
                        let visit = Visit::new(self.shared.clone(), address.ip());
                        connections.spawn(connection::serve(visit, socket, stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(kind = ?error.kind(), "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        stopper.stop();
        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        // Whoever has not gone by then is cut off with the set.
        let _ = timeout(STOP_GRACE, all).await;
    }
}

/// Never, without a time.
async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// A connection that panicked takes only itself down, but should be heard of.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err() {
        tracing::error!("a connection ended by a defect of the relay");
    }
}

#[allow(clippy::disallowed_types, reason = "the relay is a driver: this is its one random draw")]
fn random_routing_id() -> Result<RoutingId, Error> {
    let mut bytes = [0; 3];
    rand_core::OsRng.try_fill_bytes(&mut bytes).map_err(Error::Random)?;
    Ok(RoutingId::new(bytes))
}
