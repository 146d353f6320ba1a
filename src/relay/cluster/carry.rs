//! One end of a link: a stream of bytes on this side, messages through NATS on the other.
//!
//! Depends on `link` for the rules and on `frames` for a goodbye of our own.

use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Bytes;

use super::frames::{self, Frames};
use super::link::{Broken, CHUNK, DEAD, Event, Link};
use crate::relay::pipe::{self, Bytestream};
use crate::relay::stop::Stop;

/// How long a client may take to hang up once its stream has ended.
const LINGER: Duration = Duration::from_secs(3);

/// The way between two nodes.
pub(super) struct Wire {
    pub(super) client: Client,
    pub(super) from: Subscriber,
    pub(super) to: String,
}

impl Wire {
    async fn say(&self, message: Bytes) -> Result<(), Broken> {
        // Waits only while so much waits for a lost NATS that this link is lost with it.
        let saying = self.client.publish(self.to.clone(), message);
        timeout(DEAD, saying).await.map_err(|_| Broken)?.map_err(|_| Broken)
    }
}

/// Why a link is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The tunnel is over.
    Over,
    /// The other node is gone, or NATS, or a message was lost.
    Lost,
    /// This relay stops.
    Stopping,
}

/// Whose stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// That of the node that holds the tunnel: the stream leads to it.
    Host,
    /// That of the node where the client is: the stream is the client's.
    Guest,
}

/// Carries bytes both ways until the link ends; `early` is what the stream has said already.
pub(super) async fn run<S: Bytestream>(
    stream: S,
    early: Vec<u8>,
    mut wire: Wire,
    side: Side,
    until: Instant,
    stop: Stop,
) -> Ended {
    let (mut source, mut sink) = tokio::io::split(stream);
    let mut carrier = Carrier {
        link: Link::new(Instant::now().into_std()),
        early: early.into(),
        waiting: Bytes::new(),
        queue: Vec::new().into(),
        frames: Frames::default(),
        side,
        deaf: false,
    };
    let ended = carrier.run(&mut source, &mut sink, &mut wire, until, stop).await;
    if ended != Ended::Over {
        let abort = carrier.link.abort(Instant::now().into_std());
        // If it does not arrive, silence says the same.
        let _ = wire.say(abort).await;
    }
    // Only a stream of frames that is whole takes another one.
    let goodbye = match ended {
        Ended::Lost => Some("the node of the tunnel is gone"),
        Ended::Stopping => Some("the relay stops"),
        Ended::Over => None,
    };
    if let Some(reason) = goodbye.filter(|_| side == Side::Guest && carrier.may_say_goodbye()) {
        let _ = timeout(LINGER, sink.write_all(&frames::close(1001, reason))).await;
    }
    if side == Side::Guest {
        let _ = timeout(LINGER, pipe::drain(source.unsplit(sink))).await;
    }
    ended
}

struct Carrier {
    link: Link,
    early: Bytes,
    /// What is being written to the stream, and what comes after it.
    waiting: Bytes,
    queue: std::collections::VecDeque<Bytes>,
    frames: Frames,
    side: Side,
    /// The stream takes nothing any more; what it says is still carried.
    deaf: bool,
}

