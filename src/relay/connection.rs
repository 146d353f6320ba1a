//! One connection from its first byte to its answer: TLS, request head, a page, a refusal, or a
//! place in a tunnel.
//!
//! Depends on its siblings.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::acme::Acme;
use super::cluster::Cluster;
use super::config::Limits;
use super::contact::{self, Bell};
use super::http::{self, Verdict};
use super::listeners::Listeners;
use super::metrics::{Metrics, Unheard};
use super::onward::Onward;
use super::page::{self, Page};
use super::pipe;
use super::proxy::{self, Proxies};
use super::registry::Registry;
use super::reload::Reloading;
use super::socket::{Prompt, Socket};
use super::status::Status;
use super::stop::Stop;
use super::tunnel::{self, Guest};
use super::visitors::{Admission, Network, Visitors};
use crate::hybrid::tunnel::Endpoint;

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) tls: Option<Arc<Reloading>>,
    /// Who gives it its certificate, if it is not from files.
    pub(super) acme: Option<Acme>,
    /// Whether the pages for operators have a listener of their own.
    pub(super) pages_apart: bool,
    pub(super) proxies: Proxies,
    pub(super) registry: Mutex<Registry<oneshot::Sender<Guest>>>,
    pub(super) listeners: Mutex<Listeners<Bell>>,
    pub(super) visitors: Mutex<Visitors>,
    /// Other nodes, if this one is not alone.
    pub(super) cluster: Option<Cluster>,
    pub(super) metrics: Metrics,
}

impl AsRef<Metrics> for Shared {
    fn as_ref(&self) -> &Metrics {
        &self.metrics
    }
}

impl Shared {
    /// No method of the registry leaves it half-changed, so a poisoned lock is as good as any.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry<oneshot::Sender<Guest>>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::registry`].
    pub(super) fn listeners(&self) -> MutexGuard<'_, Listeners<Bell>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are tunnels, here or through here.
    pub(super) fn is_busy(&self) -> bool {
        self.registry().census().all > 0 || self.metrics.passages.passing() > 0
    }

    /// Whether clients can believe who this is, if it gets its certificate by itself.
    fn is_certified(&self) -> bool {
        match (&self.acme, &self.tls) {
            (Some(acme), Some(files)) => acme.is_certified(files),
            _ => true,
        }
    }

    /// A page that is not for everybody is none here.
    fn public(&self, status: Status) -> Status {
        match status {
            Status::Page(page) if self.pages_apart && page.is_for_operators() => Status::NoPath,
            status => status,
        }
    }

    /// As [`Self::registry`].
    pub(super) fn visitors(&self) -> MutexGuard<'_, Visitors> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A counted connection; uncounted when dropped.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    /// The furthest address that is known: the peer's, or what a named proxy says.
    client: IpAddr,
    /// Where it is counted; nowhere while the address may still be a proxy's.
    network: Option<Network>,
    admission: Admission,
}

impl Visit {
    pub(super) fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        shared.visitors().arrive();
        let mut visit = Self { shared, client: peer, network: None, admission: Admission::Within };
        visit.comes_from(peer);
        visit
    }

    /// Counts it for `client`, unless that is a proxy that has still to say for whom.
    fn comes_from(&mut self, client: IpAddr) {
        self.client = client;
        if !self.comes_through_proxy() {
            self.settle();
        }
    }

    fn comes_through_proxy(&self) -> bool {
        self.shared.proxies.trusts(self.client)
    }

    /// Counts it for whom it is known to come from.
    fn settle(&mut self) {
        if self.network.is_none() {
            let network = Network::of(self.client, self.shared.limits.ipv6_prefix);
            self.admission = self.shared.visitors().enter(network);
            self.network = Some(network);
        }
    }

    fn without_flood(&self) -> Result<(), Unheard> {
        (self.admission != Admission::Flood).then_some(()).ok_or(Unheard::Flood)
    }

    /// Whether its address may open one more tunnel now.
    pub(super) fn may_open(&self, now: Instant) -> bool {
        self.network.is_none_or(|network| self.shared.visitors().may_open(network, now))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.visitors().leave(self.network);
    }
}

/// Serves one connection to its end.
pub(super) fn serve(visit: Visit, socket: TcpStream, stop: Stop) -> impl Future<Output = ()> {
    Onward::to(welcome(visit, socket, stop)).run()
}

