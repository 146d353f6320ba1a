//! A phone that is suddenly gone, as one whose battery is empty: for tests of what a laptop and a site make
//! of it. In contrast to a transaction that is cancelled nothing is said and nothing is put in order.
//!
//! Depends on siblings in `authenticator` and on tokio only.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::{Notify, oneshot};

use super::{Error, Service, TransactionId};
use crate::authenticator::{Outcome, Progress, RequestTap};
use crate::hybrid::qr::QrContents;

/// A point of a transaction after which a phone may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Milestone {
    /// It is on the air.
    Advertising,
    /// The handshake is done.
    Connected,
    /// An answer that concerns a passkey, or a refusal, was sent; whether it arrives nobody knows.
    Answered,
}

/// What a test has in store for one transaction.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    /// Where the phone is gone, if it is.
    pub until: Option<Milestone>,
    /// Who sees the requests.
    pub tap: Option<RequestTap>,
}

impl Milestone {
    fn is(self, progress: &Progress<'_>) -> bool {
        match (self, progress) {
            (Self::Advertising, Progress::Advertising)
            | (Self::Connected, Progress::Connected { .. }) => true,
            (Self::Answered, Progress::Answered(outcome)) => !matches!(outcome, Outcome::Answered),
            _ => false,
        }
    }
}

/// How a transaction is ended from outside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// The laptop is told.
    HangUp,
    /// It is not.
    Vanish,
}

/// Ends one transaction without a word.
#[derive(Default)]
pub(super) struct Vanishing {
    at: Option<Milestone>,
    reached: AtomicBool,
    gone: Notify,
}

impl Vanishing {
    pub(super) fn at(at: Option<Milestone>) -> Self {
        Self { at, ..Self::default() }
    }

    pub(super) fn notice(&self, progress: &Progress<'_>) {
        if self.at.is_some_and(|milestone| milestone.is(progress)) {
            self.reached.store(true, Ordering::SeqCst);
        }
    }

    /// For the phone to wait on: ready when it is to hang up. Each step of the phone's looks here once it
    /// is done with what the step sends, so that an answer is out when the phone goes after it, and yields before it
    /// hears anything.
    pub(super) async fn or_hang_up(&self, ending: oneshot::Receiver<Ending>) {
        let milestone = poll_fn(|_| {
            if self.reached.load(Ordering::SeqCst) {
                self.gone.notify_one();
            }
            Poll::<()>::Pending
        });
        tokio::select! {
            biased;
            () = milestone => {}
            ending = ending => match ending {
                Ok(Ending::HangUp) => return,
                Ok(Ending::Vanish) => self.gone.notify_one(),
                // Nobody can end it any more, which is no reason to.
                Err(_) => {}
            },
        }
        pending().await
    }

    /// Ready when everything is to be dropped.
    pub(super) async fn gone(&self) {
        self.gone.notified().await;
    }
}

impl Service {
    /// [`Self::submit`] by a phone that is gone after `milestone`, without a word to anybody.
    ///
    /// # Errors
    ///
    /// Those of [`Self::submit`].
    pub fn submit_until(
        &self,
        contents: QrContents,
        any_age: bool,
        milestone: Milestone,
    ) -> Result<TransactionId, Error> {
        let until = Some(milestone);
        self.submit_staged(contents, any_age, Staging { until, ..Staging::default() })
    }

    /// [`Self::submit`] with what a test has in store for the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Self::submit`].
    pub fn submit_staged(
        &self,
        contents: QrContents,
        any_age: bool,
        staging: Staging,
    ) -> Result<TransactionId, Error> {
        self.begin(contents, any_age, staging)
    }

    /// Ends a transaction as [`Self::cancel`] does, but without a word: its laptop is left waiting, or
    /// learns from the tunnel service that the phone is gone.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTransaction`].
    pub fn vanish(&self, transaction: TransactionId) -> Result<(), Error> {
        self.running.end(transaction, Ending::Vanish)
    }

    /// The transactions that run and were not ended yet.
    #[must_use]
    pub fn running(&self) -> Vec<TransactionId> {
        self.running.ids()
    }
}
