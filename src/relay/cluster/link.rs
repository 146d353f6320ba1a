//! A stream of bytes both ways between two nodes, over messages that may get lost.
//!
//! Pure: no IO, no clock. Each message says where in its stream it stands, so that a lost one is noticed; the receiver's
//! acknowledgements let the sender go on, so that neither holds more than a window. Beats tell that the other node lives.

use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Bytes;

/// How much of a stream one message carries at most; NATS takes 1 MiB unless told otherwise.
pub(super) const CHUNK: usize = 32 << 10;
/// How much may be under way in each direction.
pub(super) const WINDOW: u64 = 128 << 10;
/// How long a node may be silent.
const BEAT: Duration = Duration::from_secs(1);
/// How long the other one may be.
pub(super) const DEAD: Duration = Duration::from_secs(5);
const HEAD: usize = 9;

const DATA: u8 = 0;
const ACK: u8 = 1;
const END: u8 = 2;
const BEATS: u8 = 3;
const ABORT: u8 = 4;

/// What a message means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The stream goes on.
    Data(Bytes),
    /// It has ended.
    End,
    /// Nothing for the stream.
    Nothing,
}

/// The other node gave up, lost a message, or broke the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// This end of a link.
#[derive(Debug)]
pub(super) struct Link {
    sent: u64,
    acknowledged: u64,
    received: u64,
    consumed: u64,
    told: u64,
    ended: bool,
    end_heard: bool,
    said: Instant,
    heard: Instant,
}

impl Link {
    pub(super) fn new(now: Instant) -> Self {
        let (sent, acknowledged, received, consumed, told) = (0, 0, 0, 0, 0);
        let (ended, end_heard) = (false, false);
        Self {
            sent,
            acknowledged,
            received,
            consumed,
            told,
            ended,
            end_heard,
            said: now,
            heard: now,
        }
    }

    /// How much may be sent now, in one message.
    pub(super) fn room(&self) -> usize {
        let left = WINDOW.saturating_sub(self.sent - self.acknowledged);
        if self.ended { 0 } else { CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)) }
    }

    /// The message for bytes that [`Self::room`] allows.
    pub(super) fn data(&mut self, bytes: &[u8], now: Instant) -> Bytes {
        let message = self.message(DATA, self.sent, bytes, now);
        self.sent += bytes.len() as u64;
        message
    }

    /// Nothing more will be sent.
    pub(super) fn end(&mut self, now: Instant) -> Bytes {
        self.ended = true;
        self.message(END, self.sent, &[], now)
    }

    /// This end gives up.
    pub(super) fn abort(&mut self, now: Instant) -> Bytes {
        self.message(ABORT, self.sent, &[], now)
    }

    /// Whether nothing more is sent, and whether nothing more is to come.
    pub(super) fn ends(&self) -> (bool, bool) {
        (self.ended, self.end_heard)
    }

    /// The stream's reader has taken so many bytes. The other side is told when half a window is free.
    pub(super) fn consume(&mut self, count: usize, now: Instant) -> Option<Bytes> {
        self.consumed += count as u64;
        if self.consumed - self.told < WINDOW / 2 {
            return None;
        }
        self.told = self.consumed;
        Some(self.message(ACK, self.consumed, &[], now))
    }

    /// When there is a beat to send, or the other side is dead.
    pub(super) fn wake(&self) -> Instant {
        (self.said + BEAT).min(self.heard + DEAD)
    }

    /// A beat, if it is time for one.
    pub(super) fn beat(&mut self, now: Instant) -> Result<Option<Bytes>, Broken> {
        if now >= self.heard + DEAD {
            return Err(Broken);
        }
        let due = now >= self.said + BEAT;
        Ok(due.then(|| self.message(BEATS, self.sent, &[], now)))
    }

    pub(super) fn handle(&mut self, message: &Bytes, now: Instant) -> Result<Event, Broken> {
        let (kind, rest) = message.split_first().ok_or(Broken)?;
        let (place, data) = rest.split_first_chunk().ok_or(Broken)?;
        let place = u64::from_be_bytes(*place);
        self.heard = now;
        match (*kind, data.len()) {
            (DATA, 1..=CHUNK) if place == self.received && !self.end_heard => {
                self.received += data.len() as u64;
                if self.received - self.consumed > WINDOW {
                    return Err(Broken);
                }
                Ok(Event::Data(message.slice(HEAD..)))
            }
            (ACK, 0) if (self.acknowledged..=self.sent).contains(&place) => {
                self.acknowledged = place;
                Ok(Event::Nothing)
            }
            (END, 0) if place == self.received && !self.end_heard => {
                self.end_heard = true;
                Ok(Event::End)
            }
            (BEATS, 0) if place == self.received => Ok(Event::Nothing),
            _ => Err(Broken),
        }
    }

    fn message(&mut self, kind: u8, place: u64, data: &[u8], now: Instant) -> Bytes {
        self.said = now;
        let place = place.to_be_bytes();
        [&[kind], &place[..], data].concat().into()
    }
}

#[cfg(test)]
mod tests;
