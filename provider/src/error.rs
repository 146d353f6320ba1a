//! What goes wrong, as OpenSSH's numbers and as words for people.

use cabled::ctap::Status;
use cabled::frontend::SocketError;

/// Why there is no key or no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No phone can do this.
    #[error("{0}")]
    Unsupported(&'static str),
    /// OpenSSH asks for what makes no sense.
    #[error("{0}")]
    Request(&'static str),
    /// The socket's place is unknown.
    #[error(
        "there is no socket of the daemon: XDG_RUNTIME_DIR is not set; name the socket in CABLED_DAEMON_SOCKET"
    )]
    NoPlace,
    /// Nobody answers at the socket.
    #[error("{0}; start it with: cabled daemon")]
    NoDaemon(#[source] SocketError),
    /// The socket cannot be used.
    #[error("{0}")]
    Socket(#[source] SocketError),
    /// The daemon refused, or stopped.
    #[error("the daemon gave up: {}", .0.message())]
    Daemon(#[source] Box<tonic::Status>),
    /// The transaction failed, as the daemon says it.
    #[error("{text}; {hint}")]
    Ended {
        /// What went wrong.
        text: String,
        /// What to do next.
        hint: String,
    },
    /// The phone has no such passkey.
    #[error("the phone has no passkey for this key; use the phone that made it")]
    NotThere,
    /// The phone has one already.
    #[error("the phone has a passkey of this account already")]
    Exists,
    /// The phone refused.
    #[error("the phone refused ({0}); try again, and agree on the phone")]
    Refused(Status),
    /// The phone verified nobody.
    #[error("the phone did not verify who is there; set up a screen lock on it")]
    Unverified,
    /// The phone's answer is none to the question.
    #[error("the phone's answer cannot be used ({0}); its software is to blame")]
    Answer(&'static str),
    /// The daemon stopped before the end was known.
    #[error("the daemon stopped before the end was known; start it again with: cabled daemon")]
    Unfinished,
    /// It took too long.
    #[error("there was no end in time; look at what the daemon does")]
    Late,
    /// The operating system refuses.
    #[error("{0}: {1}")]
    System(&'static str, #[source] std::io::Error),
}

impl Error {
    /// The number that the caller knows: SSH_SK_ERR_*.
    pub(crate) fn number(&self) -> i32 {
        match self {
            Self::Unsupported(_) => -2,
            Self::NoPlace | Self::NoDaemon(_) | Self::Socket(_) => -4,
            Self::Exists => -5,
            _ => -1,
        }
    }
}

impl From<SocketError> for Error {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Absent(_) => Self::NoDaemon(error),
            error => Self::Socket(error),
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Daemon(Box::new(status))
    }
}
