//! A client's socket: TCP, perhaps under TLS, that acknowledges at once what its sender may wait for.
//!
//! Depends on tokio and tokio-rustls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(feature = "cluster")]
use tokio::io::DuplexStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How many pieces are acknowledged at once since the last sign that their sender may wait for it: more than
/// a ceremony has.
const PROMPT_PIECES: u8 = 32;

/// When the sender at the other end may be waiting for an acknowledgement.
///
/// Published phones leave Nagle's algorithm on and send small messages in pairs; the second stays
/// with them until the first is acknowledged, which the kernel likes to put off by 40 ms. One that always
/// hears an answer before it says more has its acknowledgement with the answer; a packet for it alone costs
/// a quarter of what carrying a message does.
#[derive(Debug)]
struct Waiting {
    /// How many more pieces are acknowledged at once.
    prompt: u8,
    /// Nothing was written since the last piece: another one then is the second of a pair.
    unanswered: bool,
    /// The last read filled its buffer, and what is left of the piece may come in the next one.
    unfinished: bool,
}

impl Waiting {
    const fn new() -> Self {
        Self { prompt: PROMPT_PIECES, unanswered: false, unfinished: false }
    }

    /// Something was read, and perhaps not all that was there; says whether to acknowledge at once.
    fn has_read(&mut self, filled: bool) -> bool {
        self.unfinished = filled;
        !filled && self.has_piece()
    }

    /// There was nothing more to read.
    fn has_read_all(&mut self) -> bool {
        std::mem::take(&mut self.unfinished) && self.has_piece()
    }

    fn has_piece(&mut self) -> bool {
        if std::mem::replace(&mut self.unanswered, true) {
            self.prompt = PROMPT_PIECES;
        }
        let prompt = self.prompt > 0;
        self.prompt = self.prompt.saturating_sub(1);
        prompt
    }

    /// What is written carries the acknowledgement of all that was read.
    const fn has_written(&mut self) {
        self.unanswered = false;
    }
}

/// TCP that lets nobody wait: no delayed segments, and no delayed acknowledgements for a sender that may be
/// [waiting](Waiting) for one.
#[derive(Debug)]
pub(super) struct Prompt {
    socket: TcpStream,
    waiting: Waiting,
}

impl Prompt {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, waiting: Waiting::new() })
    }
}

/// A connection with or without TLS.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(Prompt),
    Tls(Box<TlsStream<Prompt>>),
    /// A connection of another node.
    #[cfg(feature = "cluster")]
    Linked(DuplexStream),
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(context, buffer);
        let acknowledge = match &result {
            Poll::Pending => self.waiting.has_read_all(),
            Poll::Ready(_) if buffer.filled().len() > before => {
                self.waiting.has_read(buffer.remaining() == 0)
            }
            Poll::Ready(_) => false,
        };
        if acknowledge {
            // The kernel falls back to delaying, so each piece asks again. Only latency is at stake.
            let _ = self.socket.set_quickack(true);
        }
        result
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(context, bytes);
        if result.is_ready() {
            self.waiting.has_written();
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(socket) => Pin::new(socket).poll_read(context, buffer),
            #[cfg(feature = "cluster")]
            Self::Linked(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
            #[cfg(feature = "cluster")]
            Self::Linked(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(socket) => Pin::new(socket).poll_flush(context),
            #[cfg(feature = "cluster")]
            Self::Linked(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(socket) => Pin::new(socket).poll_shutdown(context),
            #[cfg(feature = "cluster")]
            Self::Linked(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that are answered each; how many were acknowledged at once.
    fn answered(waiting: &mut Waiting, pieces: u8) -> usize {
        let prompt = (0..pieces).filter(|_| {
            let prompt = waiting.has_read(false);
            waiting.has_written();
            prompt
        });
        prompt.count()
    }

    #[test]
    fn who_is_always_answered_gets_acknowledgements_with_the_answers_in_the_end() {
        let mut waiting = Waiting::new();
        assert_eq!(answered(&mut waiting, 100), usize::from(PROMPT_PIECES));
    }

    #[test]
    fn who_says_two_things_in_a_row_is_acknowledged_at_once_from_then_on() {
        let mut waiting = Waiting::new();
        assert_eq!(answered(&mut waiting, 50), usize::from(PROMPT_PIECES));
        assert!(!waiting.has_read(false));
        assert!(waiting.has_read(false), "the second of a pair");
        waiting.has_written();
        // With one pair in each ceremony it never ends.
        for _ in 0..100 {
            assert_eq!(answered(&mut waiting, 20), 20);
            assert!(waiting.has_read(false) && waiting.has_read(false));
            waiting.has_written();
        }
    }

    #[test]
    fn a_piece_of_many_reads_is_acknowledged_once_at_its_end() {
        let mut waiting = Waiting::new();
        for last_is_full in [false, true] {
            let reads = [true, true, true, last_is_full].map(|full| waiting.has_read(full));
            assert_eq!(reads, [false, false, false, !last_is_full]);
            assert_eq!(waiting.has_read_all(), last_is_full);
            assert!(!waiting.has_read_all());
            waiting.has_written();
        }
        // And is no pair.
        assert_eq!(waiting.prompt, PROMPT_PIECES - 2);
    }
}
