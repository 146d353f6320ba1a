//! Role: tunnel service. Pairs the WebSocket of a phone with that of a laptop and carries whole
//! messages between them.
//!
//! ```text
//!  phone ── /cable/new/TUNNEL ─────────────> 101, X-caBLE-Routing-ID        host of the tunnel
//!  laptop ─ /cable/connect/ROUTING/TUNNEL ─> 101                            its one guest
//! ```
//!
//! Depends on `hybrid::tunnel` only. `registry` decides who meets whom and is pure; `http`
//! reads and answers request heads; `connection` leads one connection through both; `tunnel` makes
//! it host or guest, and `pipe` is what runs afterwards. The relay sees addresses, times and sizes, never contents: those are sealed.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `/`, `/healthz`, `/metrics`, and `/readyz` (503 with as many tunnels as allowed, or draining) |
//! | 400 | not HTTP/1.1, no upgrade, a bad key, or `fido.cable` not among the subprotocols; a named proxy that says for whom in a way that cannot be read |
//! | 404 | a path or id that no tunnel service has; nobody waits under that tunnel and routing id |
//! | 404 | `/cable/contact`: this relay calls no phones; 410 would make laptops forget theirs |
//! | 405, 426, 431 | not GET; not version 13; a head over 8 KiB or 64 headers |
//! | 409 | the tunnel id has its phone already |
//! | 429 | too many connections, or new tunnels a second, from one address |
//! | 503 | too many tunnels, or new ones a second; draining |
//!
//! | close code | when |
//! |---|---|
//! | 1000, 1001 | the other side said goodbye; is gone, or the relay stops |
//! | 1003, 1009, 1002 | to whoever sent text, too long a message, or broke the protocol |
//! | 1008 | a limit: time, messages, bytes; and to the partner of someone who broke a rule |

mod cause;
mod config;
mod connection;
mod error;
mod http;
mod metrics;
mod page;
mod pipe;
mod proxy;
mod rate;
mod registry;
mod socket;
mod status;
mod stop;
mod tls;
mod tunnel;
mod visitors;

use std::future::Future;
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
use self::proxy::Proxies;
use self::rate::Rate;
use self::registry::Registry;
use self::visitors::Visitors;
use crate::hybrid::tunnel::RoutingId;

pub use self::config::{Config, Limits};
pub use self::error::Error;
#[cfg(fuzzing)]
pub use self::http::fuzz_request_head;
pub use self::proxy::{Cidr, CidrError};
#[cfg(fuzzing)]
pub use self::proxy::{fuzz_forwarded, fuzz_proxy_header};
pub use self::tls::{TlsError, TlsFiles};

/// How long a stopping relay waits for goodbyes.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The longest `waiting` and `life`: a clock that many seconds ahead cannot overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to leave the listener alone when the system has no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
        if config.proxy_protocol && config.trusted_proxies.is_empty() {
            return Err(Error::NoProxy);
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let routing_id = config.routing_id.map_or_else(random_routing_id, Ok)?;
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let limits = Limits { life: limits.life.min(LONGEST), ..limits };
        let waiting = limits.waiting.min(LONGEST);
        let rate = Rate::per_second(limits.tunnel_rate);
        let registry = Mutex::new(Registry::new(routing_id, waiting, limits.tunnels, rate));
        let rate = Rate::per_second(limits.tunnel_rate_per_address);
        let visitors = Mutex::new(Visitors::new(limits.connections_per_address, rate));
        let proxies = Proxies { networks: config.trusted_proxies, header: config.proxy_protocol };
        let metrics = Metrics::new();
        let shared = Arc::new(Shared { limits, tls, proxies, registry, visitors, metrics });
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
        while until.is_none() || self.shared.registry().census().all > 0 {
            // A joined tunnel is one task and two connections.
            let room = self.shared.visitors().count() < self.shared.limits.connections;
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
