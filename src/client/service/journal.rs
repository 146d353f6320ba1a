//! What happened, as front ends are told.
//!
//! Depends on siblings in `client` and on `journal` only.

use std::sync::Arc;

use crate::client::receipts::ReceiptNumber;
use crate::client::{Progress, ceremony};
pub use crate::journal::KEPT_EVENTS;
use crate::journal::{self, Told};
use crate::printable::{printable, printable_within};

/// Names one transaction for as long as the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// Something happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts up by one; a gap tells that what lay between is not kept any more.
    pub number: u64,
    /// In which transaction.
    pub transaction: TransactionId,
    /// When, Unix time in seconds.
    pub at: u64,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A program asked for something.
    Begun(About),
    /// The next step was done. While the radio listens the code is to be shown, see
    /// [`super::Service::code`].
    Step(Progress),
    /// The phone is remembered from now on, under this name.
    Linked(String),
    /// The answer is there for the program.
    Answered,
    /// A remark that stops nothing.
    Note(String),
    /// It is over; with the error if it did not come to a good end.
    Ended(Option<Arc<ceremony::Error>>),
    /// The program left without the answer: the phone may have a passkey that nobody knows.
    MayBeOrphaned(ReceiptNumber),
}

/// What a transaction is about, in the program's words, which nobody vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub(super) purpose: Purpose,
    pub(super) rp_id: String,
    pub(super) user_name: String,
}

impl About {
    /// What is wanted, for which relying party, and for which account; empty where the program did not
    /// say. The texts are made printable.
    #[must_use]
    pub fn new(purpose: Purpose, rp_id: &str, user_name: &str) -> Self {
        let rp_id = printable_within(rp_id, MAX_RP_ID);
        Self { purpose, rp_id, user_name: printable(user_name) }
    }

    /// What is wanted.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The relying party.
    #[must_use]
    pub fn rp_id(&self) -> &str {
        &self.rp_id
    }

    /// The account.
    #[must_use]
    pub fn user_name(&self) -> &str {
        &self.user_name
    }
}

/// The longest name of a domain.
const MAX_RP_ID: usize = 253;

/// What a program wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// To make a passkey.
    Register,
    /// To sign in.
    SignIn,
    /// To know whether this key is meant, among several; no phone is asked.
    Select,
}

impl Purpose {
    /// The name for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign-in",
            Self::Select => "select",
        }
    }
}

/// What happened and what will happen; see [`journal::Events`].
pub type Events = journal::Events<Event>;

/// The events of this service.
pub(super) type Journal = journal::Journal<Event>;

impl Told for Event {
    type Subject = TransactionId;

    fn number(&self) -> u64 {
        self.number
    }

    fn concerns(&self, transaction: TransactionId) -> bool {
        self.transaction == transaction
    }

    fn is_last(&self) -> bool {
        matches!(self.what, Happened::Ended(_))
    }
}
