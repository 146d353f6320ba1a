//! The phone's face: a page on loopback with pending questions and passkeys.
//!
//! ```text
//!  browser ──> guard (whose page is it, who may) ──> api ──> authenticator::service
//!         └──> page (files compiled in)
//! ```
//!
//! Other pages in the same browser, and other users of the machine, can reach a port on loopback. So
//! the way in is a link with a token that works once, each request has to name this very address, and
//! what changes something has to come from this page. May depend on `authenticator` and on axum.

mod api;
mod guard;
mod page;
mod view;

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

use self::guard::Door;
use super::loopback;
use crate::authenticator::service::Service;

/// Larger than any request of the page.
const MAX_BODY: usize = 16 << 10;

/// A page that listens.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    door: Arc<Door>,
    service: Service,
    stop: watch::Sender<bool>,
}

impl Web {
    /// Listens on 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// The port cannot be had.
    pub async fn bind(
        service: Service,
        port: u16,
        rng: &mut (dyn CryptoRngCore + Send),
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let door = Arc::new(Door::new(address, rng));
        Ok(Self { listener, address, door, service, stop: watch::Sender::new(false) })
    }

    /// The link that lets one browser in, once. Whoever has it can see and delete passkeys, as far as
    /// the store is unlocked, but approve nothing without the PIN: keep it out of logs.
    #[must_use]
    pub fn link(&self) -> String {
        self.door.link()
    }

    /// Serves until `stop` resolves, and then ends what is still open.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, door, service, stop: stopping, .. } = self;
        let router = router(&door, service, stopping.subscribe());
        loopback::serve(listener, router, stopping, stop).await;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn router(door: &Arc<Door>, service: Service, stopped: watch::Receiver<bool>) -> Router {
    api::routes(service, stopped)
        .merge(page::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(door), guard::guard))
}
