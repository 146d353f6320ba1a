//! The channel between two paired machines once both know the key: sealed frames, signs of life. Pure.
//! Depends on `hybrid` and the sibling `wire`.
//!
//! ```text
//!  hello     REMOTE -> LOCAL   magic(14) version(1) name of the pairing(8), after whatever a login prints
//!  first     LOCAL -> REMOTE   frame: 1 Noise message 1 (81), or 0 why not
//!  second    REMOTE -> LOCAL   frame: 1 Noise message 2 (81), or 0 why not
//!  then      both              frames that are sealed: asks and reports
//! ```

use std::time::{Duration, Instant};

use super::Error;
use super::wire::framed;
use crate::hybrid::frame::{Opener, Sealer};
use crate::hybrid::noise::{Established, MESSAGE_LEN};

/// What both handshakes are for.
pub(super) const PURPOSE: &[u8] = b"cabled radio share 1";

/// Who has said nothing for so long says that it is alive.
const SILENCE: Duration = Duration::from_secs(10);
/// From whom nothing has come for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message of the handshake.
#[derive(Debug)]
pub(super) enum Step {
    Noise([u8; MESSAGE_LEN]),
    Refusal(Refusal),
}

/// Why one side does not want to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not have the key.
    Key = 1,
    /// It speaks another version.
    Version = 2,
}

impl Step {
    pub(super) fn frame(&self) -> Vec<u8> {
        match self {
            Self::Noise(message) => framed(&[&[1], &message[..]].concat()),
            Self::Refusal(why) => framed(&[0, *why as u8]),
        }
    }

    pub(super) fn read(frame: &[u8]) -> Result<Self, Error> {
        match frame {
            [1, message @ ..] => message.try_into().map(Self::Noise).map_err(|_| Error::Malformed),
            [0, 1] => Ok(Self::Refusal(Refusal::Key)),
            [0, 2] => Ok(Self::Refusal(Refusal::Version)),
            _ => Err(Error::Malformed),
        }
    }

    /// The message; a refusal is an error.
    pub(super) fn message(self) -> Result<[u8; MESSAGE_LEN], Error> {
        match self {
            Self::Noise(message) => Ok(message),
            Self::Refusal(Refusal::Key) => Err(Error::Refused),
            Self::Refusal(Refusal::Version) => Err(Error::OtherVersion),
        }
    }
}

/// Both directions, and when something last went and came.
#[derive(Debug)]
pub(super) struct Sealed {
    sealer: Sealer,
    opener: Opener,
    sent: Instant,
    heard: Instant,
}

impl Sealed {
    pub(super) fn new(established: Established, now: Instant) -> Self {
        let Established { sealer, opener, .. } = established;
        Self { sealer, opener, sent: now, heard: now }
    }

    /// A frame for the wire.
    pub(super) fn seal(&mut self, message: &[u8], now: Instant) -> Result<Vec<u8>, Error> {
        self.sent = now;
        let sealed = self.sealer.seal_untyped(message).map_err(|_| Error::UsedUp)?;
        Ok(framed(&sealed))
    }

    /// The message in a frame.
    pub(super) fn open(&mut self, frame: &[u8], now: Instant) -> Result<Vec<u8>, Error> {
        let message = self.opener.open(frame).map_err(|_| Error::NotAuthentic)?;
        self.heard = now;
        Ok(message)
    }

    /// When to look at [`Self::is_silent`] next.
    pub(super) fn due(&self) -> Instant {
        (self.sent + SILENCE).min(self.heard + PATIENCE)
    }

    /// Whether it is time to say that this side is alive.
    ///
    /// # Errors
    ///
    /// [`Error::Silent`] when the other side is not.
    pub(super) fn is_silent(&self, now: Instant) -> Result<bool, Error> {
        match now >= self.heard + PATIENCE {
            true => Err(Error::Silent),
            false => Ok(now >= self.sent + SILENCE),
        }
    }
}
