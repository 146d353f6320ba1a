//! Phones that listen for laptops, and laptops that ring them.
//!
//! A laptop that rings waits in a tunnel of its own, which the phone then joins; so from there on it is a
//! tunnel as any other. Depends on its siblings and on `hybrid::listen` for what phone and service say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as WsError;

use super::cause::Cause;
use super::connection::{Shared, Visit, refuse};
use super::http::{Header, Upgrade};
use super::listeners::Ticket;
use super::onward::Onward;
use super::pipe::{self, Meter};
use super::random;
use super::rate::{Bucket, Rate};
use super::socket::Socket;
use super::status::Status;
use super::stop::Stop;
use super::tunnel::{Hosting, switch};
use super::websocket::WebSocket;
use crate::hybrid::linking::ClientPayload;
use crate::hybrid::listen::{Answer, MAX_MESSAGE, Ring, Verdict};
use crate::hybrid::tunnel::{ContactId, RoutingId, SIGNAL_CONNECTION_HEADER, TunnelId};

/// Rings that a phone may leave unanswered.
const MAX_UNANSWERED: usize = 4;
/// Messages and pings that a listener may send a second: one in half a minute is usual.
const CHATTER: u32 = 8;

/// The promise of a message for when the phone is there.
const SIGNAL: Header<'_> = (SIGNAL_CONNECTION_HEADER, "true");

/// The way to a phone that listens.
pub(super) type Bell = mpsc::Sender<Rung>;
/// The same for whoever must not keep the phone from being replaced.
pub(super) type WeakBell = mpsc::WeakSender<Rung>;

/// A laptop rings.
pub(super) struct Rung {
    payload: ClientPayload,
    tunnel: TunnelId,
    routing: RoutingId,
    verdict: oneshot::Sender<Verdict>,
}

/// What a request for a contact says.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) payload: ClientPayload,
    /// The laptop wants to be told when the phone is there.
    pub(super) signal: bool,
}

/// A place among the listeners; free when dropped.
struct Place {
    shared: Arc<Shared>,
    contact: ContactId,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.listeners().leave(&self.contact, self.ticket);
    }
}

/// Lets a phone listen until it goes, or another connection of it comes.
pub(super) async fn listen(
    visit: Visit,
    socket: Socket,
    contact: ContactId,
    upgrade: Upgrade,
    stop: Stop,
) {
    let shared = visit.shared.clone();
    if shared.listeners().is_full() {
        return refuse(&visit, socket, Status::Listeners).await;
    }
    let Some(mut socket) = switch(&shared, socket, upgrade, None, MAX_MESSAGE).await else {
        return shared.metrics.stopped_listening(Cause::Dropped);
    };
    let cause = match timeout(shared.limits.head_deadline, prove(&mut socket, &contact)).await {
        Ok(Ok(())) => attend(&shared, &mut socket, contact, stop).await,
        Ok(Err(cause)) => cause,
        Err(_) => Cause::Expired,
    };
    shared.metrics.stopped_listening(cause);
    tracing::debug!(?cause, "a phone listens no more");
    pipe::close_one(socket, cause).await;
}

/// Has the phone prove that the contact id is its own.
async fn prove(socket: &mut WebSocket<Socket>, contact: &ContactId) -> Result<(), Cause> {
    let challenge = random::challenge();
    let message = Message::Binary(challenge.message().to_vec().into());
    socket.send(message).await.map_err(|error| Cause::of_error(&error))?;
    let mut meter = Meter { messages_left: CHATTER.into(), bytes_left: MAX_MESSAGE as u64 };
    loop {
        if let Some(answer) = pipe::sift(socket.next().await, &mut meter)? {
            return challenge.admits(contact, &answer).then_some(()).ok_or(Cause::Unproven);
        }
    }
}

