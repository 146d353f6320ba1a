//! What happened, as front ends are told.
//!
//! Depends on siblings in `authenticator` and on `journal` only.

use std::sync::Arc;

use super::question::{Question, QuestionId, Settled};
use crate::authenticator::{CredentialId, Error, Timestamp};
use crate::ctap;
use crate::hybrid::qr::ChannelKind;
pub use crate::journal::KEPT_EVENTS;
use crate::journal::{self, Told};

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
    /// A laptop that is remembered has rung, the transaction has begun.
    Rung,
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
    /// The laptop is remembered and may ring from now on.
    Linked,
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

/// What happened and what will happen; see [`journal::Events`].
pub type Events = journal::Events<Event>;

/// The events of this service.
pub(super) type Journal = journal::Journal<Event>;

impl Journal {
    pub(super) fn tell(&self, asker: Asker, at: Timestamp, what: Happened) {
        self.note(|number| Event { number, asker, at, what });
    }
}

impl Told for Event {
    type Subject = TransactionId;

    fn number(&self) -> u64 {
        self.number
    }

    fn concerns(&self, transaction: TransactionId) -> bool {
        self.asker == Asker::Laptop(transaction)
    }

    fn is_last(&self) -> bool {
        matches!(self.what, Happened::Ended(_))
    }
}
