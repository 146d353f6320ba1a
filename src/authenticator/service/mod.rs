//! The phone as a service: one store, one radio, many front ends.
//!
//! ```text
//!  front ends ──submit──> transactions ──> Phone ──> engine ──asks──> questions
//!      │  ^                                   └────progress──┐            │
//!      │  └──────────────events────────────── journal <──────┴────────────┘
//!      └─────────approve, decline──────────────────────────────────> questions
//! ```
//!
//! Any number of front ends (a socket, a page, a notification, a terminal) see the same events and
//! questions; the first valid answer to a question counts, and an approval needs a verified user.
//! Nothing here knows who the front ends are. May depend on siblings in `authenticator` and on what
//! these depend on.

mod error;
mod journal;
mod moving;
mod plug;
mod question;
mod ringing;
mod setup;
mod transactions;
mod vanish;
mod vault;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::Error;
use self::journal::Journal;
pub use self::journal::{
    Answered, Asker, Event, Events, Happened, KEPT_EVENTS, TransactionId, Whom,
};
pub use self::moving::{Copy, MoveId, Planned};
pub use self::plug::{Prompter, Verdict, Verifier};
use self::question::Broker;
pub use self::question::{Asking, Occasion, Question, QuestionId, Settled};
use self::ringing::Bells;
pub use self::ringing::Listening;
pub use self::setup::{Setup, Sources};
pub use self::transactions::MAX_RUNNING;
use self::transactions::{Running, Work};
use self::vanish::Ending;
pub use self::vanish::{Milestone, Staging};
pub use self::vault::Vault;
use super::{Decision, Engine, Pin, Store, Verification, store};
use crate::hybrid::qr::QrContents;

/// A code that was shown longer ago than this is refused.
pub const MAX_CODE_AGE: Duration = Duration::from_secs(15 * 60);

/// The service; clones are the same one.
#[derive(Clone)]
pub struct Service {
    vault: Vault,
    journal: Arc<Journal>,
    broker: Arc<Broker>,
    running: Running,
    bells: Arc<Bells>,
    sources: Sources,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("locked", &self.vault.is_locked()).finish_non_exhaustive()
    }
}

impl Service {
    /// Starts with nothing running. Needs a tokio runtime for what follows.
    ///
    /// # Errors
    ///
    /// [`Error::SimulatedRadio`], as [`super::Phone::new`] has it.
    pub fn new(setup: Setup) -> Result<Self, Error> {
        let Setup { locked, open, radio, phone, engine, name, standing, sources } = setup;
        if !phone.suits(&radio) {
            return Err(Error::SimulatedRadio);
        }
        let journal = Journal::new();
        let broker = Broker::new(Arc::clone(&journal), sources.clone(), standing);
        let vault = Vault::new(locked, open, sources.clone());
        let bells = Bells::new(name.as_deref().filter(|_| !phone.relay.is_public()));
        let running = Running::new(radio, phone, engine);
        Ok(Self { vault, journal, broker, running, bells: Arc::new(bells), sources })
    }

    /// The store, to lock and unlock it and to tidy up its passkeys. Transactions that run when it is
    /// locked keep what they need until they are over. Whoever has a vault can export all that is in it;
    /// a front end uses [`Self::export`], which verifies its user.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Answers the laptop that shows this code; `any_age` takes one that seems too old.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::Busy`], [`Error::CodeTooOld`], [`Error::Stopping`]. What goes
    /// wrong later is an event.
    pub fn submit(&self, contents: QrContents, any_age: bool) -> Result<TransactionId, Error> {
        self.begin(contents, any_age, Staging::default())
    }

    fn begin(
        &self,
        contents: QrContents,
        any_age: bool,
        staging: Staging,
    ) -> Result<TransactionId, Error> {
        let age = contents.shown_at.map_or(0, |at| (self.sources.clock)().0.saturating_sub(at));
        if age > MAX_CODE_AGE.as_secs() && !any_age {
            return Err(Error::CodeTooOld { seconds: age });
        }
        self.running.begin(self, Work::Scanned(Box::new(contents)), self.vault.store()?, staging)
    }

    /// [`Self::submit`] for the text of a code, which begins with `FIDO:/`.
    ///
    /// # Errors
    ///
    /// [`Error::NoCode`], and those of [`Self::submit`].
    pub fn submit_text(&self, text: &str, any_age: bool) -> Result<TransactionId, Error> {
        self.submit(QrContents::decode(text.trim()).map_err(Error::NoCode)?, any_age)
    }

    /// Ends a transaction in order: its laptop sees that the phone hangs up.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTransaction`].
    pub fn cancel(&self, transaction: TransactionId) -> Result<(), Error> {
        self.running.end(transaction, Ending::HangUp)
    }

    /// What happened and what will happen, in one transaction or in all.
    #[must_use]
    pub fn events(&self, only: Option<TransactionId>) -> Events {
        self.journal.read(only)
    }

    /// The questions that wait for an answer, oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        self.broker.questions()
    }

    /// Says yes, as the user whose PIN this is. A wrong PIN leaves the question open; too many end it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchQuestion`], [`Error::NoSuchAccount`], [`store::Error::WrongPin`],
    /// [`store::Error::LockedOut`], and those of the file.
    pub async fn approve(&self, id: QuestionId, account: usize, pin: Pin) -> Result<(), Error> {
        self.check(id, account)?;
        match self.vault.unlock(pin).await {
            Ok(verification) => self.approve_verified(id, account, verification),
            Err(error @ Error::Store(store::Error::LockedOut { .. })) => {
                self.broker.settle(id, Decision::LockedOut);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Says yes for a user who was verified in another way.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchQuestion`], [`Error::NoSuchAccount`].
    pub fn approve_verified(
        &self,
        id: QuestionId,
        account: usize,
        verification: Verification,
    ) -> Result<(), Error> {
        self.check(id, account)?;
        self.settle(id, Decision::Approved { account, verification })
    }

    /// Says no; to [`super::ConsentRequest::NothingFound`], that it was seen.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchQuestion`].
    pub fn decline(&self, id: QuestionId) -> Result<(), Error> {
        self.settle(id, Decision::Declined)
    }

    /// An authenticator for programs on this machine, which asks through this service.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`]. It keeps the store open from here on, whatever is locked later.
    pub fn engine_for_programs(&self) -> Result<Engine<Store, Asking>, Error> {
        let engine = self.running.engine_config().clone();
        Ok(Engine::new(self.vault.store()?, self.asking_for_programs(), engine))
    }

    /// A consent for requests of programs on this machine, which come in no transaction.
    #[must_use]
    pub fn asking_for_programs(&self) -> Asking {
        let occasion = Occasion::Asked;
        Asking { broker: Arc::clone(&self.broker), asker: Asker::Program, occasion }
    }

    /// Takes no more codes, ends what runs in order, and waits for that, at most so long.
    pub async fn stop(&self, patience: Duration) {
        self.running.stop(patience).await;
    }

    fn check(&self, id: QuestionId, account: usize) -> Result<Question, Error> {
        let question = self.broker.question(id).ok_or(Error::NoSuchQuestion)?;
        match account < question.choices() {
            true => Ok(question),
            false => Err(Error::NoSuchAccount { number: account }),
        }
    }

    fn settle(&self, id: QuestionId, decision: Decision) -> Result<(), Error> {
        match self.broker.settle(id, decision) {
            true => Ok(()),
            false => Err(Error::NoSuchQuestion),
        }
    }
}

#[cfg(test)]
mod tests;
