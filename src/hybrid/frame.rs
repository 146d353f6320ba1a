//! Frames after the handshake: padding, AES-256-GCM with a counter, and the message types.
//!
//! Snow is not used here: its 65,535-byte limit is below the 1 MiB that peers allow, and keeping
//! the key schedule makes a frame five times cheaper. Depends on `crypto` only.
//!
//! Specification: CTAP 2.2 section 11.5.1, message framing.

use std::fmt;

use super::crypto::{Aead, TAG_LEN};
use crate::secret::Secret;

/// Longest frame taken or sent, in bytes on the wire, as browsers have it.
pub const MAX_FRAME: usize = 1 << 20;

/// Longest payload that fits a frame: less tag, type byte and the longest padding.
pub const MAX_PAYLOAD: usize = MAX_FRAME - TAG_LEN - 1 - PADDING;

/// Plaintexts are padded to a multiple of this.
const PADDING: usize = 32;

/// Frames per direction before the counter ends, as Chromium counts.
const MAX_COUNTER: u32 = (1 << 24) - 1;

/// Why a frame could not be sealed or opened. Each is terminal for the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`MAX_FRAME`].
    #[error("a message is longer than {MAX_FRAME} bytes")]
    TooLong,
    /// Not sealed with the next counter and this transaction's key.
    #[error("a message is not authentic")]
    NotAuthentic,
    /// Authentic, but its padding is not one.
    #[error("a message has broken padding")]
    BadPadding,
    /// Authentic, but empty, of an unknown type, or a type that may not be empty.
    #[error("a message has no valid type")]
    BadType,
    /// 2^24 - 1 frames went this way.
    #[error("this transaction has used up its message counter")]
    CounterUsedUp,
}

/// The first byte of a frame after the post-handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// The client is done; nothing follows but updates from the phone.
    Shutdown = 0,
    /// A CTAP2 request or response.
    Ctap = 1,
    /// From the phone, at any time: perhaps linking information.
    Update = 2,
    /// UTF-8 JSON (digital credentials).
    Json = 3,
}

/// A message type and its payload, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The type.
    pub kind: MessageType,
    /// Empty for Shutdown, and only there. At most [`MAX_PAYLOAD`] bytes.
    pub payload: &'a [u8],
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", self.kind, self.payload.len())
    }
}

impl<'a> Frame<'a> {
    /// Splits a plaintext into type and payload.
    ///
    /// # Errors
    ///
    /// [`Error::BadType`] for nothing at all, an unknown type, or an empty payload of a type other
    /// than Shutdown.
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, Error> {
        let (kind, payload) = plaintext.split_first().ok_or(Error::BadType)?;
        let kind = match kind {
            0 => MessageType::Shutdown,
            1 => MessageType::Ctap,
            2 => MessageType::Update,
            3 => MessageType::Json,
            _ => return Err(Error::BadType),
        };
        if payload.is_empty() && kind != MessageType::Shutdown {
            return Err(Error::BadType);
        }
        Ok(Self { kind, payload })
    }
}

/// Seals this side's messages, in order.
pub struct Sealer(Direction);

impl Sealer {
    /// Starts at counter 0.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        Self(Direction::new(key))
    }

    /// Seals one typed message.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::CounterUsedUp`].
    pub fn seal(&mut self, frame: Frame<'_>) -> Result<Vec<u8>, Error> {
        self.seal_parts(&[frame.kind as u8], frame.payload)
    }

    /// Seals the post-handshake message, the only one without a type byte.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal).
    pub fn seal_untyped(&mut self, payload: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_parts(&[], payload)
    }

    fn seal_parts(&mut self, head: &[u8], payload: &[u8]) -> Result<Vec<u8>, Error> {
        let len = head.len() + payload.len();
        let zeros = PADDING - 1 - len % PADDING;
        let padded = len + zeros + 1;
        if padded + TAG_LEN > MAX_FRAME {
            return Err(Error::TooLong);
        }
        let mut buffer = Vec::with_capacity(padded + TAG_LEN);
        buffer.extend_from_slice(head);
        buffer.extend_from_slice(payload);
        buffer.resize(padded, 0);
        // Below 32, so the cast keeps it.
        buffer.last_mut().into_iter().for_each(|last| *last = zeros as u8);
        let nonce = self.0.next_nonce()?;
        self.0.aead.seal(nonce, &[], &mut buffer).ok_or(Error::TooLong)?;
        Ok(buffer)
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, counter: u32) {
        self.0.counter = counter;
    }
}

/// Opens the peer's messages, in order.
pub struct Opener(Direction);

impl Opener {
    /// Starts at counter 0.
    #[must_use]
    pub fn new(key: &Secret<32>) -> Self {
        Self(Direction::new(key))
    }

    /// Opens one message and gives its plaintext without padding, type byte included.
    ///
    /// The padding's zeros and the multiple of 32 are not checked: deployed phones pad the payload
    /// first and put the type byte before it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After one the counter is out of step and nothing will open again, which is
    /// what the protocol wants: any failure is terminal.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>, Error> {
        if frame.len() > MAX_FRAME {
            return Err(Error::TooLong);
        }
        let nonce = self.0.next_nonce()?;
        let mut buffer = frame.to_vec();
        self.0.aead.open(nonce, &[], &mut buffer).ok_or(Error::NotAuthentic)?;
        let zeros = usize::from(*buffer.last().ok_or(Error::BadPadding)?);
        let len = buffer.len().checked_sub(zeros + 1).ok_or(Error::BadPadding)?;
        buffer.truncate(len);
        Ok(buffer)
    }
}

struct Direction {
    aead: Aead,
    counter: u32,
}

impl Direction {
    fn new(key: &Secret<32>) -> Self {
        Self { aead: Aead::new(key.expose()), counter: 0 }
    }

    fn next_nonce(&mut self) -> Result<[u8; 12], Error> {
        if self.counter >= MAX_COUNTER {
            return Err(Error::CounterUsedUp);
        }
        let [a, b, c, d] = self.counter.to_be_bytes();
        self.counter += 1;
        Ok([0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
    }
}

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(redacted, counter {})"), self.0.counter)
            }
        }
    )*};
}
redacted!(Sealer, Opener);

#[cfg(test)]
mod tests;
