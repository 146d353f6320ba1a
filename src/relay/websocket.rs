//! The relay's end of a WebSocket, driven by one task.
//!
//! The protocol is tungstenite's. Its socket is polled with the waker of the task that asks, for reading and for
//! writing: tokio-tungstenite's proxies between wakers, and a lock around each half, are for halves that live in tasks
//! of their own, and took a fifth of what the relay's own code has for a message.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

/// What an idle socket costs, and how much one read takes: a message of 1 KiB with its head. Most have
/// some hundred bytes; longer ones take more reads.
const READ_BUFFER_LEN: usize = 1024 + 128;

/// A WebSocket after its upgrade. Only one task may drive it at a time.
pub(super) struct WebSocket<S> {
    socket: S,
    context: WebSocketContext,
    /// Nothing more will be read.
    over: bool,
}

/// The socket for as long as a task polls it.
struct Polled<'a, 'b, S> {
    socket: &'a mut S,
    context: &'a mut Context<'b>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Takes over a socket after its upgrade; `rest` is what came with the head.
    pub(super) fn accept(socket: S, rest: Vec<u8>, max_message_len: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_LEN)
            .write_buffer_size(0)
            .max_message_size(Some(max_message_len))
            .max_frame_size(Some(max_message_len));
        let context = WebSocketContext::from_partially_read(rest, Role::Server, Some(config));
        Self { socket, context, over: false }
    }

    /// What comes next; `None` from the end, or the error that was one, on.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut polled = Polled { socket: &mut self.socket, context };
        let read = ready!(unless_blocked(self.context.read(&mut polled)));
        self.over = read.is_err();
        Poll::Ready(match read {
            Err(Error::AlreadyClosed | Error::ConnectionClosed) => None,
            read => Some(read),
        })
    }

    /// Takes the message out, if there is one, and is ready when nothing that was taken waits here any more.
    pub(super) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), Error>> {
        let mut polled = Polled { socket: &mut self.socket, context };
        if let Some(message) = message.take() {
            // A message that the socket does not take yet is queued all the same.
            if let Poll::Ready(written) = unless_blocked(self.context.write(&mut polled, message)) {
                written?;
            }
        }
        match ready!(unless_blocked(self.context.flush(&mut polled))) {
            // It was the last one, and all of it is on its way.
            Err(Error::ConnectionClosed) => Poll::Ready(Ok(())),
            flushed => Poll::Ready(flushed),
        }
    }

    /// As [`Self::poll_next`]. Dropped half-way, nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Sends all of a message. Dropped half-way, the rest of it goes ahead of what is sent then.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|context| self.poll_send(context, &mut message)).await
    }

    /// Sends what waits here: answers to pings and goodbyes.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_send(context, &mut None)).await
    }

    pub(super) fn into_inner(self) -> S {
        self.socket
    }
}

fn unless_blocked<T>(result: Result<T, Error>) -> Poll<Result<T, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// Waiting is an error to whoever does not poll.
fn blocking<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> Read for Polled<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        blocking(Pin::new(&mut *self.socket).poll_read(self.context, &mut buffer))?;
        Ok(buffer.filled().len())
    }
}

impl<S: AsyncWrite + Unpin> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking(Pin::new(&mut *self.socket).poll_write(self.context, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        blocking(Pin::new(&mut *self.socket).poll_flush(self.context))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::DuplexStream;
    use tokio::time::timeout;
    use tokio_tungstenite::WebSocketStream;

    use super::*;

    /// With a socket between them that holds less than most messages.
    async fn pair() -> (WebSocket<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (near, far) = tokio::io::duplex(16);
        let peer = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        (WebSocket::accept(near, Vec::new(), 1024), peer)
    }

    fn binary(byte: u8) -> Message {
        Message::Binary(vec![byte; 100].into())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_up_half_way_goes_ahead_of_what_comes_next() {
        let (mut socket, mut peer) = pair().await;
        for byte in [1, 2] {
            // On the paused clock the second passes only when nothing moves.
            timeout(Duration::from_secs(1), socket.send(binary(byte))).await.unwrap_err();
        }
        let reading = async {
            let mut heard = Vec::new();
            while let Some(Ok(message)) = peer.next().await {
                heard.push(message);
            }
            heard
        };
        let sending = async {
            socket.send(binary(3)).await.unwrap();
            drop(socket);
        };
        let (heard, ()) = tokio::join!(reading, sending);
        assert_eq!(heard, [1, 2, 3].map(binary));
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_error_there_is_nothing_more() {
        let (mut socket, mut peer) = pair().await;
        let long = Message::Binary(vec![0; 1025].into());
        let (_, error) =
            tokio::join!(timeout(Duration::from_secs(1), peer.send(long)), socket.next());
        assert!(matches!(error, Some(Err(Error::Capacity(_)))));
        assert!(socket.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_is_answered_by_who_reads_though_the_socket_is_full() {
        let (mut socket, mut peer) = pair().await;
        timeout(Duration::from_secs(1), socket.send(binary(1))).await.unwrap_err();
        peer.send(Message::Ping(vec![7].into())).await.unwrap();
        let reading = async {
            assert_eq!(socket.next().await.unwrap().unwrap(), Message::Ping(vec![7].into()));
            timeout(Duration::from_secs(1), socket.next()).await.unwrap_err();
        };
        let hearing = async {
            assert_eq!(peer.next().await.unwrap().unwrap(), binary(1));
            assert_eq!(peer.next().await.unwrap().unwrap(), Message::Pong(vec![7].into()));
        };
        timeout(Duration::from_secs(5), async { tokio::join!(reading, hearing) }).await.unwrap();
    }
}
