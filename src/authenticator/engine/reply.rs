//! Answers: bytes for the client, and what they mean to the phone.
//!
//! Depends on [`crate::ctap`] and siblings only.

use std::fmt;

use super::Failure;
use crate::authenticator::{CredentialId, store};
use crate::ctap::{Status, respond};

/// An answer for the client, and what it means to the phone. `Debug` leaves the bytes out, which may
/// hold `prf` outputs.
#[must_use]
pub struct Reply {
    /// Status byte and body.
    pub bytes: Vec<u8>,
    /// What happened.
    pub outcome: Outcome,
}

/// What answering a message did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing that concerns a passkey.
    Answered,
    /// A passkey was made and saved; call [`super::Engine::delivered`] once the client has the answer.
    Saved {
        /// The new passkey.
        credential: CredentialId,
    },
    /// A passkey signed; call [`super::Engine::delivered`] once the client has the answer.
    SignedIn {
        /// The one that signed.
        credential: CredentialId,
        /// The client named it although no registration was confirmed: it did arrive then.
        first_proof: bool,
    },
    /// One of several accounts was listed. Which of them signs in is chosen on the client, and not
    /// known here.
    Offered {
        /// The one that signed.
        credential: CredentialId,
    },
    /// The request was refused; the client got this status.
    Refused(Status),
    /// The store failed; the client got a status that says so.
    StoreFailed(store::Error),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Reply");
        out.field("status", &self.status()).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Reply {
    pub(super) fn failed(failure: Failure) -> Self {
        let (status, outcome) = match failure {
            Failure::Status(status) => (status, Outcome::Refused(status)),
            Failure::Store(error) => (store_status(&error), Outcome::StoreFailed(error)),
        };
        Self { bytes: respond(Err(status)), outcome }
    }

    /// The status byte.
    #[must_use]
    pub fn status(&self) -> Status {
        self.bytes.first().map_or(Status::OTHER, |byte| Status(*byte))
    }
}

fn store_status(error: &store::Error) -> Status {
    match error {
        store::Error::DiskFull(_) => Status::KEY_STORE_FULL,
        _ => Status::OTHER,
    }
}
