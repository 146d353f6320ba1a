//! The L2CAP data channel: whole messages over a stream of bytes that a radio opened.
//!
//! Who opens the stream, and whether it is Bluetooth or stands in for it, is no concern of this
//! file: it is generic over what can be read and written. Depends on its parent; `framing` tells
//! messages apart. CTAP 2.3 section 11.5.1.1.2, PXP.

mod framing;

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

pub use self::framing::{Framing, UnknownFraming};
#[cfg(fuzzing)]
pub use self::framing::{fuzz_frame, fuzz_framing};
use super::{DataChannel, Error, check_len};
use framing::Decoder;

/// How long a goodbye waits for the peer to go too.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Read at once. What is read beyond a message is copied once more for each message in it.
const CHUNK: usize = 8 * 1024;

/// A data channel over `S`, which is one connection to the peer.
///
/// It has no goodbye of its own: the end of the stream between two messages is all that a peer
/// tells, whether it meant to go or not. Bluetooth reports a peer that went as a reset connection,
/// which counts as the same.
pub struct L2capChannel<S> {
    stream: S,
    incoming: Decoder,
    outgoing: Outgoing,
    /// Nothing can be received any more.
    ended: bool,
    /// Nothing can be sent any more.
    mute: bool,
}

/// What of the last messages has not left yet; a `send` that was dropped leaves its rest here.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl<S> fmt::Debug for L2capChannel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let framing = &self.incoming.framing();
        f.debug_struct("L2capChannel").field("framing", framing).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> L2capChannel<S> {
    /// The laptop's end, which speaks first and so has to know the framing.
    #[must_use]
    pub fn new(stream: S, framing: Framing) -> Self {
        Self::with(stream, Decoder::new(Some(framing)))
    }

    /// The phone's end, which learns the framing from the first byte that it receives.
    #[must_use]
    pub fn detecting(stream: S) -> Self {
        Self::with(stream, Decoder::new(None))
    }

    fn with(stream: S, incoming: Decoder) -> Self {
        Self { stream, incoming, outgoing: Outgoing::default(), ended: false, mute: false }
    }

    /// Sends what is left of earlier messages. Cancel safe: what was written is counted at once.
    async fn flush(&mut self) -> io::Result<()> {
        let Outgoing { bytes, sent } = &mut self.outgoing;
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => *sent += written,
            }
        }
        self.outgoing = Outgoing::default();
        self.stream.flush().await
    }

    async fn read(&mut self) -> io::Result<usize> {
        let buffer = self.incoming.buffer();
        buffer.reserve(CHUNK);
        (&mut self.stream).take(CHUNK as u64).read_buf(buffer).await
    }

    /// The stream has ended, with `cause` if that was no plain end.
    async fn end(&mut self, cause: Option<io::Error>) -> Error {
        (self.ended, self.mute) = (true, true);
        // A peer that waits for us to go too need not wait for the drop.
        let _ = timeout(CLOSE_DEADLINE, self.stream.shutdown()).await;
        match cause {
            Some(cause) if !is_hang_up(&cause) => Error::Lost(cause),
            _ if self.incoming.is_half_read() => Error::Lost(ErrorKind::UnexpectedEof.into()),
            _ => Error::Closed { code: None },
        }
    }

    async fn leave(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await?;
        let mut dropped = [0; 1024];
        while self.stream.read(&mut dropped).await? > 0 {}
        Ok(())
    }
}

/// How the kernel says that the peer has gone, in order or not.
fn is_hang_up(error: &io::Error) -> bool {
    use ErrorKind as K;
    matches!(error.kind(), K::ConnectionReset | K::BrokenPipe | K::NotConnected)
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> DataChannel for L2capChannel<S> {
    const TELLS_GOODBYE: bool = false;

    async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        check_len(message)?;
        if self.mute {
            return Err(Error::Closed { code: None });
        }
        let framing = self.incoming.framing().unwrap_or_default();
        let sent = async {
            self.flush().await?;
            // In one piece, so that a small message is one packet.
            self.outgoing.bytes = framing::encode(framing, message);
            self.flush().await
        };
        sent.await.map_err(|error| {
            self.mute = true;
            Error::Lost(error)
        })
    }

    async fn recv(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if self.ended {
                return Err(Error::Closed { code: None });
            }
            match self.incoming.next() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => {
                    (self.ended, self.mute) = (true, true);
                    return Err(error);
                }
            }
            match self.read().await {
                Ok(0) => return Err(self.end(None).await),
                Ok(_) => {}
                Err(error) => return Err(self.end(Some(error)).await),
            }
        }
    }

    async fn close(&mut self) {
        if !self.ended {
            (self.ended, self.mute) = (true, true);
            // A peer that is gone, or that stays silent, changes nothing: the drop ends it.
            let _ = timeout(CLOSE_DEADLINE, self.leave()).await;
        }
    }
}

#[cfg(test)]
mod tests;
