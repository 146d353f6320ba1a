//! Connections between two radios: streams of bytes that need no internet.
//!
//! Over Bluetooth they are L2CAP channels, insecure on purpose: what runs inside proves who is who.
//! A phone listens and puts the port into its advert; a laptop connects to the sender of the advert.
//! Depends on tokio, and on `hybrid` for the port's type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};

use super::{Address, Error};
use crate::hybrid::advert::Psm;

/// The ports that a listener is given: those that Bluetooth LE leaves to whoever comes. They fit one
/// byte, and an advert has no room for two.
pub const DYNAMIC_PSMS: std::ops::RangeInclusive<u16> = 0x80..=0xff;

/// A radio that can make connections.
pub trait Linker: Send + Sync {
    /// What [`listen`](Self::listen) gives.
    type Listener: Listener;

    /// Connects to the sender of a connectable advert, and returns when messages of the connection's
    /// own size can be sent.
    ///
    /// Has a deadline of its own of some ten seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when nobody answers there, [`Error::CannotLink`] where the system has
    /// no such connections; otherwise as [`Scanner::scan`](super::Scanner::scan).
    fn connect(&self, peer: Address, psm: Psm) -> impl Future<Output = Result<Link, Error>> + Send;

    /// Takes connections from now on, at a free port.
    ///
    /// # Errors
    ///
    /// [`Error::CannotLink`] where the system has no such connections; otherwise as
    /// [`Scanner::scan`](super::Scanner::scan).
    fn listen(&self) -> impl Future<Output = Result<Self::Listener, Error>> + Send;
}

/// Takes connections until it is dropped; those that it has given stay.
#[must_use = "dropping a listener ends it"]
pub trait Listener: Send {
    /// The port to advertise, within [`DYNAMIC_PSMS`].
    fn psm(&self) -> Psm;

    /// Waits for the next connection, of anybody. Cancel safe.
    ///
    /// # Errors
    ///
    /// The radio went away; the listener is of no more use then.
    fn accept(&mut self) -> impl Future<Output = Result<Link, Error>> + Send;
}

/// What a connection is made of.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

/// A connection: bytes both ways, in order, until either side drops it.
///
/// Neither side knows who the other is, and Bluetooth does not tell a peer that ended it from one
/// that was lost.
pub struct Link(Box<dyn Bytes>);

impl Link {
    pub(super) fn over(stream: impl Bytes + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}
