//! Questions to the user, put to all front ends at once: the first valid answer counts.
//!
//! Depends on siblings in `authenticator` and on tokio only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Sources;
use super::journal::{Asker, Happened, Journal};
use crate::authenticator::{Consent, ConsentRequest, Decision, Timestamp, Verification};

/// Names one question for as long as the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub u64);

/// What is special about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Occasion {
    /// Nothing: a code was scanned, or a program of this machine asks.
    Asked,
    /// The laptop that showed the code wants to be remembered: whoever agrees lets it ring from then on.
    WantsLink,
    /// A laptop that is remembered has rung; nobody scanned anything.
    Rung,
}

impl Occasion {
    /// The name for machines, of what is special.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Asked => None,
            Self::WantsLink => Some("wants-link"),
            Self::Rung => Some("rung"),
        }
    }

    /// What to tell the user about it, if anything.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Asked => None,
            Self::WantsLink => Some(
                "The computer asks to be remembered: if you agree, it can ring this phone without a code \
                 from now on.",
            ),
            Self::Rung => {
                Some("A computer that this phone remembers has rung; no code was scanned.")
            }
        }
    }
}

/// What the user is asked, and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Names it.
    pub id: QuestionId,
    /// Who wants it. Nobody vouches for what a laptop says about itself or about a site.
    pub asker: Asker,
    /// What else there is to know.
    pub occasion: Occasion,
    /// Since when it is open.
    pub asked_at: Timestamp,
    /// The question.
    pub request: ConsentRequest,
}

impl Question {
    /// How many answers there are to "which account?"; 1 where there is no choice.
    #[must_use]
    pub fn choices(&self) -> usize {
        match &self.request {
            ConsentRequest::SignIn { accounts, pick: true, .. } => accounts.len(),
            _ => 1,
        }
    }
}

/// How a question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The user agreed and was verified.
    Approved,
    /// The user said no.
    Declined,
    /// Too many wrong PINs.
    LockedOut,
    /// Nobody answered in time, or whoever asked is gone.
    Withdrawn,
}

/// The questions that are open.
///
/// There are never more than transactions and programs that wait: each has one at most.
pub(super) struct Broker {
    open: Mutex<Open>,
    journal: Arc<Journal>,
    sources: Sources,
    standing: Option<Verification>,
}

#[derive(Default)]
struct Open {
    last: u64,
    questions: BTreeMap<QuestionId, (Question, oneshot::Sender<Decision>)>,
}

impl Broker {
    /// With `standing`, everything is approved at once, as its owner said beforehand.
    pub(super) fn new(
        journal: Arc<Journal>,
        sources: Sources,
        standing: Option<Verification>,
    ) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), journal, sources, standing })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        self.open().questions.values().map(|(question, _)| question.clone()).collect()
    }

    pub(super) fn question(&self, id: QuestionId) -> Option<Question> {
        self.open().questions.get(&id).map(|(question, _)| question.clone())
    }

    fn put(
        &self,
        asker: Asker,
        occasion: Occasion,
        request: ConsentRequest,
        tell: oneshot::Sender<Decision>,
    ) -> Question {
        let mut open = self.open();
        open.last += 1;
        let asked_at = (self.sources.clock)();
        let id = QuestionId(open.last);
        let question = Question { id, asker, occasion, asked_at, request };
        open.questions.insert(question.id, (question.clone(), tell));
        // Under the lock: whoever sees the question in the list has it in the journal too.
        self.journal.tell(asker, asked_at, Happened::Asked(question.clone()));
        question
    }

    /// Ends a question; false if it is over already.
    pub(super) fn settle(&self, id: QuestionId, decision: Decision) -> bool {
        let Some((question, tell)) = self.open().questions.remove(&id) else { return false };
        let how = match decision {
            Decision::Approved { .. } => Settled::Approved,
            Decision::Declined => Settled::Declined,
            Decision::LockedOut => Settled::LockedOut,
            Decision::TimedOut | Decision::Cancelled | Decision::NotVerified => Settled::Withdrawn,
        };
        let what = Happened::Settled { question: id, how };
        self.journal.tell(question.asker, (self.sources.clock)(), what);
        // Whoever asked may be gone by now; then the answer is nobody's.
        tell.send(decision).is_ok()
    }
}

/// Asks through the broker on somebody's behalf; a question that is not waited for any more is
/// withdrawn.
#[derive(Clone)]
pub struct Asking {
    pub(super) broker: Arc<Broker>,
    pub(super) asker: Asker,
    pub(super) occasion: Occasion,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Consent for Asking {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        let (tell, told) = oneshot::channel();
        let standing = self.broker.standing.map(|proof| request.approved_beforehand(proof));
        let question = self.broker.put(self.asker, self.occasion, request, tell);
        let _withdrawn = Withdrawal { broker: &self.broker, id: question.id };
        if let Some(decision) = standing {
            self.broker.settle(question.id, decision);
        }
        told.await.unwrap_or(Decision::Cancelled)
    }
}

struct Withdrawal<'a> {
    broker: &'a Broker,
    id: QuestionId,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.broker.settle(self.id, Decision::Cancelled);
    }
}
