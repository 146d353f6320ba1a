//! One connection from its first byte to its answer: TLS, request head, a page, a refusal, or a
//! place in a tunnel.
//!
//! Depends on its siblings.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::config::Limits;
use super::http::{self, Status, Verdict};
use super::metrics::{Metrics, Unheard};
use super::page::{self, Page};
use super::pipe;
use super::registry::{Refusal, Registry};
use super::socket::{Prompt, Socket};
use super::stop::Stop;
use super::tunnel::{self, Guest};
use super::visitors::{Admission, Network, Visitors};
use crate::hybrid::tunnel::Endpoint;

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) registry: Mutex<Registry<oneshot::Sender<Guest>>>,
    pub(super) visitors: Mutex<Visitors>,
    pub(super) metrics: Metrics,
}

impl Shared {
    /// No method of the registry leaves it half-changed, so a poisoned lock is as good as any.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry<oneshot::Sender<Guest>>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::registry`].
    pub(super) fn visitors(&self) -> MutexGuard<'_, Visitors> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A counted connection; uncounted when dropped.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    network: Network,
    admission: Admission,
}

impl Visit {
    pub(super) fn new(shared: Arc<Shared>, address: IpAddr) -> Self {
        let network = Network::from(address);
        let admission = shared.visitors().enter(network);
        Self { shared, network, admission }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.visitors().leave(self.network);
    }
}

/// Serves one connection to its end.
pub(super) async fn serve(visit: Visit, socket: TcpStream, stop: Stop) {
    if visit.admission == Admission::Flood {
        visit.shared.metrics.unheard(Unheard::Flood);
        return;
    }
    let shared = visit.shared.clone();
    let mut stopping = stop.clone();
    let greeted = tokio::select! {
        greeted = timeout(shared.limits.head_deadline, greet(&shared, socket)) => greeted,
        () = stopping.requested() => return,
    };
    match greeted {
        Ok(Some((socket, verdict))) => dispatch(visit, socket, verdict, stop).await,
        Ok(None) => shared.metrics.unheard(Unheard::NoRequest),
        Err(_) => shared.metrics.unheard(Unheard::Slow),
    }
}

async fn greet(shared: &Shared, socket: TcpStream) -> Option<(Socket, Verdict)> {
    let socket = Prompt::new(socket).ok()?;
    let mut socket = match &shared.tls {
        Some(acceptor) => Socket::Tls(Box::new(acceptor.accept(socket).await.ok()?)),
        None => Socket::Plain(socket),
    };
    let verdict = http::receive(&mut socket).await?;
    Some((socket, verdict))
}

async fn dispatch(visit: Visit, socket: Socket, verdict: Verdict, stop: Stop) {
    let verdict = match visit.admission {
        Admission::Within => verdict,
        Admission::Over | Admission::Flood => Err(Status::TooManyRequests),
    };
    match verdict {
        Ok(upgrade) => match &upgrade.endpoint {
            Endpoint::New(id) => tunnel::host(visit, socket, *id, upgrade, stop).await,
            Endpoint::Connect(routing_id, id) => {
                let (routing_id, id) = (*routing_id, *id);
                tunnel::join(visit, socket, routing_id, id, upgrade).await;
            }
            // Nobody listens for contacts here.
            Endpoint::Contact(_) => refuse(&visit, socket, Status::NotFound).await,
        },
        Err(Status::Page(page)) => answer(&visit, socket, &show(&visit.shared, page)).await,
        Err(status) => refuse(&visit, socket, status).await,
    }
}

fn show(shared: &Shared, page: Page) -> String {
    match page {
        Page::Landing => page::landing(),
        Page::Health => page::healthy(),
        Page::Ready => page::ready(shared.registry().is_full()),
        Page::Metrics => {
            // Taken first, so that no lock is held while the text is written.
            let (connections, tunnels) = (shared.visitors().count(), shared.registry().census());
            page::metrics(&shared.metrics.text(connections, tunnels, shared.limits.tunnels))
        }
    }
}

pub(super) async fn refuse(visit: &Visit, socket: Socket, status: Status) {
    visit.shared.metrics.refused(status);
    tracing::debug!(?status, "request refused");
    answer(visit, socket, &status.response()).await;
}

async fn answer(visit: &Visit, mut socket: Socket, response: &str) {
    let answer = async {
        if http::send(&mut socket, response).await.is_ok() {
            pipe::drain(socket).await;
        }
    };
    // Ends in any case: a client that does not read its answer is cut off.
    let _ = timeout(visit.shared.limits.head_deadline, answer).await;
}

pub(super) fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::UnknownTunnel => Status::NotFound,
        Refusal::Occupied => Status::Conflict,
        Refusal::Full => Status::Unavailable,
    }
}