async fn welcome(mut visit: Visit, socket: TcpStream, stop: Stop) -> Onward {
    let shared = visit.shared.clone();
    let mut stopping = stop.clone();
    // Apart, so that what TLS needs is not held while an answer is sent.
    let greeting = Box::pin(greet(&mut visit, socket));
    let greeted = tokio::select! {
        greeted = timeout(shared.limits.head_deadline, greeting) => greeted,
        () = stopping.requested() => return Onward::END,
    };
    let why = match greeted {
        Ok(Ok((socket, verdict))) => return dispatch(visit, socket, verdict, stop),
        Ok(Err(why)) => why,
        Err(_) => Unheard::Slow,
    };
    shared.metrics.unheard(why);
    Onward::END
}

/// Everything before the answer, and who it is that asks.
async fn greet(visit: &mut Visit, socket: TcpStream) -> Result<(Socket, Verdict), Unheard> {
    visit.without_flood()?;
    let shared = visit.shared.clone();
    let mut socket = Prompt::new(socket).map_err(|_| Unheard::NoRequest)?;
    if shared.proxies.header && visit.comes_through_proxy() {
        let client = proxy::header::receive(&mut socket).await.map_err(|_| Unheard::Proxy)?;
        if let Some(client) = client {
            visit.comes_from(client);
            visit.without_flood()?;
        }
    }
    let mut socket = match &shared.tls {
        Some(files) => {
            let acceptor = files.acceptor().ok_or(Unheard::NoRequest)?;
            let accepted = acceptor.accept(socket).await.map_err(|_| Unheard::NoRequest)?;
            Socket::Tls(Box::new(accepted))
        }
        None => Socket::Plain(socket),
    };
    let proxies = visit.comes_through_proxy().then_some(&shared.proxies);
    let judged = http::receive(&mut socket, proxies).await.ok_or(Unheard::NoRequest)?;
    if let Some(client) = judged.client {
        visit.client = client;
    }
    visit.settle();
    visit.without_flood()?;
    Ok((socket, judged.verdict))
}

fn dispatch(visit: Visit, socket: Socket, verdict: Verdict, stop: Stop) -> Onward {
    let verdict = match visit.admission {
        Admission::Within => verdict.map_err(|status| visit.shared.public(status)),
        Admission::Over | Admission::Flood => Err(Status::Crowd),
    };
    match verdict {
        Ok(upgrade) => match upgrade.endpoint.clone() {
            Endpoint::New(id) => Onward::to(tunnel::host(visit, socket, id, upgrade, stop)),
            Endpoint::Connect(routing_id, id) => {
                Onward::last(tunnel::join(visit, socket, routing_id, id, upgrade, stop))
            }
            Endpoint::Contact(id) => Onward::to(contact::ring(visit, socket, id, upgrade, stop)),
            Endpoint::Listen(id) => Onward::last(contact::listen(visit, socket, id, upgrade, stop)),
        },
        Err(Status::Page(page)) => Onward::last(async move {
            answer(&visit, socket, &show(&visit.shared, page)).await;
        }),
        Err(status) => Onward::last(async move { refuse(&visit, socket, status).await }),
    }
}

pub(super) fn show(shared: &Shared, page: Page) -> String {
    match page {
        Page::Landing => page::landing(),
        Page::Health => page::healthy(),
        Page::Ready => page::ready(
            shared.registry().is_full(),
            shared.cluster.as_ref().is_none_or(Cluster::is_held),
            shared.is_certified(),
        ),
        Page::Metrics => {
            // Taken first, so that no lock is held while the text is written.
            let (connections, tunnels) = (shared.visitors().count(), shared.registry().census());
            let listeners = shared.listeners().count();
            let cluster = shared.cluster.as_ref();
            let cluster = cluster.map(|cluster| [cluster.is_connected(), cluster.is_held()]);
            let mut text = shared.metrics.text(connections, tunnels, listeners, &shared.limits);
            text += &shared.metrics.passages.text(cluster.unwrap_or_default());
            let validity = shared.tls.as_ref().and_then(|files| files.validity());
            text += &shared.metrics.certificates.text(validity.map(|validity| validity.until));
            page::metrics(&text)
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