/// Passes rings on to the phone, and its answers back.
async fn attend(
    shared: &Arc<Shared>,
    socket: &mut WebSocket<Socket>,
    contact: ContactId,
    mut stop: Stop,
) -> Cause {
    let (bell, mut rung) = mpsc::channel(MAX_UNANSWERED);
    let weak = bell.downgrade();
    let entered = shared.listeners().enter(contact.clone(), bell);
    let Some(ticket) = entered else { return Cause::Quota };
    let place = Place { shared: shared.clone(), contact: contact.clone(), ticket };
    let mut elsewhere = Box::pin(elsewhere(shared, &contact, &weak));
    let mut waiting: HashMap<u64, oneshot::Sender<Verdict>> = HashMap::new();
    let mut number = 0;
    let mut chatter = Bucket::default();
    let mut meter = Meter { messages_left: u64::MAX, bytes_left: u64::MAX };
    let idle = shared.limits.listen_idle;
    let mut until = Instant::now() + idle;
    let cause = loop {
        waiting.retain(|_, verdict| !verdict.is_closed());
        let room = waiting.len() < MAX_UNANSWERED;
        tokio::select! {
            item = socket.next() => {
                let now = Instant::now();
                if !chatter.take(Rate::per_second(CHATTER), now.into_std()) {
                    break Cause::Quota;
                }
                until = now + idle;
                let answer = match pipe::sift(item, &mut meter) {
                    Ok(None) => continue,
                    Ok(Some(message)) => Answer::decode(&message),
                    Err(cause) => break cause,
                };
                let Some(Answer { number, verdict }) = answer else { break Cause::Protocol };
                // One that comes too late is nobody's.
                if let Some(tell) = waiting.remove(&number) {
                    let _gone = tell.send(verdict);
                }
            }
            asked = rung.recv(), if room => {
                let Some(rung) = asked else { break Cause::Replaced };
                let Rung { payload, tunnel, routing, verdict } = rung;
                number += 1;
                waiting.insert(number, verdict);
                let ring = Ring { number, tunnel, routing, payload }.encode();
                let sending = socket.send(Message::Binary(ring.into()));
                if let Err(cause) = told(timeout(shared.limits.head_deadline, sending).await) {
                    break cause;
                }
            }
            // Those that nobody waits for any more make room.
            () = sleep(shared.limits.ring_deadline), if !room => {}
            () = sleep_until(until) => break Cause::Expired,
            () = &mut elsewhere => break Cause::Replaced,
            () = stop.requested() => break Cause::Stopping,
        }
    };
    drop(place);
    cause
}

/// Why a ring did not reach the phone, if it did not.
fn told(sent: Result<Result<(), WsError>, Elapsed>) -> Result<(), Cause> {
    sent.map_err(|_| Cause::Expired)?.map_err(|error| Cause::of_error(&error))
}

/// Until the phone listens at another node; meanwhile, rings of other nodes come in.
async fn elsewhere(shared: &Arc<Shared>, contact: &ContactId, bell: &WeakBell) {
    match &shared.cluster {
        Some(cluster) => cluster.attend(shared, contact, bell).await,
        None => std::future::pending().await,
    }
}

/// Rings a phone for a laptop, and lets that wait in a tunnel if the phone comes.
pub(super) async fn ring(
    visit: Visit,
    socket: Socket,
    contact: ContactId,
    mut upgrade: Upgrade,
    stop: Stop,
) -> Onward {
    // A head without a payload was refused.
    let Some(Asked { payload, signal }) = upgrade.asked.take() else { return Onward::END };
    match call(&visit, &contact, payload).await {
        Ok(hosting) => {
            visit.shared.metrics.rung();
            hosting.run(visit, socket, upgrade, signal.then_some(SIGNAL), stop).await
        }
        Err(status) => {
            refuse(&visit, socket, status).await;
            Onward::END
        }
    }
}

async fn call(
    visit: &Visit,
    contact: &ContactId,
    payload: ClientPayload,
) -> Result<Hosting, Status> {
    let (shared, limits) = (&visit.shared, &visit.shared.limits);
    let bell = shared.listeners().find(contact);
    if bell.is_none() && shared.cluster.is_none() {
        return Err(Status::NoListener);
    }
    let tunnel = random::tunnel_id().ok_or(Status::Full)?;
    let hosting = Hosting::begin(visit, tunnel)?;
    let place = (shared.registry().routing_id(), tunnel);
    let verdict = match (bell, &shared.cluster) {
        (Some(bell), _) => knock(&bell, place, payload, limits.ring_deadline).await?,
        (None, Some(cluster)) => cluster.ring(contact, place, payload).await?,
        (None, None) => return Err(Status::NoListener),
    };
    match verdict {
        Verdict::Coming => Ok(hosting),
        Verdict::NoSuchLink => Err(Status::Gone),
        Verdict::Busy => Err(Status::Busy),
    }
}

/// Rings a phone that listens here, for a laptop that waits in a tunnel here or at another node.
pub(super) async fn knock(
    bell: &Bell,
    (routing, tunnel): (RoutingId, TunnelId),
    payload: ClientPayload,
    deadline: Duration,
) -> Result<Verdict, Status> {
    let (verdict, told) = oneshot::channel();
    let rung = Rung { payload, tunnel, routing, verdict };
    bell.try_send(rung).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Status::Busy,
        mpsc::error::TrySendError::Closed(_) => Status::NoListener,
    })?;
    match timeout(deadline, told).await {
        Ok(Ok(verdict)) => Ok(verdict),
        // It left, or lost its connection without knowing.
        Ok(Err(_)) => Err(Status::NoListener),
        Err(_) => Err(Status::Silent),
    }
}
