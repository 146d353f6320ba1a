//! One conversation: a message that is being put together, or a request that waits for its answer.
//!
//! Depends on siblings only.

use std::time::Instant;

use super::interface::{HidError, KEEPALIVE_EVERY, PACKET_TIMEOUT, RequestId};
use super::packet::{ChannelId, HidCommand, MAX_PAYLOAD};

/// One channel that was given to a program.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    /// The turn in which it last spoke.
    pub(super) heard: u64,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Idle,
    Assembling(Assembly),
    Waiting(Waiting),
}

/// A message of which something is still to come.
pub(super) struct Assembly {
    pub(super) command: HidCommand,
    length: usize,
    bytes: Vec<u8>,
    sequence: u8,
    deadline: Instant,
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Assembly");
        out.field("command", &self.command).field("length", &self.length).finish_non_exhaustive()
    }
}

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) for_user: bool,
    pub(super) keepalive_at: Instant,
}

impl State {
    /// When the channel wants to be looked at.
    pub(super) fn timeout(&self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Assembling(assembly) => Some(assembly.deadline),
            Self::Waiting(waiting) => Some(waiting.keepalive_at),
        }
    }

    pub(super) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Waiting(waiting) => Some(waiting.id),
            _ => None,
        }
    }
}

impl Waiting {
    pub(super) fn new(id: RequestId, now: Instant) -> Self {
        Self { id, for_user: false, keepalive_at: now + KEEPALIVE_EVERY }
    }
}

impl Assembly {
    /// Begins with a first packet, whose length is bounded before anything is kept.
    pub(super) fn begin(
        command: HidCommand,
        length: u16,
        data: &[u8],
        now: Instant,
    ) -> Result<Self, HidError> {
        let length = usize::from(length);
        if length > MAX_PAYLOAD {
            return Err(HidError::InvalidLength);
        }
        let bytes = data.get(..length).unwrap_or(data).to_vec();
        Ok(Self { command, length, bytes, sequence: 0, deadline: now + PACKET_TIMEOUT })
    }

    /// Takes the next packet.
    pub(super) fn push(&mut self, sequence: u8, data: &[u8], now: Instant) -> Result<(), HidError> {
        if sequence != self.sequence {
            return Err(HidError::InvalidSequence);
        }
        self.sequence += 1;
        let missing = self.length.saturating_sub(self.bytes.len());
        self.bytes.extend(data.iter().take(missing));
        self.deadline = now + PACKET_TIMEOUT;
        Ok(())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.bytes.len() >= self.length
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
