//! A client's way to a daemon's Unix socket, and what stands in it.
//!
//! Depends on tokio and tonic.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long a client waits for the answer to a call, which has its own deadline in the service.
const ANSWER: Duration = Duration::from_secs(40);

/// How long one side may be silent while the other waits for it.
const ALIVE: Duration = Duration::from_secs(20);

/// Why there is no socket, or no service behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Another service answers there.
    #[error("a service of cabled runs already, at {}", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is in its place.
    #[error("{} is there and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// Others can write to its folder.
    #[error("the folder of {} is open to other users", .0.display())]
    OpenFolder(PathBuf),
    /// Nobody answers there.
    #[error("no service of cabled runs at {}", .0.display())]
    Absent(PathBuf),
    /// The operating system refuses.
    #[error("the socket {} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// The transport failed.
    #[error("the service cannot be reached")]
    Serve(#[source] Box<tonic::transport::Error>),
}

/// Connects to the service at this socket.
///
/// # Errors
///
/// [`SocketError::Absent`] if none runs there, [`SocketError::Serve`] otherwise.
pub(super) async fn connect(path: &Path) -> Result<Channel, SocketError> {
    // Tells the absence of a service from everything else, which the transport does not.
    match UnixStream::connect(path).await {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Err(SocketError::Absent(path.to_owned()));
        }
        Err(error) => return Err(SocketError::Io(path.to_owned(), error)),
    }
    let endpoint = Endpoint::from_static("http://cabled")
        .connect_timeout(CONNECT)
        .timeout(ANSWER)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE);
    let channel = endpoint.connect_with_connector(Dial(path.to_owned())).await;
    channel.map_err(|error| SocketError::Serve(Box::new(error)))
}

#[derive(Clone)]
struct Dial(PathBuf);

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}
