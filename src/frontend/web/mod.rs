//! Pages on loopback: the [`phone`]'s, with pending questions and passkeys, and the [`laptop`]'s, with
//! codes to scan.
//!
//! ```text
//!  browser ──> guard (whose page is it, who may) ──> phone/api ──> authenticator::service
//!                                            │  └──> laptop/api ──> client::service
//!                                            └─────> files (compiled in)
//! ```
//!
//! Other pages in the same browser, and other users of the machine, can reach a port on loopback. So
//! the way in is a link with a token that works once, each request has to name this very address, and
//! what changes something has to come from this page. May depend on both roles' services and on axum.

mod files;
mod guard;
pub mod laptop;
mod news;
pub mod phone;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use rand_core::CryptoRngCore;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use self::guard::{Door, Face};
use super::loopback;

/// Larger than any request of the pages.
const MAX_BODY: usize = 16 << 10;

/// A page that listens.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    door: Arc<Door>,
    router: Router,
    stop: watch::Sender<bool>,
}

/// Links into a page; clones lead into the same one.
#[derive(Clone, Debug)]
pub struct Links(Arc<Door>);

impl Links {
    /// A link that lets one browser in, once. Whoever has it can do what the page can: keep it out of
    /// logs. So many may wait to be followed; one more takes the place of the oldest.
    #[must_use]
    pub fn fresh(&self, rng: &mut (dyn CryptoRngCore + Send)) -> String {
        self.0.link(Instant::now(), rng)
    }
}

impl Web {
    /// Listens on 127.0.0.1; port 0 takes a free one. The routes are told when to end.
    async fn bind(
        face: Face,
        port: u16,
        rng: &mut (dyn CryptoRngCore + Send),
        routes: impl FnOnce(watch::Receiver<bool>) -> Router,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let door = Arc::new(Door::new(face, address, rng));
        let stop = watch::Sender::new(false);
        let router = routes(stop.subscribe())
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn_with_state(Arc::clone(&door), guard::guard));
        Ok(Self { listener, address, door, router, stop })
    }

    /// Where links into it come from.
    #[must_use]
    pub fn links(&self) -> Links {
        Links(Arc::clone(&self.door))
    }

    /// Serves until `stop` resolves, and then ends what is still open.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        loopback::serve(self.listener, self.router, self.stop, stop).await;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