impl Carrier {
    async fn run(
        &mut self,
        source: &mut (impl tokio::io::AsyncRead + Unpin),
        sink: &mut (impl tokio::io::AsyncWrite + Unpin),
        wire: &mut Wire,
        until: Instant,
        mut stop: Stop,
    ) -> Ended {
        let mut buffer = vec![0; CHUNK];
        let mut linger: Option<Instant> = None;
        loop {
            if self.next_to_write() && self.link.ends().1 && !self.deaf {
                self.deaf = true;
                let _ = timeout(LINGER, sink.shutdown()).await;
            }
            let (said, heard) = self.link.ends();
            if said && heard && self.waiting.is_empty() {
                return Ended::Over;
            }
            // A client that does not hang up holds nothing up for long.
            let last_word =
                if self.side == Side::Host { said } else { heard && self.waiting.is_empty() };
            if last_word && linger.is_none() {
                linger = Some(Instant::now() + LINGER);
            }
            let room = self.link.room().min(buffer.len());
            let wake = Instant::from_std(self.link.wake());
            let step = tokio::select! {
                message = wire.from.next() => match message {
                    Some(message) => self.hear(&message.payload),
                    None => Err(Broken),
                },
                read = read(source, &mut self.early, buffer.get_mut(..room).unwrap_or_default()),
                    if room > 0 => self.say(read.and_then(|count| buffer.get(..count)), wire).await,
                written = sink.write(&self.waiting), if !self.waiting.is_empty() => {
                    match written {
                        Ok(count) if count > 0 => self.wrote(count, sink, wire).await,
                        _ => self.cannot_write(wire).await,
                    }
                }
                () = sleep_until(wake) => self.beat(wire).await,
                () = sleep_until(linger.unwrap_or(until).min(until)) => match linger {
                    Some(_) => return Ended::Over,
                    None => Err(Broken),
                },
                () = stop.requested(), if self.side == Side::Guest => return Ended::Stopping,
            };
            if step.is_err() {
                return Ended::Lost;
            }
        }
    }

    fn may_say_goodbye(&self) -> bool {
        !self.deaf && self.frames.takes_one()
    }

    /// Whether everything that came is written.
    fn next_to_write(&mut self) -> bool {
        if self.waiting.is_empty() {
            self.waiting = self.queue.pop_front().unwrap_or_default();
        }
        self.waiting.is_empty()
    }

    fn hear(&mut self, message: &Bytes) -> Result<(), Broken> {
        if let Event::Data(data) = self.link.handle(message, Instant::now().into_std())? {
            self.queue.push_back(data);
        }
        Ok(())
    }

    async fn say(&mut self, bytes: Option<&[u8]>, wire: &Wire) -> Result<(), Broken> {
        let now = Instant::now().into_std();
        let message = match bytes {
            Some(bytes) if !bytes.is_empty() => self.link.data(bytes, now),
            _ => self.link.end(now),
        };
        wire.say(message).await
    }

    async fn wrote(
        &mut self,
        count: usize,
        sink: &mut (impl tokio::io::AsyncWrite + Unpin),
        wire: &Wire,
    ) -> Result<(), Broken> {
        let written = self.waiting.split_to(count.min(self.waiting.len()));
        self.frames.pass(&written);
        if self.waiting.is_empty() && self.queue.is_empty() {
            // Under TLS a record may wait for more. A stream that fails here fails at the next write too.
            let _ = timeout(DEAD, sink.flush()).await;
        }
        self.consumed(count, wire).await
    }

    /// What comes is thrown away, and what the other side says is still read.
    async fn cannot_write(&mut self, wire: &Wire) -> Result<(), Broken> {
        self.deaf = true;
        let count = self.waiting.len();
        self.waiting = Bytes::new();
        self.consumed(count, wire).await
    }

    async fn consumed(&mut self, count: usize, wire: &Wire) -> Result<(), Broken> {
        match self.link.consume(count, Instant::now().into_std()) {
            Some(told) => wire.say(told).await,
            None => Ok(()),
        }
    }

    async fn beat(&mut self, wire: &Wire) -> Result<(), Broken> {
        match self.link.beat(Instant::now().into_std())? {
            Some(beat) => wire.say(beat).await,
            None => Ok(()),
        }
    }
}

/// What the stream says next; none when it is gone, nothing when it has ended.
async fn read(
    source: &mut (impl tokio::io::AsyncRead + Unpin),
    early: &mut Bytes,
    buffer: &mut [u8],
) -> Option<usize> {
    if early.is_empty() {
        return source.read(buffer).await.ok();
    }
    let count = early.len().min(buffer.len());
    buffer.get_mut(..count)?.copy_from_slice(&early.split_to(count));
    Some(count)
}
