//! One connection from its first byte: TLS, request head, the registry's word, and then either
//! host of a tunnel (authenticator) or guest in one (client).
//!
//! Depends on its siblings. The host's task carries the whole tunnel; the guest's task ends when
//! it has handed its socket over.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Bytes;

use super::Limits;
use super::cause::Cause;
use super::http::{self, Status, Upgrade, Verdict};
use super::metrics::{Metrics, Unheard};
use super::page::{self, Page};
use super::pipe::{self, End, Meter};
use super::registry::{Admission, Network, Refusal, Registry};
use super::socket::{Prompt, Socket};
use super::stop::Stop;
use crate::hybrid::tunnel::{Endpoint, RoutingId, TunnelId};

/// A client that joins a waiting authenticator.
pub(super) struct Guest {
    socket: WebSocketStream<Socket>,
    /// Its place in the count of its address, for as long as its socket lives.
    _visit: Visit,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) registry: Mutex<Registry<oneshot::Sender<Guest>>>,
    pub(super) metrics: Metrics,
}

impl Shared {
    /// No method of the registry leaves it half-changed, so a poisoned lock is as good as any.
    pub(super) fn registry(&self) -> MutexGuard<'_, Registry<oneshot::Sender<Guest>>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meter(&self) -> Meter {
        Meter { messages_left: self.limits.messages, bytes_left: self.limits.bytes }
    }
}

/// A counted connection; uncounted when dropped.
pub(super) struct Visit {
    shared: Arc<Shared>,
    network: Network,
    admission: Admission,
}

impl Visit {
    pub(super) fn new(shared: Arc<Shared>, address: IpAddr) -> Self {
        let network = Network::from(address);
        let admission = shared.registry().enter(network);
        Self { shared, network, admission }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shared.registry().leave(self.network);
    }
}

/// A taken tunnel id; freed when dropped.
struct Lease {
    shared: Arc<Shared>,
    tunnel: TunnelId,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.registry().close(&self.tunnel);
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
            Endpoint::New(tunnel) => host(visit, socket, *tunnel, upgrade, stop).await,
            Endpoint::Connect(routing_id, tunnel) => {
                let (routing_id, tunnel) = (*routing_id, *tunnel);
                join(visit, socket, routing_id, tunnel, upgrade).await;
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
            // Taken first, so that the lock is not held while the text is written.
            let census = shared.registry().census();
            page::metrics(&shared.metrics.text(census, shared.limits.tunnels))
        }
    }
}

async fn refuse(visit: &Visit, socket: Socket, status: Status) {
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

fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::UnknownTunnel => Status::NotFound,
        Refusal::Occupied => Status::Conflict,
        Refusal::Full => Status::Unavailable,
    }
}

/// Answers 101 and makes the socket a WebSocket.
async fn switch(
    shared: &Shared,
    mut socket: Socket,
    upgrade: Upgrade,
    routing_id: Option<RoutingId>,
) -> Option<WebSocketStream<Socket>> {
    let response = upgrade.response(routing_id);
    let sent = timeout(shared.limits.head_deadline, http::send(&mut socket, &response)).await;
    sent.ok()?.ok()?;
    Some(pipe::accept(socket, upgrade.rest, shared.limits.message_len).await)
}

async fn join(
    visit: Visit,
    socket: Socket,
    routing_id: RoutingId,
    tunnel: TunnelId,
    upgrade: Upgrade,
) {
    let now = Instant::now().into_std();
    let found = visit.shared.registry().join(routing_id, &tunnel, now);
    let host = match found {
        Ok(host) if !host.is_closed() => host,
        Ok(_) => return refuse(&visit, socket, Status::NotFound).await,
        Err(refusal) => return refuse(&visit, socket, status(refusal)).await,
    };
    if let Some(socket) = switch(&visit.shared, socket, upgrade, None).await
        && let Err(guest) = host.send(Guest { socket, _visit: visit })
    {
        pipe::turn_away(guest.socket).await;
    }
}

async fn host(visit: Visit, socket: Socket, tunnel: TunnelId, upgrade: Upgrade, stop: Stop) {
    let (handle, mut guest) = oneshot::channel();
    let shared = visit.shared.clone();
    let opened = shared.registry().open(tunnel, handle, Instant::now().into_std());
    let until = match opened {
        Ok(until) => Instant::from_std(until),
        Err(refusal) => return refuse(&visit, socket, status(refusal)).await,
    };
    let lease = Lease { shared: shared.clone(), tunnel };
    let routing_id = shared.registry().routing_id();
    let Some(socket) = switch(&shared, socket, upgrade, Some(routing_id)).await else { return };
    let mut waiting = Waiting { socket, early: Vec::new(), early_len: 0, meter: shared.meter() };
    match waiting.until_joined(&shared.limits, &mut guest, until, stop.clone()).await {
        Ok(guest) => carry(&shared, waiting, guest, lease, stop).await,
        Err(cause) => {
            drop(lease);
            shared.metrics.ended_lonely(cause);
            tracing::debug!(?cause, "tunnel ended before a client joined");
            tokio::join!(pipe::close_one(waiting.socket, cause), turn_away(guest));
        }
    }
}

/// For a client that was on its way in when its host gave up.
async fn turn_away(mut guest: oneshot::Receiver<Guest>) {
    guest.close();
    if let Ok(guest) = guest.try_recv() {
        pipe::turn_away(guest.socket).await;
    }
}

async fn carry(shared: &Shared, waiting: Waiting, guest: Guest, lease: Lease, stop: Stop) {
    let until = Instant::now() + shared.limits.life;
    let host = End { socket: waiting.socket, meter: waiting.meter };
    // The guest's place stays counted until the tunnel has ended.
    let Guest { socket, _visit } = guest;
    let client = End { socket, meter: shared.meter() };
    let (cause, meters) = pipe::run(host, client, waiting.early, lease, until, stop).await;
    let [up, down] = meters.map(|meter| shared.limits.messages - meter.messages_left);
    let bytes = meters.map(|meter| shared.limits.bytes - meter.bytes_left);
    shared.metrics.ended_joined(cause, up + down, bytes.iter().sum());
    tracing::debug!(?cause, up, down, "tunnel ended");
}

/// An authenticator without a client.
struct Waiting {
    socket: WebSocketStream<Socket>,
    /// What it has said so far.
    early: Vec<Bytes>,
    early_len: usize,
    meter: Meter,
}

impl Waiting {
    async fn until_joined(
        &mut self,
        limits: &Limits,
        guest: &mut oneshot::Receiver<Guest>,
        until: Instant,
        mut stop: Stop,
    ) -> Result<Guest, Cause> {
        loop {
            let room =
                self.early.len() < limits.early_messages && self.early_len < limits.early_bytes;
            tokio::select! {
                // A client whose own upgrade failed was the only one that this tunnel gets.
                guest = &mut *guest => return guest.map_err(|_| Cause::Abandoned),
                // Without room nothing is read, and the sender has to wait.
                item = self.socket.next(), if room => {
                    if let Some(message) = pipe::sift(item, &mut self.meter)? {
                        self.early_len += message.len();
                        self.early.push(message);
                    }
                }
                () = sleep_until(until) => return Err(Cause::Expired),
                () = stop.requested() => return Err(Cause::Stopping),
            }
        }
    }
}
