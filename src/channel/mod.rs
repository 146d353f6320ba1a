//! Message pipes between laptop and phone: ordered whole binary messages, whatever carries them.
//!
//! Depends on `hybrid::tunnel` for URLs; the roles depend on it. A new kind of
//! channel is one file here that implements [`DataChannel`] and passes [`conformance`].

mod error;

pub mod conformance;
pub mod l2cap;
pub mod memory;
pub mod proxy;
#[cfg(any(feature = "client", feature = "authenticator"))]
pub(crate) mod slot;
pub mod tls;
pub mod websocket;

use std::future::Future;

pub use error::{Error, RedirectFault};

/// How long one message may be: 1 MiB, as browsers allow.
pub const MAX_MESSAGE_LEN: usize = 1 << 20;

/// One end of an ordered pipe of whole binary messages.
///
/// What one end sends arrives at the other whole, in order and once, or the channel fails. A
/// message has 0 to [`MAX_MESSAGE_LEN`] bytes. The channel promises neither secrecy nor
/// authenticity: the Noise session inside it does.
///
/// No method has a deadline of its own except [`close`](Self::close); drivers race them against
/// the time-out that their state machine names. After any error but [`Error::TooLong`] from
/// `send` nothing more can be sent; `recv` still delivers what had arrived, then tells what ended
/// the channel, as often as it is asked.
pub trait DataChannel: Send {
    /// Whether the peer can tell a goodbye from a broken line. Where it cannot, both look like
    /// [`Error::Closed`] without a code, and the messages inside have to say more.
    const TELLS_GOODBYE: bool = true;

    /// Sends one message, and returns when the channel has taken all of it.
    ///
    /// A peer that does not read makes this wait. Not cancel safe in the strict sense: a dropped
    /// call may or may not have queued its message, but never a part of one.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] for more than [`MAX_MESSAGE_LEN`] bytes, after which the channel lives
    /// on; otherwise what ended the channel.
    fn send(&mut self, message: &[u8]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits for the next message.
    ///
    /// Cancel safe: no message is lost when the call is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the peer closed, after everything that it had sent was delivered;
    /// otherwise what ended the channel.
    fn recv(&mut self) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;

    /// Says goodbye and waits a short time for the peer to agree.
    ///
    /// Messages that arrive meanwhile are dropped. Returns after at most 2 seconds. Dropping a
    /// channel without closing it looks to the peer like a broken connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

pub(crate) fn check_len(message: &[u8]) -> Result<(), Error> {
    if message.len() > MAX_MESSAGE_LEN { Err(Error::TooLong) } else { Ok(()) }
}
