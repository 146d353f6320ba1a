//! Why the service did not do what it was asked.
//!
//! Depends on siblings in `authenticator` only.

use super::{MAX_RUNNING, Verdict};
use crate::authenticator::store;
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
    /// The service is being shut down.
    #[error("the service is stopping")]
    Stopping,
    /// A simulated radio proves no nearness, so it is not combined with the public services.
    #[error("a simulated radio is not used with a public tunnel service")]
    SimulatedRadio,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
}
