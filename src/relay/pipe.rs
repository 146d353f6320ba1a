//! After the upgrade: whole binary messages from one socket to the other, both ways, until
//! something ends it.
//!
//! Depends on the WebSocket crate and siblings. Generic over the byte stream, so that tests can count what it
//! holds.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::cause::Cause;
use super::stop::Stop;
use super::websocket::WebSocket;

/// How long a closed socket may take to read its goodbye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much a closed socket may still send meanwhile.
const FAREWELL_LEN: u64 = 8 << 20;

/// Anything that carries bytes both ways.
pub(super) trait Bytestream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Bytestream for S {}

/// What one direction may carry, and has carried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meter {
    pub(super) messages_left: u64,
    pub(super) bytes_left: u64,
}

impl Meter {
    /// Pings count as well: answering them costs what a message costs.
    pub(super) fn count(&mut self, len: usize) -> Result<(), Cause> {
        let messages = self.messages_left.checked_sub(1).ok_or(Cause::Quota)?;
        let bytes = self.bytes_left.checked_sub(len as u64).ok_or(Cause::Quota)?;
        *self = Self { messages_left: messages, bytes_left: bytes };
        Ok(())
    }
}

/// Judges what a socket gave: a message to carry, something to skip, or the end.
pub(super) fn sift(
    item: Option<Result<Message, WsError>>,
    meter: &mut Meter,
) -> Result<Option<Bytes>, Cause> {
    match item {
        Some(Ok(Message::Binary(message))) => meter.count(message.len()).map(|()| Some(message)),
        Some(Ok(Message::Text(_))) => Err(Cause::Text),
        Some(Ok(Message::Close(_))) | None => Err(Cause::Goodbye),
        Some(Ok(control)) => meter.count(control.len()).map(|()| None),
        Some(Err(error)) => Err(Cause::of_error(&error)),
    }
}

/// One end of a tunnel: its socket, and what it may send.
pub(super) struct End<S> {
    pub(super) socket: WebSocket<S>,
    pub(super) meter: Meter,
}

/// Carries messages both ways until the tunnel ends, then closes both sockets.
///
/// Holds one message per direction beyond the sockets' own buffers: the next is read when the last
/// has been written. `early` goes to the client first. `held` is dropped when the tunnel has ended,
/// before the goodbyes, which may take seconds. Returns the cause and, for the log only, the meters
/// of authenticator and client.
#[allow(
    clippy::manual_async_fn,
    reason = "an async function has what it is given twice; this is what a tunnel costs"
)]
pub(super) fn run<S: Bytestream, T: Bytestream>(
    mut authenticator: End<S>,
    mut client: End<T>,
    early: Vec<Bytes>,
    held: impl Sized + Send,
    until: Instant,
    stop: Stop,
) -> impl Future<Output = (Cause, [Meter; 2])> + Send {
    async move {
        let (side, cause) = race(&mut authenticator, &mut client, early, until, stop).await;
        drop(held);
        let meters = [authenticator.meter, client.meter];
        // In an allocation of their own: a tunnel has goodbyes once.
        let goodbyes: Pin<Box<dyn Future<Output = ()> + Send>> = match side {
            Side::Authenticator => Box::pin(close_both(authenticator.socket, client.socket, cause)),
            Side::Client => Box::pin(close_both(client.socket, authenticator.socket, cause)),
        };
        goodbyes.await;
        (cause, meters)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Authenticator,
    Client,
}

/// Why one direction stopped.
enum Halt {
    /// Its source ended, and everything read before has been passed on.
    Source(Cause),
    /// Its destination takes nothing any more.
    Sink,
}

/// Runs both directions until a *source* ends.
///
/// A destination that fails only stops its own direction: what its owner had sent before it left
/// (a reply, a Shutdown, and then a reset connection) is still read and passed on, and the end of
/// that stream then names the cause.
async fn race<S: Bytestream, T: Bytestream>(
    authenticator: &mut End<S>,
    client: &mut End<T>,
    early: Vec<Bytes>,
    until: Instant,
    mut stop: Stop,
) -> (Side, Cause) {
    let (mut upward, mut downward) = (Some(Pump::new(early)), Some(Pump::new(Vec::new())));
    let mut turns = [Side::Authenticator, Side::Client];
    let both = poll_fn(|context| {
        // One that always has more to read would use up what a task may do at a time.
        turns.reverse();
        for side in turns {
            let halt = match (side, &mut upward, &mut downward) {
                (Side::Authenticator, Some(up), _) => {
                    up.poll(context, authenticator, &mut client.socket)
                }
                (Side::Client, _, Some(down)) => {
                    down.poll(context, client, &mut authenticator.socket)
                }
                _ => Poll::Pending,
            };
            match (halt, side) {
                (Poll::Pending, _) => {}
                (Poll::Ready(Halt::Source(cause)), side) => return Poll::Ready((side, cause)),
                (Poll::Ready(Halt::Sink), Side::Authenticator) => upward = None,
                (Poll::Ready(Halt::Sink), Side::Client) => downward = None,
            }
        }
        match (&upward, &downward) {
            (None, None) => Poll::Ready((Side::Authenticator, Cause::Dropped)),
            _ => Poll::Pending,
        }
    });
    tokio::select! {
        end = both => end,
        () = sleep_until(until) => (Side::Authenticator, Cause::Expired),
        () = stop.requested() => (Side::Authenticator, Cause::Stopping),
    }
}

/// One direction.
struct Pump {
    /// What goes ahead of all that is still to be read.
    early: vec::IntoIter<Bytes>,
    /// What was read and is not the destination's yet.
    message: Option<Message>,
    /// The destination may still have something to send.
    sends: bool,
}

impl Pump {
    fn new(early: Vec<Bytes>) -> Self {
        Self { early: early.into_iter(), message: None, sends: false }
    }

    fn poll<S: Bytestream, T: Bytestream>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut End<S>,
        to: &mut WebSocket<T>,
    ) -> Poll<Halt> {
        loop {
            if self.sends {
                if ready!(to.poll_send(context, &mut self.message)).is_err() {
                    return Poll::Ready(Halt::Sink);
                }
                self.sends = false;
            }
            let next = match self.early.next() {
                Some(message) => Some(message),
                None => match sift(ready!(from.socket.poll_next(context)), &mut from.meter) {
                    Ok(next) => next,
                    Err(cause) => return Poll::Ready(Halt::Source(cause)),
                },
            };
            self.sends = next.is_some();
            self.message = next.map(Message::Binary);
        }
    }
}

