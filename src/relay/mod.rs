//! Role: tunnel service. Pairs the WebSocket of a phone with that of a laptop and carries whole
//! messages between them.
//!
//! ```text
//!  phone ── /cable/new/TUNNEL ─────────────> 101, X-caBLE-Routing-ID        host of the tunnel
//!  laptop ─ /cable/connect/ROUTING/TUNNEL ─> 101                            its one guest
//!
//!  phone ── /cable/listen/CONTACT ──────────> 101, then proves that the contact is its own
//!  laptop ─ /cable/contact/CONTACT ─────────> rings it; 101                 host of a tunnel
//!  phone ── /cable/connect/ROUTING/TUNNEL ──> 101                           its one guest
//! ```
//!
//! Depends on `hybrid::tunnel`, and on `hybrid::listen` and `linking` for rings. `registry` decides who meets whom and is pure; `http`
//! reads and answers request heads; `connection` leads one connection through both; `tunnel` makes
//! it host or guest, and `pipe` is what runs afterwards; `contact` is for those who listen and ring, whom
//! `listeners` knows; `side` answers what is no tunnel on
//! listeners of its own; `acme` gets certificates (`unissued` where it is not built in). The relay sees addresses, times and sizes, never contents: those are sealed.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `/`, `/healthz`, `/metrics`, and `/readyz` (503 with as many tunnels as allowed, without a certificate by ACME, or draining) |
//! | 400 | not HTTP/1.1, no upgrade, a bad key, no `fido.cable`; a ring without payload; what a named proxy says of its client |
//! | 404 | a path or id that no tunnel service has; nobody waits under that tunnel and routing id |
//! | 404 | no phone listens under that contact id: it may again, so 410 would be wrong |
//! | 405, 426, 431 | not GET; not version 13; a head over 8 KiB or 64 headers |
//! | 409 | the tunnel id has its phone already |
//! | 410 | the phone does not know that link: the laptop may forget it |
//! | 429 | too many connections, or new tunnels a second, from one address; a phone that has too much to do |
//! | 503 | too many tunnels, or new ones a second, or listeners; draining |
//! | 503 | the tunnel or phone is at another node, and NATS is lost |
//! | 504 | the phone that listens, or the node that holds the tunnel, does not answer |
//!
//! | close code | when |
//! |---|---|
//! | 1000, 1001 | the other side said goodbye; is gone, or the relay stops |
//! | 1003, 1009, 1002, 1007 | to whoever sent text, too long a message, broke the protocol, or sent what had to be UTF-8 and is not |
//! | 1008 | a limit: time, messages, bytes; to the partner of someone who broke a rule; to a phone that does not prove
//! its contact id, or listens on another connection |

#[cfg(not(feature = "cluster"))]
#[path = "alone.rs"]
mod cluster;
#[cfg(feature = "cluster")]
mod cluster;

#[cfg(feature = "acme")]
mod acme;
#[cfg(not(feature = "acme"))]
#[path = "unissued.rs"]
mod acme;

mod cause;
mod certificates;
mod config;
mod connection;
mod contact;
mod error;
mod http;
mod listeners;
mod metrics;
mod onward;
mod page;
mod passages;
mod pipe;
mod proxy;
mod random;
mod rate;
mod registry;
mod reload;
mod setup;
mod side;
mod socket;
mod status;
mod stop;
mod tls;
mod tunnel;
mod validity;
mod visitors;
mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use self::connection::{Shared, Visit};
use self::side::Beside;
use crate::hybrid::tunnel::RoutingId;

pub use self::config::{AcmeConfig, ClusterConfig, ClusterIdentity, Config, Limits};
pub use self::error::Error;
#[cfg(fuzzing)]
pub use self::http::fuzz_request_head;
pub use self::proxy::{Cidr, CidrError};
#[cfg(fuzzing)]
pub use self::proxy::{fuzz_forwarded, fuzz_proxy_header};
pub use self::tls::{TlsError, TlsFiles};

/// How long a stopping relay waits for goodbyes.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// The longest `waiting`, `life` and `drain`: a clock that many seconds ahead cannot overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long to leave the listener alone when the system has no socket to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A tunnel service that listens. Bound, it takes connections; served, it answers them.
pub struct Relay {
    listener: Bound,
    pages: Option<Bound>,
    redirects: Option<Bound>,
    routing_id: RoutingId,
    tls_poll: Duration,
    shared: Arc<Shared>,
}

