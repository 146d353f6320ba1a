//! The desktop as a front end of the phone's service: questions as notifications, fingers as verification.
//!
//! ```text
//!  service ──question──> Notes ──words──> desktop::notify
//!     └─────question──> Fingers ────────> desktop::fingerprint
//! ```
//!
//! A notification shows on lock screens what the desktop lets it: [`Words::Discreet`] leaves out sites and
//! accounts. A button verifies nobody, so "Approve" is there only beside a way to verify. Depends on
//! `authenticator::service` and `desktop`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

use crate::authenticator::ConsentRequest;
use crate::authenticator::service::{
    self, Asker, Prompter, QuestionId, Service, Verdict, Verifier,
};
use crate::ctap::Permissions;
use crate::desktop::fingerprint::{self, Limits, Reader};
use crate::desktop::notify::{Answer, Notifier, Question};

/// Questions whose fingers are counted; there are never so many open.
const COUNTED: usize = 256;
const DECLINE: usize = 0;
const APPROVE: usize = 1;

/// Verifies by fingerprint, with one series of tries for each question.
#[derive(Debug)]
pub struct Fingers {
    reader: Reader,
    limits: Limits,
    /// Questions that a finger may not answer any more.
    exhausted: Mutex<BTreeSet<QuestionId>>,
}

impl Fingers {
    /// Verifies with this reader. `limits` count for each question, from the first answer to it.
    #[must_use]
    pub fn new(reader: Reader, limits: Limits) -> Self {
        Self { reader, limits, exhausted: Mutex::default() }
    }

    fn is_exhausted(&self, id: QuestionId) -> bool {
        self.exhausted.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn exhaust(&self, id: QuestionId) {
        let mut all = self.exhausted.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id);
        if all.len() > COUNTED {
            // Numbers only grow: the smallest is the oldest.
            all.pop_first();
        }
    }
}

impl Verifier for Fingers {
    async fn verify(&self, question: &service::Question) -> Verdict {
        if self.is_exhausted(question.id) {
            return Verdict::Exhausted;
        }
        match self.reader.verify(self.limits, |_| ()).await {
            Ok(fingerprint::Verdict::Matched(_proof)) => Verdict::Verified,
            Ok(fingerprint::Verdict::NotMatched) => {
                self.exhaust(question.id);
                Verdict::Exhausted
            }
            Ok(_) => Verdict::NotVerified,
            Err(error) => {
                tracing::debug!("no fingerprint: {}", super::failure::causes(&error));
                Verdict::Unavailable
            }
        }
    }
}

/// What a notification tells.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// The site and the account.
    Full,
    /// That there is a question, and nothing of it: for screens that others see.
    Discreet,
}

/// Shows the service's questions as notifications.
pub struct Notes {
    service: Service,
    notifier: Notifier,
    fingers: Option<Arc<Fingers>>,
    words: Words,
    elsewhere: String,
    shown: HashMap<QuestionId, AbortHandle>,
}

impl Notes {
    /// For the questions of `service`. `elsewhere` says where the PIN can be given, in one sentence.
    #[must_use]
    pub fn new(
        service: Service,
        notifier: Notifier,
        fingers: Option<Fingers>,
        words: Words,
        elsewhere: &str,
    ) -> Self {
        let (fingers, elsewhere) = (fingers.map(Arc::new), elsewhere.to_owned());
        Self { service, notifier, fingers, words, elsewhere, shown: HashMap::new() }
    }
}

impl Prompter for Notes {
    async fn asked(&mut self, question: &service::Question) {
        let task = Task {
            service: self.service.clone(),
            notifier: self.notifier.clone(),
            fingers: self.fingers.clone().filter(|_| question.choices() == 1),
            words: self.words,
            elsewhere: self.elsewhere.clone(),
            question: question.clone(),
        };
        let task = tokio::spawn(task.run()).abort_handle();
        self.shown.insert(question.id, task);
    }

    async fn withdrawn(&mut self, id: QuestionId) {
        if let Some(task) = self.shown.remove(&id) {
            task.abort();
        }
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.shown.values().for_each(AbortHandle::abort);
    }
}

/// One question on the screen.
struct Task {
    service: Service,
    notifier: Notifier,
    fingers: Option<Arc<Fingers>>,
    words: Words,
    elsewhere: String,
    question: service::Question,
}

