//! Why the service did not do what it was asked.
//!
//! Depends on siblings in `authenticator` only.

use super::{MAX_RUNNING, Verdict};
use crate::authenticator::store::{self, exchange::OpenError};
use crate::hybrid::qr;

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store is locked: unlock it first.
    #[error("the passkeys are locked")]
    Locked,
    /// So many laptops are being answered that one more has to wait.
    #[error("{MAX_RUNNING} codes are being answered already")]
    Busy,
    /// The code was shown too long ago, by the clocks of both sides.
    #[error("this code is too old: it was shown {} minutes ago", .seconds / 60)]
    CodeTooOld {
        /// Seconds since then.
        seconds: u64,
    },
    /// The text is no code.
    #[error("this is no code for passkeys")]
    NoCode(#[source] qr::Error),
    /// The question was answered elsewhere, or it was withdrawn.
    #[error("there is no such question any more")]
    NoSuchQuestion,
    /// The question does not have that many accounts.
    #[error("the question has no account number {number}")]
    NoSuchAccount {
        /// What was chosen, counted from 0.
        number: usize,
    },
    /// The user was not verified by what was to do it.
    #[error("you were not recognised")]
    NotVerified {
        /// What it said; never [`Verdict::Verified`].
        verdict: Verdict,
    },
    /// No transaction of that number runs.
    #[error("there is no such transaction, or it is over")]
    NoSuchTransaction,
    /// No computer of that ID is remembered.
    #[error("no such computer is remembered")]
    NoSuchLink,
    /// The service is being shut down.
    #[error("the service is stopping")]
    Stopping,
    /// A simulated radio proves no nearness, so it is not combined with the public services.
    #[error("a simulated radio is not used with a public tunnel service")]
    SimulatedRadio,
    /// The file to import does not open, or the one to export cannot be encrypted like that.
    #[error(transparent)]
    Envelope(#[from] OpenError),
    /// The file opens and is something else.
    #[error("the file holds no document of the Credential Exchange Format")]
    NoDocument,
    /// Another export or import came after it, or it is done.
    #[error("there is no such export or import any more")]
    NoSuchMove,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// The name of the cause for machines.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        use store::Error as S;
        match self {
            Self::Locked => "locked",
            Self::Busy => "busy",
            Self::CodeTooOld { .. } => "code-too-old",
            Self::NoCode(_) => "no-code",
            Self::NoSuchQuestion => "no-such-question",
            Self::NoSuchAccount { .. } => "no-such-account",
            Self::NoSuchLink => "no-such-link",
            Self::NoSuchTransaction => "no-such-transaction",
            Self::NotVerified { .. } => "not-verified",
            Self::Stopping => "stopping",
            Self::NoSuchMove => "no-such-move",
            Self::NoDocument => "no-document",
            Self::Envelope(OpenError::NoKey) => "no-age-key",
            Self::Envelope(OpenError::WrongKey) => "wrong-age-key",
            Self::Envelope(OpenError::Damaged) => "no-age-file",
            Self::Envelope(OpenError::TooMuchWork) => "too-much-work",
            Self::Store(S::WrongPin { .. }) => "wrong-pin",
            Self::Store(S::LockedOut { .. }) => "locked-out",
            Self::Store(S::NoSuchPasskey) => "no-such-passkey",
            Self::Store(S::AlreadyExists) => "already-there",
            Self::Store(S::TooLarge) => "too-large",
            Self::Store(_) | Self::Envelope(_) | Self::SimulatedRadio => "storage",
        }
    }
}