/// A listener, and the address that it has, with the port that the system chose.
struct Bound(TcpListener, SocketAddr);

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("address", &self.local_addr()).finish_non_exhaustive()
    }
}

impl Relay {
    /// Loads certificate and key, and starts to listen.
    ///
    /// # Errors
    ///
    /// Any of [`Error`].
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let shared = setup::prepared(&config)?;
        let listener = listen(config.listen).await?;
        Self::with(listener, config, shared).await
    }

    /// [`Self::bind`], with a listener that there is in place of [`Config::listen`].
    ///
    /// # Errors
    ///
    /// Any of [`Error`].
    pub async fn adopt(listener: std::net::TcpListener, config: Config) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: config.listen, source };
        let listen = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = Bound(TcpListener::from_std(listener).map_err(failed)?, listen);
        let config = Config { listen, ..config };
        let shared = setup::prepared(&config)?;
        Self::with(listener, config, shared).await
    }

    /// Whether [`Self::bind`] could be expected to do: the settings fit each other, and certificate and
    /// key can be used. Listens nowhere.
    ///
    /// # Errors
    ///
    /// Any of [`Error`] but [`Error::Listen`].
    pub fn check(config: &Config) -> Result<(), Error> {
        setup::shared(config).map(drop)
    }

    async fn with(listener: Bound, config: Config, shared: Arc<Shared>) -> Result<Self, Error> {
        let pages = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let redirects = match config.redirect_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let (routing_id, tls_poll) = (shared.registry().routing_id(), config.tls_poll);
        Ok(Self { listener, pages, redirects, routing_id, tls_poll, shared })
    }

    /// The address that it listens on, with the port that the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.1
    }

    /// The address of the pages for operators, if they have one of their own.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.pages.as_ref().map(|bound| bound.1)
    }

    /// The address at which HTTP is sent to HTTPS.
    #[must_use]
    pub fn redirect_addr(&self) -> Option<SocketAddr> {
        self.redirects.as_ref().map(|bound| bound.1)
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
        format!("{scheme}://{}", self.local_addr())
    }

    /// What goes on beside the tunnels, until it is dropped.
    fn start_beside(&mut self, stop: &stop::Stop) -> JoinSet<()> {
        let mut beside: Vec<Beside> = Vec::new();
        if let Some(Bound(listener, _)) = self.pages.take() {
            beside.push(Box::pin(side::pages(listener, self.shared.clone())));
        }
        if let Some(Bound(listener, _)) = self.redirects.take() {
            let port = self.local_addr().port();
            beside.push(Box::pin(side::redirects(listener, self.shared.clone(), port)));
        }
        beside.push(Box::pin(side::certificates(self.shared.clone())));
        beside.push(Box::pin(side::others(self.shared.clone(), stop.clone())));
        beside.into_iter().collect()
    }

    /// Serves until `shutdown` is ready, then closes all tunnels with code 1001, which takes at
    /// most 5 seconds.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        self.serve_and_drain(std::future::pending(), shutdown).await;
    }

    /// [`Self::serve`], and when `drain` is ready takes no new tunnels (503, also at `/readyz`), but lets
    /// those that there are go on for [`Limits::drain`]; then, or when none is left, it shuts down.
    pub async fn serve_and_drain(
        mut self,
        drain: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()>,
    ) {
        let (stopper, stop) = stop::channel();
        // Ends with this function, by being dropped.
        let _beside = self.start_beside(&stop);
        let Bound(listener, _) = self.listener;
        let mut connections = JoinSet::new();
        let (mut drain, mut shutdown) = (pin!(drain), pin!(shutdown));
        let mut changes = pin!(side::changes(self.shared.clone(), self.tls_poll));
        let mut until: Option<Instant> = None;
        while until.is_none() || self.shared.is_busy() {
            // A joined tunnel is one task and two connections.
            let room = self.shared.visitors().count() < self.shared.limits.connections;
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut drain, if until.is_none() => {
                    self.shared.registry().drain();
                    until = Some(Instant::now() + self.shared.limits.drain.min(LONGEST));
                }
                () = stop::passed(until) => break,
                () = &mut changes => {}
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept(), if room => match accepted {
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
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        // Whoever has not gone by then is cut off with the set.
        let _ = timeout(STOP_GRACE, all).await;
        side::leave(&self.shared).await;
    }
}

async fn listen(address: SocketAddr) -> Result<Bound, Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound(listener, address))
}

/// A connection that panicked takes only itself down, but should be heard of.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err() {
        tracing::error!("a connection ended by a defect of the relay");
    }
}
