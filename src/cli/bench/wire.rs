//! One end of a measured tunnel: frames of our own, so that what reads them costs as little as may be,
//! and so that masked ones are read too: a bare splice passes them on as they are.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::channel::websocket::Raw;

/// Fixed opcode bytes: a final binary frame, a final close frame.
pub(super) const BINARY: u8 = 0x82;
pub(super) const CLOSE: u8 = 0x88;
/// Both ends' masks; a service has to undo any.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const READ_LEN: usize = 8 * 1024;

/// What is wrong with what arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The connection broke.
    #[error("the connection broke")]
    Lost(#[source] std::io::Error),
    /// The service closed it.
    #[error("the relay closed the tunnel with code {0}")]
    Closed(u16),
    /// Something else than a whole binary message.
    #[error("the relay sent a frame that no message was sent as (first byte {0:#04x})")]
    Frame(u8),
    /// Another message than the one that is due.
    #[error("message {0} of a tunnel was lost, came out of turn, or was altered")]
    Content(u32),
    /// Nothing came in time.
    #[error("nothing came within the deadline")]
    Late,
}

/// A socket and what has been read from it.
pub(super) struct End {
    socket: Raw,
    read: Vec<u8>,
    wire: Vec<u8>,
}

impl End {
    pub(super) fn new(mut socket: Raw) -> Self {
        let read = std::mem::take(&mut socket.rest);
        Self { socket, read, wire: Vec::new() }
    }

    /// Sends message number `first` and the `count - 1` after it in one go.
    pub(super) async fn send(&mut self, first: u32, count: u32, size: usize) -> Result<(), Fault> {
        self.wire.clear();
        for number in first..first + count {
            append(&mut self.wire, BINARY, &message(number, size));
        }
        self.socket.write_all(&self.wire).await.map_err(Fault::Lost)?;
        self.socket.flush().await.map_err(Fault::Lost)
    }

    /// Reads one message and holds it against what number `number` has to be.
    pub(super) async fn expect(&mut self, number: u32, size: usize) -> Result<(), Fault> {
        let (opcode, payload) = self.frame().await?;
        match opcode {
            BINARY if payload == message(number, size) => Ok(()),
            BINARY => Err(Fault::Content(number)),
            CLOSE => Err(Fault::Closed(code(&payload))),
            other => Err(Fault::Frame(other)),
        }
    }

    /// Says goodbye, and waits until the other side has gone too.
    pub(super) async fn close(mut self) {
        let mut goodbye = Vec::new();
        append(&mut goodbye, CLOSE, &1000_u16.to_be_bytes());
        if self.socket.write_all(&goodbye).await.is_ok() {
            let _ = self.socket.flush().await;
        }
        let _ = self.socket.shutdown().await;
        while self.frame().await.is_ok() {}
    }

    /// Forgets what was only kept for speed.
    pub(super) fn rest(&mut self) {
        self.read.shrink_to_fit();
        self.wire = Vec::new();
    }

    async fn frame(&mut self) -> Result<(u8, Vec<u8>), Fault> {
        loop {
            if let Some((frame, used)) = parse(&self.read) {
                self.read.drain(..used);
                return Ok(frame);
            }
            self.read.reserve(READ_LEN);
            let read = self.socket.read_buf(&mut self.read).await.map_err(Fault::Lost)?;
            if read == 0 {
                return Err(Fault::Lost(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

pub(super) fn code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))
}

/// The one message of this number and length: no other number gives the same bytes.
fn message(number: u32, size: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().repeat(size / 4 + 1);
    bytes.truncate(size);
    for (byte, place) in bytes.iter_mut().skip(4).zip(0_u8..=255) {
        *byte ^= place;
    }
    bytes
}

pub(super) fn append(wire: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    wire.push(opcode);
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => wire.push(0x80 | len as u8),
        Ok(len) => {
            wire.push(0x80 | 126);
            wire.extend(len.to_be_bytes());
        }
        Err(_) => {
            wire.push(0x80 | 127);
            wire.extend((payload.len() as u64).to_be_bytes());
        }
    }
    wire.extend(MASK);
    wire.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// First byte and payload of a frame, masked or not, and its length; `None` until it is whole.
pub(super) fn parse(bytes: &[u8]) -> Option<((u8, Vec<u8>), usize)> {
    let (&[opcode, second], rest) = bytes.split_first_chunk()?;
    let (len, rest) = match second & 0x7f {
        126 => {
            rest.split_first_chunk().map(|(len, rest)| (u16::from_be_bytes(*len).into(), rest))?
        }
        127 => rest.split_first_chunk().map(|(len, rest)| (u64::from_be_bytes(*len), rest))?,
        len => (len.into(), rest),
    };
    let (mask, rest) = match second & 0x80 {
        0 => (None, rest),
        _ => rest.split_first_chunk::<4>().map(|(mask, rest)| (Some(*mask), rest))?,
    };
    // A frame that is longer than there is memory never becomes whole.
    let payload = rest.get(..usize::try_from(len).ok()?)?;
    let plain = match mask {
        Some(mask) => payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect(),
        None => payload.to_vec(),
    };
    Some(((opcode, plain), bytes.len() - rest.len() + payload.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_only_whole() {
        for size in [8, 125, 126, 1024, 65_535, 65_536, 70_000] {
            let mut wire = Vec::new();
            append(&mut wire, BINARY, &message(7, size));
            assert!(parse(&wire[..wire.len() - 1]).is_none());
            wire.push(0);
            let (frame, used) = parse(&wire).unwrap();
            assert_eq!((frame, used), ((BINARY, message(7, size)), wire.len() - 1));
        }
        assert_eq!(parse(&[BINARY, 2, 9, 8]), Some(((BINARY, vec![9, 8]), 4)));
    }

    #[test]
    fn each_message_is_its_own() {
        assert_ne!(message(1, 8), message(2, 8));
        assert_ne!(message(1, 1024), message(256, 1024));
        assert_eq!(message(1, 9).len(), 9);
    }
}
