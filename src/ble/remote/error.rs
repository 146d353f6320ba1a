//! Why two machines do not, or no longer, share a radio. Depends on nothing of this crate.

use std::io;

/// Why it is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command ended, or printed other things, before the other machine said anything.
    #[error("the other machine did not say that it wants a radio")]
    NoHello,
    /// The other machine speaks another version.
    #[error("the other machine has another version of cabled")]
    OtherVersion,
    /// This machine has no key of the pairing that the other one named.
    #[error("this machine is not paired with the other one")]
    NotPaired,
    /// The other machine does not have the key.
    #[error("the other machine does not know this pairing")]
    Refused,
    /// The other machine has another key under the same name.
    #[error("the other machine does not have the key of this pairing")]
    WrongKey,
    /// A message was changed on its way, or came twice.
    #[error("a message of the other machine is not authentic")]
    NotAuthentic,
    /// A message makes no sense.
    #[error("the other machine said what makes no sense")]
    Malformed,
    /// The channel has carried as many messages as it can.
    #[error("the connection is used up")]
    UsedUp,
    /// Nothing came for longer than a living machine is silent.
    #[error("the other machine does not answer any more")]
    Silent,
    /// The command ended.
    #[error("the connection to the other machine ended")]
    Closed,
    /// The pipe failed.
    #[error("the connection to the other machine failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Seen while something was said to an end that is gone.
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl Error {
    /// Whether it would come out the same the next time.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::OtherVersion | Self::NotPaired | Self::Refused | Self::WrongKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_gone_is_the_end_of_the_connection() {
        let of = |kind| Error::from(io::Error::from(kind));
        assert!(matches!(of(io::ErrorKind::BrokenPipe), Error::Closed));
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Error::Io(_)));
    }
}
