//! How a side of a tunnel ends in the mixed load, and what that has to look like from the other side.

use tokio::io::AsyncWriteExt as _;

use super::super::wire::{BINARY, append};
use super::fault::Fault;
use super::ledger::{JOINED_DROPPED, JOINED_GOODBYE, WAITING_DROPPED, WAITING_GOODBYE};
use super::link::Link;
use super::script::{PING, Random, Script};

const TEXT: u8 = 0x81;
/// A frame that is cut has so many bytes at most.
const LONGEST: usize = 16 << 10;
/// Pings that go out in one write of a flood.
const PINGS: usize = 256;

/// Frames that no client may send.
const BROKEN: [&[u8]; 5] = [
    // Not masked; an opcode that is none; a reserved bit; a ping in fragments; a rest of nothing.
    &[0x82, 1, 0],
    &[0x83, 0x81, 0, 0, 0, 0, b'x'],
    &[0xc2, 0x81, 0, 0, 0, 0, b'x'],
    &[0x09, 0x81, 0, 0, 0, 0, b'x'],
    &[0x80, 0x81, 0, 0, 0, 0, b'x'],
];
/// The head of a message of a terabyte.
const ENDLESS: [u8; 14] = [BINARY, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// How a side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Goodbye,
    /// Its connection ends after its last frame, or within one.
    Finished {
        in_frame: bool,
    },
    /// Its connection is reset after its last frame, or within one.
    Reset {
        in_frame: bool,
    },
    /// It sends text.
    Text,
    /// It begins a message that is longer than any relay takes.
    Endless,
    /// It breaks the WebSocket protocol.
    Broken,
    /// It sends pings without end.
    Pings,
}

pub(super) const ENDS: [End; 9] = [
    End::Goodbye,
    End::Finished { in_frame: false },
    End::Finished { in_frame: true },
    End::Reset { in_frame: false },
    End::Reset { in_frame: true },
    End::Text,
    End::Endless,
    End::Broken,
    End::Pings,
];

/// Under what an end is counted.
pub(super) struct Counted {
    pub(super) waiting: &'static str,
    pub(super) joined: &'static str,
}

macro_rules! counted {
    ($reason:literal) => {
        Counted {
            waiting: concat!("tunnels_ended_total{state=\"waiting\",reason=\"", $reason, "\"}"),
            joined: concat!("tunnels_ended_total{state=\"joined\",reason=\"", $reason, "\"}"),
        }
    };
}

impl End {
    /// Under what it is counted before a laptop came, and in a joined tunnel.
    pub(super) fn counted(self) -> Counted {
        match self {
            Self::Goodbye => Counted { waiting: WAITING_GOODBYE, joined: JOINED_GOODBYE },
            Self::Finished { .. } | Self::Reset { .. } => {
                Counted { waiting: WAITING_DROPPED, joined: JOINED_DROPPED }
            }
            Self::Text => counted!("text"),
            Self::Endless => counted!("too_long"),
            Self::Broken => counted!("protocol"),
            Self::Pings => counted!("quota"),
        }
    }

    /// Makes it so, and reads what the relay says to it.
    pub(super) async fn come(self, mut link: Link, random: &mut Random) -> Result<(), Fault> {
        let mut wire = Vec::new();
        if let Self::Finished { in_frame: true } | Self::Reset { in_frame: true } = self {
            let (whole, _) = Script::new(random, LONGEST).wire(0);
            // Anywhere, so that the message is not whole.
            wire.extend_from_slice(whole.get(..random.below(whole.len())).unwrap_or_default());
        }
        let code = match self {
            Self::Goodbye => return link.goodbye().await,
            Self::Finished { .. } => {
                link.send(&wire).await?;
                link.finish().await?;
                link.until_gone().await;
                return Ok(());
            }
            Self::Reset { .. } => {
                link.send(&wire).await?;
                return link.reset();
            }
            Self::Text => {
                append(&mut wire, TEXT, b"text");
                1003
            }
            Self::Endless => {
                wire.extend(ENDLESS);
                1009
            }
            Self::Broken => {
                wire.extend(BROKEN.get(random.below(BROKEN.len())).copied().unwrap_or_default());
                1002
            }
            Self::Pings => return flood(&mut link).await,
        };
        link.send(&wire).await?;
        link.closes(code).await
    }

    /// Holds what the other side heard against what had been said: `sent` messages.
    pub(super) fn judge(self, sent: u32, came: u32, code: u16) -> Result<(), Fault> {
        let due = match self {
            Self::Goodbye => 1000,
            Self::Finished { .. } | Self::Reset { .. } => 1001,
            Self::Text | Self::Endless | Self::Broken | Self::Pings => 1008,
        };
        // A reset may overtake what was sent before it.
        let whole = came == sent || (came < sent && matches!(self, Self::Reset { .. }));
        match (code == due, whole) {
            (true, true) => Ok(()),
            (false, _) => Err(Fault::Code { due, came: code }),
            (true, false) => Err(Fault::Short { due: sent, came }),
        }
    }
}

/// Pings until the relay has had enough.
async fn flood(link: &mut Link) -> Result<(), Fault> {
    let mut pings = Vec::new();
    for _ in 0..PINGS {
        append(&mut pings, PING.0, PING.1);
    }
    let (mut reader, mut writer) = link.halves();
    let sending = async {
        while writer.write_all(&pings).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let code = tokio::select! {
        code = reader.close() => code?,
        () = sending => return Ok(()),
    };
    if code == 1008 { Ok(()) } else { Err(Fault::Code { due: 1008, came: code }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_all_or_what_a_reset_left() {
        let reset = End::Reset { in_frame: false };
        assert!(reset.judge(3, 3, 1001).is_ok() && reset.judge(3, 0, 1001).is_ok());
        assert!(reset.judge(3, 4, 1001).is_err() && reset.judge(3, 3, 1000).is_err());
        for (end, code) in [(End::Goodbye, 1000), (ENDS[1], 1001), (End::Pings, 1008)] {
            assert!(end.judge(3, 3, code).is_ok());
            assert!(matches!(end.judge(3, 2, code), Err(Fault::Short { .. })));
            assert!(end.judge(3, 4, code).is_err() && end.judge(3, 3, code + 2).is_err());
        }
    }
}
