//! The laptop as a service: one radio, many programs at once, receipts for what they were given.
//!
//! ```text
//!  front ends ──begin──> Transaction ──> Ceremony ──> Carrier ──> Client ──> the phone
//!      ^                                                 │ └──> receipts
//!      └───────events──────────── journal <──────────────┘
//! ```
//!
//! A transaction belongs to whoever began it and is withdrawn when that one lets go of it; everybody
//! else may watch it and cancel it. A registration's answer counts as taken when the program says so;
//! if it never does, the phone may have a passkey that no site knows, and everybody is told. Nothing
//! here knows who the front ends are. May depend on siblings in `client` and on what these depend on.

mod board;
mod carrier;
mod dial;
mod journal;
mod ledger;
mod list;
mod selection;
mod transaction;
mod way;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand_core::CryptoRngCore;

pub use self::board::{Board, Card, Stage};
pub use self::carrier::Carrier;
use self::journal::Journal;
pub use self::journal::{About, Event, Events, Happened, KEPT_EVENTS, Purpose, TransactionId};
use self::list::List;
pub use self::list::MAX_RUNNING;
use self::selection::Selection;
pub use self::transaction::Transaction;
pub use self::way::Way;
use super::Client;
use super::ceremony::Ceremony;
use super::phones::Phones;
use super::receipts::Receipts;
use crate::ble::Proximity;
use crate::hybrid::qr::Hint;

/// Where time and randomness come from.
#[derive(Clone)]
pub struct Sources {
    /// Unix time in seconds.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// A source of unpredictable bytes, one for each user of it.
    pub rng: Arc<dyn Fn() -> Box<dyn CryptoRngCore + Send> + Send + Sync>,
}

/// Why a transaction was not begun, or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// So many run that one more has to wait.
    #[error("{MAX_RUNNING} requests are under way already")]
    Busy,
    /// The service is being shut down.
    #[error("the service is stopping")]
    Stopping,
    /// No transaction of that number runs.
    #[error("there is no such request, or it is over")]
    NoSuchTransaction,
}

impl Error {
    /// The name of the cause for machines.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::NoSuchTransaction => "no-such-transaction",
        }
    }
}

/// The service; clones are the same one.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    client: Client,
    receipts: Option<Receipts>,
    phones: Option<Phones>,
    sources: Sources,
    journal: Arc<Journal>,
    list: List,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("client", &self.0.client).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts with nothing running; without a place for receipts none are kept. Needs a tokio runtime
    /// for what follows.
    #[must_use]
    pub fn new(client: Client, receipts: Option<Receipts>, sources: Sources) -> Self {
        Self::remembering(client, receipts, None, sources)
    }

    /// [`Self::new`], with a place for phones that are remembered.
    #[must_use]
    pub fn remembering(
        client: Client,
        receipts: Option<Receipts>,
        phones: Option<Phones>,
        sources: Sources,
    ) -> Self {
        let (journal, list) = (Journal::new(), List::default());
        Self(Arc::new(Inner { client, receipts, phones, sources, journal, list }))
    }

    /// Begins a ceremony. How it goes is told by [`Self::events`]; the answer is for the holder of what
    /// this gives, who withdraws it by letting go.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopping`].
    pub fn begin(&self, ceremony: Ceremony) -> Result<Transaction, Error> {
        self.begin_by(Way::code(), ceremony)
    }

    /// [`Self::begin`], by this way.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopping`].
    pub fn begin_by(&self, way: Way, ceremony: Ceremony) -> Result<Transaction, Error> {
        let purpose = match &ceremony {
            Ceremony::Register(_) => Purpose::Register,
            Ceremony::SignIn { .. } => Purpose::SignIn,
        };
        let about = About::new(purpose, ceremony.rp_id(), ceremony.user_name());
        let carrier = self.carrier(way, ceremony.hint(), about, ceremony.timeout())?;
        Ok(Transaction::start(self.clone(), carrier, ceremony))
    }

    /// Begins a transaction for somebody who speaks CTAP2: a code is shown, and whoever scans it within
    /// `timeout` answers what is asked. The code's hint follows from what it is about.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopping`].
    pub fn carry(&self, about: About, timeout: Duration) -> Result<Carrier, Error> {
        self.carry_by(Way::code(), about, timeout)
    }

    /// [`Self::carry`], by this way.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`], [`Error::Stopping`].
    pub fn carry_by(&self, way: Way, about: About, timeout: Duration) -> Result<Carrier, Error> {
        let hint = match about.purpose {
            Purpose::Register => Hint::MakeCredential,
            Purpose::SignIn | Purpose::Select => Hint::GetAssertion,
        };
        self.carrier(way, hint, about, timeout)
    }

    fn carrier(
        &self,
        way: Way,
        hint: Hint,
        about: About,
        timeout: Duration,
    ) -> Result<Carrier, Error> {
        let (id, cancelled) = self.0.list.enter()?;
        Ok(Carrier::start(self.clone(), id, cancelled, way, hint, about, timeout))
    }

    /// The text of the code that a transaction shows, as long as it waits for a phone.
    #[must_use]
    pub fn code(&self, transaction: TransactionId) -> Option<String> {
        self.0.list.code(transaction)
    }

    /// The name of the phone that a transaction rings, as long as it waits for it.
    #[must_use]
    pub fn rung(&self, transaction: TransactionId) -> Option<String> {
        self.0.list.rung(transaction)
    }

    /// Whether phones may do without internet.
    #[must_use]
    pub fn offers_l2cap(&self) -> bool {
        self.0.client.offers_l2cap()
    }

    /// To what being heard proves that a phone is near.
    #[must_use]
    pub fn proximity(&self) -> Proximity {
        self.0.client.proximity()
    }

    /// Ends a transaction in order: its phone, if it is there, is told.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTransaction`].
    pub fn cancel(&self, transaction: TransactionId) -> Result<(), Error> {
        self.0.list.cancel(transaction)
    }

    /// Says that the key of this laptop is meant, to all programs that want to know.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTransaction`] if none does.
    pub fn touch(&self) -> Result<(), Error> {
        self.0.list.touch()
    }

    /// Waits until somebody says that this key is [meant](Self::touch), at most so long.
    pub(super) async fn select(&self, patience: Duration) -> bool {
        Selection::begin(self).touched(patience).await
    }

    /// What happened and what will happen, in one transaction or in all.
    #[must_use]
    pub fn events(&self, only: Option<TransactionId>) -> Events {
        self.0.journal.read(only)
    }

    /// Transactions that are not over yet.
    #[must_use]
    pub fn running(&self) -> Vec<TransactionId> {
        self.0.list.running()
    }

    /// Takes no more requests, ends what runs in order, and waits for that, at most so long.
    pub async fn stop(&self, patience: Duration) {
        self.0.list.stop(patience).await;
    }

    fn note(&self, transaction: TransactionId, what: Happened) {
        let at = (self.0.sources.clock)();
        self.0.journal.note(|number| Event { number, transaction, at, what });
    }
}
