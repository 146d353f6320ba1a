//! gRPC within bounds: the server's settings, and connections of which each has a seat.
//!
//! Who may connect is the listener's business, what may be asked the service's. Depends on tokio and tonic.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(feature = "testbed")]
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::Server;
use tonic::transport::server::Connected;

/// Clients that are connected at the same time; one more waits.
pub const MAX_CONNECTIONS: usize = 32;

/// How long one side may be silent while the other waits for it.
const ALIVE: Duration = Duration::from_secs(20);

/// After a failed accept, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Calls at a time on one connection.
const MAX_STREAMS: u32 = 16;

/// Bytes of a request's head.
const MAX_HEAD: u32 = 8 << 10;

/// A server within the bounds of one owner's needs; `call` is how long a call may take until its answer
/// begins.
pub(crate) fn server(call: Duration) -> Server {
    Server::builder()
        .timeout(call)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE))
        .http2_max_header_list_size(MAX_HEAD)
}

/// Where clients come in.
pub(crate) trait Entrance: Send + Sync + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one who may.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

#[cfg(feature = "testbed")]
impl Entrance for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

/// Those who come in, without end.
pub(crate) fn incoming<E: Entrance>(
    entrance: E,
) -> BoxStream<'static, io::Result<Peer<E::Stream>>> {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepted = stream::unfold((entrance, seats), |(entrance, seats)| async {
        let seat = Arc::clone(&seats).acquire_owned().await.ok()?;
        loop {
            match entrance.next().await {
                Ok(stream) => return Some((Ok(Peer { stream, _seat: seat }), (entrance, seats))),
                Err(error) => {
                    tracing::debug!(%error, "no connection could be taken");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    accepted.boxed()
}

/// One client, and its seat.
#[derive(Debug)]
pub(crate) struct Peer<S> {
    stream: S,
    _seat: OwnedSemaphorePermit,
}

impl<S> Connected for Peer<S> {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Peer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Peer<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
