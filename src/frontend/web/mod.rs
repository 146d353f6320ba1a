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
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rand_core::CryptoRngCore;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use self::guard::Door;
use crate::authenticator::service::Service;

/// Larger than any request of the page.
const MAX_BODY: usize = 16 << 10;
/// Browsers open six for a page, and one for its news.
const MAX_CONNECTIONS: usize = 32;
/// For the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Between a failed accept and the next, when the machine is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

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
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match (accepted, Arc::clone(&room).try_acquire_owned()) {
                (Ok((stream, _)), Ok(permit)) => {
                    let (router, mut stopped) = (router.clone(), stopping.subscribe());
                    tokio::spawn(async move {
                        let _permit = permit;
                        tokio::select! {
                            () = converse(stream, router) => {}
                            _ = stopped.wait_for(|stop| *stop) => {}
                        }
                    });
                }
                // Full: hung up on, and the browser tries again.
                (Ok(_), Err(_)) => {}
                (Err(error), _) => {
                    tracing::warn!(%error, "the web page cannot take a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        stopping.send_replace(true);
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

async fn converse(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A browser that goes, or talks nonsense, is the end of its connection and of nothing else.
    let _gone = served.await;
}
