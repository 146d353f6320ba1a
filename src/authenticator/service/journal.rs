//! What happened, kept within bounds, for front ends that come late or are slow.
//!
//! Depends on siblings in `authenticator` and on tokio only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::question::{Question, QuestionId, Settled};
use crate::authenticator::{CredentialId, Error, Timestamp};
use crate::ctap;
use crate::hybrid::qr::ChannelKind;

/// Events that are kept, of all transactions together.
pub const KEPT_EVENTS: usize = 1024;

/// Names one transaction for as long as the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// Who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asker {
    /// A laptop, in this transaction.
    Laptop(TransactionId),
    /// A program on this very machine, through the virtual key.
    Program,
}

/// Something happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts up by one; a gap tells that what lay between is not kept any more.
    pub number: u64,
    /// Whom it is about.
    pub asker: Asker,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// The code was read, the transaction has begun.
    Scanned,
    /// The tunnel is being opened.
    OpeningTunnel,
    /// There is no tunnel, so that Bluetooth alone has to do; with the reason, in words.
    WithoutTunnel(String),
    /// On the air.
    Advertising,
    /// The laptop that showed the code is there.
    Connected {
        /// Over which kind of data channel.
        via: ChannelKind,
    },
    /// The user is asked.
    Asked(Question),
    /// The question is over.
    Settled {
        /// Which.
        question: QuestionId,
        /// How it went.
        how: Settled,
    },
    /// A request was answered.
    Answered(Answered),
    /// The laptop took the last answer.
    Acknowledged,
    /// The transaction is over; with the error if it did not come to a good end. A refusal is none.
    Ended(Option<Arc<Error>>),
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// A passkey was made and saved.
    Saved(Whom),
    /// A passkey signed.
    SignedIn(Whom),
    /// An account was offered to the laptop, whose user chooses there.
    Offered(Whom),
    /// Refused, with this status.
    Refused(ctap::Status),
    /// The store failed, in words.
    StoreFailed(String),
    /// Something that concerns no passkey.
    Other,
}

/// For whom a passkey is. Texts are printable and bounded; who is named is the laptop's word only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The passkey.
    pub credential: CredentialId,
    /// The site, empty if the passkey is gone already.
    pub rp_id: String,
    /// The account, empty if it has no name.
    pub account: String,
}

/// The last [`KEPT_EVENTS`] events.
pub(super) struct Journal {
    kept: Mutex<Kept>,
    next: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Event>,
    next: u64,
}

impl Journal {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), next: watch::Sender::new(0) })
    }

    /// Nothing panics while it is held, and a list of events is never half-written.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, asker: Asker, at: Timestamp, what: Happened) {
        let mut kept = self.kept();
        let number = kept.next;
        kept.next += 1;
        kept.events.push_back(Event { number, asker, at, what });
        if kept.events.len() > KEPT_EVENTS {
            kept.events.pop_front();
        }
        self.next.send_replace(kept.next);
    }

    /// From the oldest that is kept on, of one transaction or of all.
    pub(super) fn read(self: &Arc<Self>, only: Option<TransactionId>) -> Events {
        Events {
            next: 0,
            only,
            ended: false,
            news: self.next.subscribe(),
            journal: Arc::clone(self),
        }
    }
}

/// Events in order: first those that are kept, then those to come.
///
/// A reader that is too slow misses the oldest, which the numbers show; it never holds anybody up.
#[derive(Debug)]
pub struct Events {
    journal: Arc<Journal>,
    news: watch::Receiver<u64>,
    next: u64,
    only: Option<TransactionId>,
    ended: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Events {
    /// The next event; of a single transaction, `None` after its end. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            self.news.mark_unchanged();
            if let Some(event) = self.kept() {
                return Some(event);
            }
            if self.news.changed().await.is_err() {
                break;
            }
        }
        None
    }

    /// Only those that follow are read from here on.
    pub fn skip_to_now(&mut self) {
        self.next = self.journal.kept().next;
    }

    fn kept(&mut self) -> Option<Event> {
        let kept = self.journal.kept();
        let wanted = |event: &&Event| match (self.only, event.asker) {
            (None, _) => true,
            (Some(only), Asker::Laptop(transaction)) => only == transaction,
            (Some(_), Asker::Program) => false,
        };
        let first = kept.events.front().map_or(kept.next, |event| event.number);
        let skip = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
        let event = kept.events.iter().skip(skip).find(wanted).cloned();
        self.next = event.as_ref().map_or(kept.next, |event| event.number + 1);
        self.ended =
            self.only.is_some() && matches!(&event, Some(Event { what: Happened::Ended(_), .. }));
        event
    }
}