async fn close_both<S: Bytestream, T: Bytestream>(
    sender: WebSocket<S>,
    peer: WebSocket<T>,
    cause: Cause,
) {
    tokio::join!(farewell(sender, cause.to_sender()), farewell(peer, Some(cause.to_peer())));
}

/// Closes the sockets of an authenticator that has ended and of the client that was on its way to it, which
/// hears what the authenticator had said.
pub(super) async fn hear_out<S: Bytestream, T: Bytestream>(
    authenticator: WebSocket<S>,
    mut client: WebSocket<T>,
    early: Vec<Bytes>,
    cause: Cause,
) {
    let words = async {
        for message in early {
            if client.send(Message::Binary(message)).await.is_err() {
                return;
            }
        }
    };
    // One that does not read is told no more than how it ended.
    let _ = timeout(FAREWELL, words).await;
    close_both(authenticator, client, cause).await;
}

/// Closes a socket that has no partner yet.
pub(super) async fn close_one<S: Bytestream>(socket: WebSocket<S>, cause: Cause) {
    farewell(socket, cause.to_sender()).await;
}

/// Closes the socket of a client whose authenticator has just gone.
pub(super) async fn turn_away<S: Bytestream>(socket: WebSocket<S>) {
    farewell(socket, Some(Cause::Dropped.to_peer())).await;
}

async fn farewell<S: Bytestream>(
    mut socket: WebSocket<S>,
    close: Option<(CloseCode, &'static str)>,
) {
    let goodbye = async {
        match close {
            Some((code, reason)) => {
                let frame = CloseFrame { code, reason: reason.into() };
                // A peer that is gone cannot be told; the rest is for those who are not.
                let _ = socket.send(Message::Close(Some(frame))).await;
            }
            // The answer to the peer's own close frame is queued.
            None => drop(socket.flush().await),
        }
        drain(socket.into_inner()).await;
    };
    let _ = timeout(FAREWELL, goodbye).await;
}

/// Ends our half and reads what the other half still sends: a socket that is closed over unread
/// bytes resets the connection, and the reset overtakes the goodbye.
pub(super) async fn drain<S: Bytestream>(mut socket: S) {
    if socket.shutdown().await.is_ok() {
        let mut rest = socket.take(FAREWELL_LEN);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

#[cfg(test)]
mod tests;
