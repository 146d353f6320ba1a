//! After a good request: host of a tunnel (authenticator), or guest in one (client).
//!
//! Depends on its siblings. The host's task carries the whole tunnel; the guest's task ends when
//! it has handed its socket over.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::cause::Cause;
use super::config::Limits;
use super::connection::{Shared, Visit, refuse};
use super::http::{self, Header, Upgrade};
use super::onward::Onward;
use super::pipe::{self, End, Meter};
use super::socket::Socket;
use super::status::Status;
use super::stop::Stop;
use super::websocket::WebSocket;
use crate::hybrid::tunnel::{ROUTING_ID_HEADER, RoutingId, SIGNAL_CONNECTION_HEADER, TunnelId};

/// A client that joins a waiting authenticator.
pub(super) struct Guest {
    socket: WebSocket<Socket>,
    /// Its place in the count of its address, for as long as its socket lives; another node counts its own.
    visit: Option<Visit>,
}

#[cfg(feature = "cluster")]
impl Guest {
    /// One that comes through another node.
    pub(super) fn from_afar(socket: WebSocket<Socket>) -> Self {
        Self { socket, visit: None }
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

fn meter(limits: &Limits) -> Meter {
    Meter { messages_left: limits.messages, bytes_left: limits.bytes }
}

/// Answers 101 and makes the socket a WebSocket for messages of at most `message_len`.
pub(super) async fn switch(
    shared: &Shared,
    mut socket: Socket,
    upgrade: Upgrade,
    header: Option<Header<'_>>,
    message_len: usize,
) -> Option<WebSocket<Socket>> {
    let response = upgrade.response(header);
    let sent = timeout(shared.limits.head_deadline, http::send(&mut socket, &response)).await;
    sent.ok()?.ok()?;
    Some(WebSocket::accept(socket, upgrade.rest, message_len))
}

pub(super) async fn join(
    visit: Visit,
    socket: Socket,
    routing_id: RoutingId,
    tunnel: TunnelId,
    upgrade: Upgrade,
    stop: Stop,
) {
    let shared = visit.shared.clone();
    let now = Instant::now().into_std();
    let (found, elsewhere) = {
        let mut registry = shared.registry();
        (registry.join(routing_id, &tunnel, now), registry.routing_id() != routing_id)
    };
    let host = match found {
        Ok(host) if !host.is_closed() => host,
        Ok(_) => return refuse(&visit, socket, Status::NoTunnel).await,
        Err(refusal) => match shared.cluster.as_ref().filter(|_| elsewhere) {
            Some(cluster) => {
                let place = (routing_id, tunnel);
                return Box::pin(cluster.pass(visit, socket, place, upgrade, stop)).await;
            }
            None => return refuse(&visit, socket, refusal.into()).await,
        },
    };
    let message_len = visit.shared.limits.message_len;
    if let Some(socket) = switch(&visit.shared, socket, upgrade, None, message_len).await
        && let Err(guest) = host.send(Guest { socket, visit: Some(visit) })
    {
        pipe::turn_away(guest.socket).await;
    }
}

/// A phone waits in a tunnel for its laptop.
pub(super) async fn host(
    visit: Visit,
    socket: Socket,
    tunnel: TunnelId,
    upgrade: Upgrade,
    stop: Stop,
) -> Onward {
    let hosting = match Hosting::begin(&visit, tunnel) {
        Ok(hosting) => hosting,
        Err(status) => {
            refuse(&visit, socket, status).await;
            return Onward::END;
        }
    };
    let routing_id = visit.shared.registry().routing_id().to_string();
    hosting.run(visit, socket, upgrade, Some((ROUTING_ID_HEADER, &routing_id)), stop).await
}

/// A tunnel whose host is about to wait in it.
pub(super) struct Hosting {
    shared: Arc<Shared>,
    lease: Lease,
    guest: oneshot::Receiver<Guest>,
    until: Instant,
}

impl Hosting {
    /// Takes the id, if its address and the relay have room for one more tunnel.
    pub(super) fn begin(visit: &Visit, tunnel: TunnelId) -> Result<Self, Status> {
        let (handle, guest) = oneshot::channel();
        let shared = visit.shared.clone();
        let now = Instant::now().into_std();
        if !visit.may_open(now) {
            return Err(Status::Haste);
        }
        let until = Instant::from_std(shared.registry().open(tunnel, handle, now)?);
        let lease = Lease { shared: shared.clone(), tunnel };
        Ok(Self { shared, lease, guest, until })
    }

    /// Answers 101 with this header and waits for the guest; what is then to do carries the tunnel to its
    /// end. A host that was promised so gets a zero byte ahead of what its guest says.
    pub(super) async fn run(
        self,
        visit: Visit,
        socket: Socket,
        upgrade: Upgrade,
        header: Option<Header<'_>>,
        stop: Stop,
    ) -> Onward {
        let Self { shared, lease, mut guest, until } = self;
        let signals = header.is_some_and(|(name, _)| name == SIGNAL_CONNECTION_HEADER);
        let message_len = shared.limits.message_len;
        let switched = switch(&shared, socket, upgrade, header, message_len).await;
        let Some(socket) = switched else {
            // Gone before its answer; its laptop may be on the way already.
            drop(lease);
            shared.metrics.ended_lonely(Cause::Dropped);
            turn_away(guest).await;
            return Onward::END;
        };
        let mut waiting =
            Waiting { socket, early: Vec::new(), early_len: 0, meter: meter(&shared.limits) };
        let joined = waiting.until_joined(&shared.limits, &mut guest, until, stop.clone()).await;
        match joined {
            Ok(guest) => {
                if signals {
                    // A host that is gone is noticed by the pipe.
                    let _ = waiting.socket.send(Message::Binary(Bytes::from_static(&[0]))).await;
                }
                carry(visit, waiting, guest, lease, stop)
            }
            Err(cause) => match arriving(&shared, &lease, &mut guest, cause).await {
                Some(guest) => Onward::last(hear_out(visit, waiting, guest, lease, cause)),
                None => {
                    drop(lease);
                    shared.metrics.ended_lonely(cause);
                    tracing::debug!(?cause, "tunnel ended before a client joined");
                    tokio::join!(pipe::close_one(waiting.socket, cause), turn_away(guest));
                    Onward::END
                }
            },
        }
    }
}

/// A client that was told 101, or is about to be, when its host ended.
async fn arriving(
    shared: &Shared,
    lease: &Lease,
    guest: &mut oneshot::Receiver<Guest>,
    cause: Cause,
) -> Option<Guest> {
    if cause == Cause::Abandoned || !shared.registry().is_joined(&lease.tunnel) {
        return None;
    }
    timeout(shared.limits.head_deadline, guest).await.ok()?.ok()
}

/// The tunnel of a host that ended while its guest was on the way: the guest hears what it said, and how it
/// ended.
async fn hear_out(visit: Visit, host: Waiting, guest: Guest, lease: Lease, cause: Cause) {
    drop(lease);
    let (shared, limits) = (&visit.shared, &visit.shared.limits);
    pipe::hear_out(host.socket, guest.socket, host.early, cause).await;
    let messages = limits.messages - host.meter.messages_left;
    shared.metrics.ended_joined(cause, messages, limits.bytes - host.meter.bytes_left);
    tracing::debug!(?cause, "tunnel ended while its client came");
}

/// For a client that was on its way in when its host gave up.
async fn turn_away(mut guest: oneshot::Receiver<Guest>) {
    guest.close();
    if let Ok(guest) = guest.try_recv() {
        pipe::turn_away(guest.socket).await;
    }
}

fn carry(visit: Visit, waiting: Waiting, guest: Guest, lease: Lease, stop: Stop) -> Onward {
    let until = Instant::now() + visit.shared.limits.life;
    let host = End { socket: waiting.socket, meter: waiting.meter };
    let client = End { socket: guest.socket, meter: meter(&visit.shared.limits) };
    let visits = (visit, guest.visit);
    let pipe = Box::pin(pipe::run(host, client, waiting.early, lease, until, stop));
    Onward::to(async move {
        // Both places stay counted until the tunnel has ended.
        let (host, _guest) = visits;
        let (cause, meters) = pipe.await;
        let shared = &host.shared;
        let [up, down] = meters.map(|meter| shared.limits.messages - meter.messages_left);
        let bytes = meters.map(|meter| shared.limits.bytes - meter.bytes_left);
        shared.metrics.ended_joined(cause, up + down, bytes.iter().sum());
        tracing::debug!(?cause, up, down, "tunnel ended");
        Onward::END
    })
}

/// An authenticator without a client.
struct Waiting {
    socket: WebSocket<Socket>,
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
