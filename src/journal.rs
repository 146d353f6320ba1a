//! What happened in a service, kept within bounds, for front ends that come late or are slow.
//!
//! Each role has events of its own; how they are kept and read is the same. Depends on tokio only.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Events that are kept, of all subjects together.
pub const KEPT_EVENTS: usize = 1024;

/// An event as far as keeping it goes.
pub trait Told: Clone {
    /// What one may follow alone, such as a transaction.
    type Subject: Copy;

    /// Its place in the order; see [`Events`].
    fn number(&self) -> u64;

    /// Whether it is told to those who follow this subject alone.
    fn concerns(&self, subject: Self::Subject) -> bool;

    /// Whether nothing follows it about its subject.
    fn is_last(&self) -> bool;
}

/// The last [`KEPT_EVENTS`] events.
pub(crate) struct Journal<E> {
    kept: Mutex<Kept<E>>,
    next: watch::Sender<u64>,
}

struct Kept<E> {
    events: VecDeque<E>,
    next: u64,
}

impl<E: Told> Journal<E> {
    pub(crate) fn new() -> Arc<Self> {
        let kept = Kept { events: VecDeque::new(), next: 0 };
        Arc::new(Self { kept: Mutex::new(kept), next: watch::Sender::new(0) })
    }

    /// Nothing panics while it is held, and a list of events is never half-written.
    fn kept(&self) -> MutexGuard<'_, Kept<E>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the event that `make` makes of its number.
    pub(crate) fn note(&self, make: impl FnOnce(u64) -> E) {
        let mut kept = self.kept();
        let event = make(kept.next);
        kept.next += 1;
        kept.events.push_back(event);
        if kept.events.len() > KEPT_EVENTS {
            kept.events.pop_front();
        }
        self.next.send_replace(kept.next);
    }

    /// From the oldest that is kept on, of one subject or of all.
    pub(crate) fn read(self: &Arc<Self>, only: Option<E::Subject>) -> Events<E> {
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
/// Their numbers count up by one. A reader that is too slow misses the oldest, which the numbers
/// show; it never holds anybody up.
pub struct Events<E: Told> {
    journal: Arc<Journal<E>>,
    news: watch::Receiver<u64>,
    next: u64,
    only: Option<E::Subject>,
    ended: bool,
}

impl<E: Told> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<E: Told> Events<E> {
    /// The next event; of a single subject, `None` after its last. Cancel safe.
    pub async fn next(&mut self) -> Option<E> {
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

    fn kept(&mut self) -> Option<E> {
        let kept = self.journal.kept();
        let wanted = |event: &&E| self.only.is_none_or(|only| event.concerns(only));
        let first = kept.events.front().map_or(kept.next, Told::number);
        let skip = usize::try_from(self.next.saturating_sub(first)).unwrap_or(usize::MAX);
        let event = kept.events.iter().skip(skip).find(wanted).cloned();
        self.next = event.as_ref().map_or(kept.next, |event| event.number() + 1);
        self.ended = self.only.is_some() && event.as_ref().is_some_and(Told::is_last);
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Step(u64, u8, bool);

    impl Told for Step {
        type Subject = u8;

        fn number(&self) -> u64 {
            self.0
        }

        fn concerns(&self, subject: u8) -> bool {
            self.1 == subject
        }

        fn is_last(&self) -> bool {
            self.2
        }
    }

    #[tokio::test]
    async fn one_subject_ends_and_the_others_go_on() {
        let journal = Journal::new();
        let mut all = journal.read(None);
        for (subject, last) in [(1, false), (2, false), (1, true), (2, false)] {
            journal.note(|number| Step(number, subject, last));
        }
        let mut one = journal.read(Some(1));
        assert_eq!(one.next().await, Some(Step(0, 1, false)));
        assert_eq!(one.next().await, Some(Step(2, 1, true)));
        assert_eq!(one.next().await, None);
        for number in 0..4 {
            assert_eq!(all.next().await.unwrap().0, number);
        }
        let mut late = journal.read(None);
        late.skip_to_now();
        journal.note(|number| Step(number, 3, false));
        assert_eq!(late.next().await, Some(Step(4, 3, false)));
    }

    #[tokio::test]
    async fn who_is_too_slow_misses_the_oldest() {
        let journal = Journal::new();
        let mut slow = journal.read(None);
        for _ in 0..KEPT_EVENTS + 5 {
            journal.note(|number| Step(number, 0, false));
        }
        assert_eq!(slow.next().await.unwrap().0, 5);
    }
}
