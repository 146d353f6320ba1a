//! After the upgrade: whole binary messages from one socket to the other, both ways, until
//! something ends it.
//!
//! Depends on the WebSocket crate. Generic over the byte stream, so that tests can count what it
//! holds.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::cause::Cause;
use super::stop::Stop;

/// How long a closed socket may take to read its goodbye.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much a closed socket may still send meanwhile.
const FAREWELL_LEN: u64 = 8 << 20;
/// What an idle socket costs, and how much one read takes: a message of 1 KiB with its head. Most have
/// some hundred bytes; longer ones take more reads.
const READ_BUFFER_LEN: usize = 1024 + 128;

/// Anything that carries bytes both ways.
pub(super) trait Bytestream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Bytestream for S {}

/// Takes over a socket after its upgrade; `rest` is what came with the head.
pub(super) async fn accept<S: Bytestream>(
    socket: S,
    rest: Vec<u8>,
    max_message_len: usize,
) -> WebSocketStream<S> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(0)
        .max_message_size(Some(max_message_len))
        .max_frame_size(Some(max_message_len));
    WebSocketStream::from_partially_read(socket, rest, Role::Server, Some(config)).await
}

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
    pub(super) socket: WebSocketStream<S>,
    pub(super) meter: Meter,
}

/// Carries messages both ways until the tunnel ends, then closes both sockets.
///
/// Holds one message per direction beyond the sockets' own buffers: the next is read when the last
/// has been written. `early` goes to the client first. `held` is dropped when the tunnel has ended,
/// before the goodbyes, which may take seconds. Returns the cause and, for the log only, the meters
/// of authenticator and client.
pub(super) fn run<S: Bytestream, T: Bytestream>(
    authenticator: End<S>,
    client: End<T>,
    early: Vec<Bytes>,
    held: impl Sized + Send,
    until: Instant,
    stop: Stop,
) -> impl Future<Output = (Cause, [Meter; 2])> + Send {
    // Before the task of the tunnel, which then holds the halves and no socket that was moved on.
    let mut meters = [authenticator.meter, client.meter];
    let (mut to_authenticator, mut from_authenticator) = authenticator.socket.split();
    let (mut to_client, mut from_client) = client.socket.split();
    async move {
        let (side, cause) = {
            let [up, down] = &mut meters;
            let upward = pin!(pump(early, &mut from_authenticator, &mut to_client, up));
            let downward = pin!(pump(Vec::new(), &mut from_client, &mut to_authenticator, down));
            race(upward, downward, until, stop).await
        };
        drop(held);
        let authenticator = (from_authenticator, to_authenticator);
        part(authenticator, (from_client, to_client), side, cause).await;
        (cause, meters)
    }
}

type Halves<S> = (SplitStream<WebSocketStream<S>>, SplitSink<WebSocketStream<S>, Message>);

/// Goodbyes on both sides, in an allocation of their own: a tunnel has them once.
fn part<S: Bytestream, T: Bytestream>(
    authenticator: Halves<S>,
    client: Halves<T>,
    side: Side,
    cause: Cause,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let authenticator = authenticator.0.reunite(authenticator.1);
    let client = client.0.reunite(client.1);
    match (authenticator, client, side) {
        (Ok(authenticator), Ok(client), Side::Authenticator) => {
            Box::pin(close_both(authenticator, client, cause))
        }
        (Ok(authenticator), Ok(client), Side::Client) => {
            Box::pin(close_both(client, authenticator, cause))
        }
        // Halves of one socket always reunite.
        _ => Box::pin(std::future::ready(())),
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
async fn race(
    mut upward: Pin<&mut impl Future<Output = Halt>>,
    mut downward: Pin<&mut impl Future<Output = Halt>>,
    until: Instant,
    mut stop: Stop,
) -> (Side, Cause) {
    let (mut up_runs, mut down_runs) = (true, true);
    while up_runs || down_runs {
        tokio::select! {
            halt = &mut upward, if up_runs => match halt {
                Halt::Source(cause) => return (Side::Authenticator, cause),
                Halt::Sink => up_runs = false,
            },
            halt = &mut downward, if down_runs => match halt {
                Halt::Source(cause) => return (Side::Client, cause),
                Halt::Sink => down_runs = false,
            },
            () = sleep_until(until) => return (Side::Authenticator, Cause::Expired),
            () = stop.requested() => return (Side::Authenticator, Cause::Stopping),
        }
    }
    (Side::Authenticator, Cause::Dropped)
}

async fn pump<S: Bytestream, T: Bytestream>(
    early: Vec<Bytes>,
    from: &mut SplitStream<WebSocketStream<S>>,
    to: &mut SplitSink<WebSocketStream<T>, Message>,
    meter: &mut Meter,
) -> Halt {
    for message in early {
        if to.send(Message::Binary(message)).await.is_err() {
            return Halt::Sink;
        }
    }
    loop {
        match sift(from.next().await, meter) {
            Ok(Some(message)) => {
                if to.send(Message::Binary(message)).await.is_err() {
                    return Halt::Sink;
                }
            }
            Ok(None) => {}
            Err(cause) => return Halt::Source(cause),
        }
    }
}

async fn close_both<S: Bytestream, T: Bytestream>(
    sender: WebSocketStream<S>,
    peer: WebSocketStream<T>,
    cause: Cause,
) {
    tokio::join!(farewell(sender, cause.to_sender()), farewell(peer, Some(cause.to_peer())));
}

/// Closes the sockets of an authenticator that has ended and of the client that was on its way to it, which
/// hears what the authenticator had said.
pub(super) async fn hear_out<S: Bytestream, T: Bytestream>(
    authenticator: WebSocketStream<S>,
    mut client: WebSocketStream<T>,
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
pub(super) async fn close_one<S: Bytestream>(socket: WebSocketStream<S>, cause: Cause) {
    farewell(socket, cause.to_sender()).await;
}

/// Closes the socket of a client whose authenticator has just gone.
pub(super) async fn turn_away<S: Bytestream>(socket: WebSocketStream<S>) {
    farewell(socket, Some(Cause::Dropped.to_peer())).await;
}

async fn farewell<S: Bytestream>(
    mut socket: WebSocketStream<S>,
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
