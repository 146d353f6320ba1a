//! What goes into the machine and what comes out of it.
//!
//! Depends on the sibling `packet` only.

use std::time::Duration;

use super::packet::{ChannelId, Report};

/// Channels that are kept; the one that was quiet for longest makes room for a new one.
pub const MAX_CHANNELS: usize = 64;
/// How long the rest of a message may take, after each packet.
pub const PACKET_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a program hears that its answer is still to come.
pub const KEEPALIVE_EVERY: Duration = Duration::from_millis(100);

/// Names a request until it is answered or withdrawn; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A program sent a report.
    Report(&'a Report),
    /// No program has the key open any more.
    Closed,
    /// It is the time that [`super::Machine::poll_timeout`] told.
    Timeout,
    /// The request waits for its user from now on; keepalives then say so.
    NeedsUser(RequestId),
    /// The answer: a status byte and CBOR.
    Response(RequestId, &'a [u8]),
    /// The request cannot be taken now; its program is told to try again.
    Busy(RequestId),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send this to whoever listens.
    Report(Box<Report>),
    /// Answer this, with [`Input::Response`] or [`Input::Busy`].
    Request(Request),
    /// Nobody waits for the answer any more: stop working on it.
    Withdrawn(RequestId),
    /// Show which key this is.
    Wink,
}

/// A message of CTAP2 from a program.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name towards the machine.
    pub id: RequestId,
    /// On which channel it came.
    pub channel: ChannelId,
    /// Command byte and CBOR; at least one byte, at most [`super::MAX_PAYLOAD`].
    pub message: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Request");
        out.field("id", &self.id).field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// A request of that name is not (or no longer) there; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such request waits for an answer")]
pub struct NoSuchRequest;

/// What is wrong with what a program sent, as it is told. CTAP 2.2, section 11.2.9.1.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum HidError {
    InvalidCommand = 0x01,
    InvalidLength = 0x03,
    InvalidSequence = 0x04,
    Timeout = 0x05,
    Busy = 0x06,
    InvalidChannel = 0x0b,
}
