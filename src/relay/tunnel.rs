//! After a good request: host of a tunnel (authenticator), or guest in one (client).
//!
//! Depends on its siblings. The host's task carries the whole tunnel; the guest's task ends when
//! it has handed its socket over.

use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Bytes;

use super::cause::Cause;
use super::config::Limits;
use super::connection::{Shared, Visit, refuse};
use super::http::{self, Upgrade};
use super::pipe::{self, End, Meter};
use super::socket::Socket;
use super::status::Status;
use super::stop::Stop;
use crate::hybrid::tunnel::{RoutingId, TunnelId};

/// A client that joins a waiting authenticator.
pub(super) struct Guest {
    socket: WebSocketStream<Socket>,
    /// Its place in the count of its address, for as long as its socket lives.
    _visit: Visit,
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

pub(super) async fn join(
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
        Ok(_) => return refuse(&visit, socket, Status::NoTunnel).await,
        Err(refusal) => return refuse(&visit, socket, refusal.into()).await,
    };
    if let Some(socket) = switch(&visit.shared, socket, upgrade, None).await
        && let Err(guest) = host.send(Guest { socket, _visit: visit })
    {
        pipe::turn_away(guest.socket).await;
    }
}

pub(super) async fn host(
    visit: Visit,
    socket: Socket,
    tunnel: TunnelId,
    upgrade: Upgrade,
    stop: Stop,
) {
    let (handle, mut guest) = oneshot::channel();
    let shared = visit.shared.clone();
    let now = Instant::now().into_std();
    if !visit.may_open(now) {
        return refuse(&visit, socket, Status::Haste).await;
    }
    let opened = shared.registry().open(tunnel, handle, now);
    let until = match opened {
        Ok(until) => Instant::from_std(until),
        Err(refusal) => return refuse(&visit, socket, refusal.into()).await,
    };
    let lease = Lease { shared: shared.clone(), tunnel };
    let routing_id = shared.registry().routing_id();
    let Some(socket) = switch(&shared, socket, upgrade, Some(routing_id)).await else { return };
    let mut waiting =
        Waiting { socket, early: Vec::new(), early_len: 0, meter: meter(&shared.limits) };
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
    let client = End { socket, meter: meter(&shared.limits) };
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