impl Task {
    async fn run(self) {
        let mut remark = None;
        // Ends with the question: each round is an answer of the user, and the tries are counted.
        loop {
            let fingers = self.fingers.as_ref().filter(|own| !own.is_exhausted(self.question.id));
            let shown = self.shown(fingers.is_some(), remark);
            let answer = match self.notifier.ask(&shown).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!("no notification: {}", super::failure::causes(&error));
                    return;
                }
            };
            match (answer, fingers) {
                (Answer::Pressed(DECLINE), _) => {
                    // It may have been answered elsewhere in this very moment.
                    let _ = self.service.decline(self.question.id);
                    return;
                }
                (Answer::Pressed(APPROVE), Some(fingers)) => {
                    match self.service.approve_by(self.question.id, 0, &**fingers).await {
                        Err(service::Error::NotVerified { verdict }) => {
                            remark = Some(said(verdict))
                        }
                        _ => return,
                    }
                }
                (Answer::Opened, _) => remark = Some("A touch here answers nothing."),
                // Put aside: it stays open where it can be answered.
                _ => return,
            }
        }
    }

    fn shown(&self, can_approve: bool, remark: Option<&str>) -> Question {
        let (summary, mut lines) = match self.words {
            Words::Full => words(&self.question),
            Words::Discreet => ("A question about a passkey".to_owned(), Vec::new()),
        };
        lines.extend(remark.map(str::to_owned));
        let nothing = matches!(self.question.request, ConsentRequest::NothingFound { .. });
        let approve =
            (can_approve && self.can_be_judged_here()).then(|| "Approve by fingerprint".to_owned());
        if approve.is_none() && !nothing {
            lines.push(self.elsewhere.clone());
        }
        let buttons = [if nothing { "Tell the laptop" } else { "Decline" }.to_owned()]
            .into_iter()
            .chain(approve)
            .collect();
        Question { summary, lines, buttons, elsewhere: self.elsewhere.clone(), urgent: true }
    }
}

impl Task {
    /// Nobody approves by a touch what the notification does not say, what leaves a choice, or the end
    /// of everything.
    fn can_be_judged_here(&self) -> bool {
        use ConsentRequest as R;
        let weighty = matches!(self.question.request, R::NothingFound { .. } | R::Reset { .. });
        !weighty && self.words == Words::Full && self.question.choices() == 1
    }
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotVerified => "No finger was recognised in time.",
        Verdict::Exhausted => "The fingers were not recognised.",
        _ => "The fingerprint reader cannot be used now.",
    }
}

/// A question in one line, and what there is to know about it. The domain counts.
fn words(question: &service::Question) -> (String, Vec<String>) {
    let started = match question.asker {
        Asker::Laptop(_) => "The laptop says so. Did you start this?",
        _ => "A program on this device says so. Did you start this?",
    };
    let started = match question.occasion.words() {
        Some(words) => format!("{words} {started}"),
        None => started.to_owned(),
    };
    match &question.request {
        ConsentRequest::Save { rp_id, account, replaces, .. } => {
            let whom = account.iter().map(|name| format!("Account: {name}"));
            let old =
                (!replaces.is_empty()).then(|| "It takes the place of an older one.".to_owned());
            let lines = whom.chain(old).chain([started]).collect();
            (format!("Save a passkey for {rp_id}?"), lines)
        }
        ConsentRequest::SignIn { rp_id, accounts, .. } => {
            let account = match accounts.as_slice() {
                [one] => format!("Account: {}", one.name),
                many => format!("There are {} accounts to choose from.", many.len()),
            };
            (format!("Sign in to {rp_id}?"), vec![account, started])
        }
        ConsentRequest::AlreadyRegistered { rp_id, account } => {
            let line = format!("That of {} is on this phone; no second one is made.", account.name);
            (format!("Another passkey for {rp_id}?"), vec![line])
        }
        ConsentRequest::NothingFound { rp_id } => {
            (format!("No passkey for {rp_id} is on this phone"), vec![started])
        }
        ConsentRequest::Presence => ("Use this phone?".to_owned(), vec![started]),
        ConsentRequest::Allow { rp_id, permissions } => {
            let what = match permissions.contains(Permissions::MANAGE) {
                true => "list, rename and delete passkeys",
                false => "change the data beside passkeys",
            };
            let site = rp_id.as_deref().unwrap_or("every site");
            (format!("Let a program {what} of {site} for ten minutes?"), vec![started])
        }
        ConsentRequest::Reset { passkeys } => {
            (format!("Delete ALL {passkeys} passkeys for good?"), vec![started])
        }
    }
}
