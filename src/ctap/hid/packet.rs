//! CTAPHID reports: how a message is cut into 64 bytes each, and what one of them says.
//!
//! Depends on nothing of this crate. Specification: CTAP 2.2, section 11.2.4.

use std::fmt;

/// Bytes of a report, either direction.
pub const REPORT_LEN: usize = 64;
/// Bytes of the longest message: one first packet and 128 that continue it.
pub const MAX_PAYLOAD: usize = FIRST + 128 * NEXT;

const FIRST: usize = REPORT_LEN - 7;
const NEXT: usize = REPORT_LEN - 5;
const IS_FIRST: u8 = 0x80;

/// One report, without the report number that hidraw puts before it.
pub type Report = [u8; REPORT_LEN];

/// Names a conversation of one program with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// Where a program that has no channel yet asks for one.
    pub const BROADCAST: Self = Self(u32::MAX);
    /// Never given to anybody.
    pub const RESERVED: Self = Self(0);
}

/// What a message is for, without the bit that marks a first packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HidCommand(pub u8);

impl HidCommand {
    /// Sends the same back.
    pub const PING: Self = Self(0x01);
    /// A message of U2F, the protocol before CTAP2.
    pub const MSG: Self = Self(0x03);
    /// Keeps the key for one channel.
    pub const LOCK: Self = Self(0x04);
    /// Gives a channel, or brings one back into step.
    pub const INIT: Self = Self(0x06);
    /// Asks the key to show itself.
    pub const WINK: Self = Self(0x08);
    /// A message of CTAP2.
    pub const CBOR: Self = Self(0x10);
    /// Withdraws the request of this channel.
    pub const CANCEL: Self = Self(0x11);
    /// Says that an answer is still to come.
    pub const KEEPALIVE: Self = Self(0x3b);
    /// Says that something was wrong.
    pub const ERROR: Self = Self(0x3f);
}

impl fmt::Debug for HidCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HidCommand({:#04x})", self.0)
    }
}

/// What one report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The first of a message.
    First {
        /// Of which conversation.
        channel: ChannelId,
        /// What for.
        command: HidCommand,
        /// Bytes of the whole message, as announced: up to 65,535.
        length: u16,
        /// The beginning of the message, padded.
        data: &'a [u8],
    },
    /// A later one.
    Next {
        /// Of which conversation.
        channel: ChannelId,
        /// 0 for the first that continues a message, at most 127.
        sequence: u8,
        /// More of the message, padded.
        data: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// Reads a report; every one can be read.
    #[must_use]
    pub fn read(report: &'a Report) -> Self {
        let [c0, c1, c2, c3, kind, rest @ ..] = report;
        let channel = ChannelId(u32::from_be_bytes([*c0, *c1, *c2, *c3]));
        if kind & IS_FIRST == 0 {
            return Self::Next { channel, sequence: *kind, data: rest };
        }
        let [high, low, data @ ..] = rest;
        let length = u16::from_be_bytes([*high, *low]);
        Self::First { channel, command: HidCommand(kind & !IS_FIRST), length, data }
    }
}

/// Cuts a message into reports; of one that is longer than [`MAX_PAYLOAD`] only that much.
pub fn fragments(
    channel: ChannelId,
    command: HidCommand,
    payload: &[u8],
) -> impl Iterator<Item = Report> + use<'_> {
    let payload = payload.get(..MAX_PAYLOAD).unwrap_or(payload);
    let (first, rest) = payload.split_at(payload.len().min(FIRST));
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes();
    let [high, low] = length;
    let first = report(channel, &[command.0 | IS_FIRST, high, low], first);
    let next = move |(sequence, data): (u8, &[u8])| report(channel, &[sequence], data);
    std::iter::once(first).chain((0..=0x7f).zip(rest.chunks(NEXT)).map(next))
}

fn report(channel: ChannelId, head: &[u8], data: &[u8]) -> Report {
    let mut report = [0; REPORT_LEN];
    let id = channel.0.to_be_bytes();
    let bytes = id.iter().chain(head).chain(data);
    report.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_specification() {
        assert_eq!((FIRST, NEXT, MAX_PAYLOAD), (57, 59, 7609));
    }

    #[test]
    fn a_message_is_cut_where_the_specification_says() {
        let payload: Vec<u8> = (0..=116).collect();
        let reports: Vec<_> =
            fragments(ChannelId(0x0102_0304), HidCommand::CBOR, &payload).collect();
        assert_eq!(reports.len(), 3);
        assert_eq!(reports[0][..9], [1, 2, 3, 4, 0x90, 0, 117, 0, 1]);
        assert_eq!(reports[1][..6], [1, 2, 3, 4, 0, 57]);
        assert_eq!(reports[2][..7], [1, 2, 3, 4, 1, 116, 0]);
        assert!(reports[2][7..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_longest_message_has_129_packets() {
        let count = |len| fragments(ChannelId(1), HidCommand::PING, &vec![1; len]).count();
        assert_eq!((count(0), count(57), count(58)), (1, 1, 2));
        assert_eq!((count(MAX_PAYLOAD), count(MAX_PAYLOAD + 1)), (129, 129));
    }
}
