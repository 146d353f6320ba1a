//! What plugs into the service: front ends that are told of questions, and other ways to verify.
//!
//! Depends on siblings in `authenticator` only.

use std::collections::BTreeSet;
use std::future::Future;

use super::question::{Question, QuestionId};
use super::{Error, Service};
use crate::authenticator::{Decision, Verification};

/// Shows questions somewhere. To answer, it calls [`Service::approve`] and its siblings.
pub trait Prompter: Send {
    /// Show this question. Not for long: the next one is told when this returns.
    fn asked(&mut self, question: &Question) -> impl Future<Output = ()> + Send;

    /// Take it away: it was answered, here or elsewhere, or whoever asked is gone.
    fn withdrawn(&mut self, id: QuestionId) -> impl Future<Output = ()> + Send;
}

/// What a [`Verifier`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is the user.
    Verified,
    /// It is not, or not recognised; the question stays open.
    NotVerified,
    /// It was tried too often; another way is left to the user.
    Exhausted,
    /// It cannot be told: no reader, nobody enrolled, no answer from the system.
    Unavailable,
}

/// Verifies the user in another way than by the PIN, such as by fingerprint.
///
/// It must have counted its own tries, and put a limit to its wait.
pub trait Verifier: Send + Sync {
    /// Verifies the user for this question. Dropped when the question is over.
    fn verify(&self, question: &Question) -> impl Future<Output = Verdict> + Send;
}

impl Service {
    /// Keeps a front end up to date, without end: first the questions that are open, then each
    /// change. Drop it to take the front end away.
    pub async fn prompt(&self, prompter: &mut impl Prompter) {
        let mut events = self.events(None);
        events.skip_to_now();
        let mut shown = BTreeSet::new();
        loop {
            let open = self.questions();
            let ids: BTreeSet<_> = open.iter().map(|question| question.id).collect();
            for gone in shown.difference(&ids) {
                prompter.withdrawn(*gone).await;
            }
            for question in open.iter().filter(|question| !shown.contains(&question.id)) {
                prompter.asked(question).await;
            }
            shown = ids;
            // Whatever it is, also if some were missed: what is open is looked up.
            if events.next().await.is_none() {
                return;
            }
        }
    }

    /// Says yes, as the user whom `verifier` recognises.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchQuestion`], also when it is over before the user is recognised;
    /// [`Error::NoSuchAccount`], [`Error::NotVerified`]. The question stays open then.
    pub async fn approve_by(
        &self,
        id: QuestionId,
        account: usize,
        verifier: &impl Verifier,
    ) -> Result<(), Error> {
        let question = self.check(id, account)?;
        let mut events = self.events(None);
        events.skip_to_now();
        let over = async {
            while self.broker.question(id).is_some() {
                if events.next().await.is_none() {
                    break;
                }
            }
        };
        let verdict = tokio::select! {
            biased;
            () = over => return Err(Error::NoSuchQuestion),
            verdict = verifier.verify(&question) => verdict,
        };
        match verdict {
            Verdict::Verified => {
                let verification = Verification::by_verifier();
                self.settle(id, Decision::Approved { account, verification })
            }
            verdict => Err(Error::NotVerified { verdict }),
        }
    }
}
