//! What became of each ceremony, kept within bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::script::{Choice, Script};
use super::trace::Trace;
use crate::authenticator::ConsentRequest;
use crate::authenticator::service::{Answered, Event, Happened};

/// Ceremonies that are kept; the oldest go first.
pub const KEPT_CEREMONIES: usize = 1024;
/// Events that are kept of one: a ceremony has about ten.
const KEPT_EVENTS: usize = 64;

/// One code that a phone was shown, and all that came of it.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// Counts up from 1.
    pub id: u64,
    /// The phone's name.
    pub phone: String,
    /// What its person was to do.
    pub script: Script,
    /// What happened, the first 64.
    pub events: Vec<Event>,
    /// The phone is gone, as the script says.
    pub walked_away: bool,
    /// What in the script could not be done.
    pub problem: Option<String>,
    /// Nothing more will happen.
    pub over: bool,
    /// What was seen beside the events: requests, and the relay.
    pub trace: Arc<Trace>,
}

impl Ceremony {
    /// How the last request was answered.
    #[must_use]
    pub fn answered(&self) -> Option<&Answered> {
        self.events.iter().rev().find_map(|event| match &event.what {
            Happened::Answered(answered) => Some(answered),
            _ => None,
        })
    }

    fn acknowledged(&self) -> bool {
        let mut last = self.events.iter().rev();
        last.any(|event| matches!(event.what, Happened::Acknowledged))
    }

    /// How it ended, as one word: `registered` and `signed-in` if the laptop took the answer, otherwise
    /// the cause. `None` while it runs.
    #[must_use]
    pub fn outcome(&self) -> Option<&'static str> {
        if !self.over {
            return None;
        }
        if self.walked_away {
            return Some("walked-away");
        }
        let error = self.events.iter().rev().find_map(|event| match &event.what {
            Happened::Ended(error) => error.as_ref(),
            _ => None,
        });
        Some(match (error, self.answered()) {
            (Some(error), _) => error.cause(),
            (None, Some(Answered::Refused(_))) => "refused",
            (None, Some(Answered::StoreFailed(_))) => "store",
            (None, Some(Answered::Saved(_))) if self.acknowledged() => "registered",
            (None, Some(Answered::SignedIn(_) | Answered::Offered(_))) if self.acknowledged() => {
                "signed-in"
            }
            (None, _) => "nothing-asked",
        })
    }

    /// Whether it ended as its script says. `None` while it runs.
    #[must_use]
    pub fn as_scripted(&self) -> Option<bool> {
        let outcome = self.outcome()?;
        if self.problem.is_some() {
            return Some(false);
        }
        // Without such a script the test has taken the phone away.
        if self.script.walk_away.is_some() || self.walked_away {
            return Some(self.walked_away);
        }
        // What comes of a fault is the laptop's and the site's affair, so that it struck is all there is.
        let mut faults = self.trace.faults().into_iter().filter(|(fault, _)| !fault.is_mild());
        if let Some((_, hits)) = faults.next() {
            return Some(hits > 0 && faults.all(|(_, hits)| hits > 0));
        }
        let asked: Vec<_> = self.events.iter().filter_map(asked).collect();
        let wanted: &[&str] = match self.script.answer(asked.len().saturating_sub(1)).choice {
            // The person agrees that the laptop hears it, which is a refusal.
            Choice::Approve(_) if asked.last().is_some_and(|request| is_news(request)) => {
                &["refused"]
            }
            Choice::Approve(_) => &["registered", "signed-in"],
            Choice::Decline | Choice::WrongPin => &["refused"],
        };
        Some(wanted.contains(&outcome))
    }
}

fn asked(event: &Event) -> Option<&ConsentRequest> {
    match &event.what {
        Happened::Asked(question) => Some(&question.request),
        _ => None,
    }
}

/// Whether the question is only whether the laptop may know.
fn is_news(request: &ConsentRequest) -> bool {
    matches!(
        request,
        ConsentRequest::AlreadyRegistered { .. } | ConsentRequest::NothingFound { .. }
    )
}

/// All ceremonies of a bench.
#[derive(Debug)]
pub(super) struct Ceremonies {
    kept: Mutex<Kept>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    ceremonies: BTreeMap<u64, Ceremony>,
}

impl Ceremonies {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), changed: watch::Sender::new(()) })
    }

    /// Nothing panics while it is held.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, phone: &str, script: Script, trace: Arc<Trace>) -> u64 {
        let mut kept = self.kept();
        kept.last += 1;
        let id = kept.last;
        let (phone, events) = (phone.to_owned(), Vec::new());
        let (walked_away, problem, over) = Default::default();
        let new = Ceremony { id, phone, script, events, walked_away, problem, over, trace };
        kept.ceremonies.insert(id, new);
        if kept.ceremonies.len() > KEPT_CEREMONIES {
            kept.ceremonies.pop_first();
        }
        id
    }

    pub(super) fn update(&self, id: u64, change: impl FnOnce(&mut Ceremony)) {
        if let Some(ceremony) = self.kept().ceremonies.get_mut(&id) {
            change(ceremony);
        }
        self.changed.send_replace(());
    }

    pub(super) fn note(&self, id: u64, event: Event) {
        self.update(id, |ceremony| {
            ceremony.over |= matches!(event.what, Happened::Ended(_));
            let last = matches!(event.what, Happened::Ended(_) | Happened::Answered(_));
            if ceremony.events.len() < KEPT_EVENTS || last {
                ceremony.events.truncate(KEPT_EVENTS);
                ceremony.events.push(event);
            }
        });
    }

    pub(super) fn all(&self) -> Vec<Ceremony> {
        self.kept().ceremonies.values().cloned().collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<Ceremony> {
        self.kept().ceremonies.get(&id).cloned()
    }

    /// Waits until `wanted` gives something. Has no deadline of its own.
    pub(super) async fn until<T>(&self, mut wanted: impl FnMut() -> Option<T>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(found) = wanted() {
                return Some(found);
            }
            changed.changed().await.ok()?;
        }
    }
}
