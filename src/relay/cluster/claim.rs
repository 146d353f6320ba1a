//! The number of this node: claimed in a bucket that all nodes share, and kept by renewing it.
//!
//! Pure: no IO; time and randomness are arguments. The bucket forgets an entry that nobody renews for its lease, and
//! makes an entry only if there is none, so that no two nodes hold one number.

use std::time::{Duration, Instant};

use crate::hybrid::tunnel::RoutingId;

/// What is to be done at the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the entry, unless there is one.
    Create(RoutingId),
    /// Write the entry again, if it is still ours.
    Renew(RoutingId, u64),
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Done; the entry has this revision now.
    Done(u64),
    /// Somebody else has the entry.
    Taken,
    /// Nobody knows.
    Failed,
}

/// A number that is wanted or held.
#[derive(Debug)]
pub(super) struct Claim {
    number: RoutingId,
    lease: Duration,
    held: Option<Held>,
    again: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    revision: u64,
    until: Instant,
}

impl Claim {
    /// Wants `number`, for leases of that length.
    pub(super) fn new(number: RoutingId, lease: Duration, now: Instant) -> Self {
        Self { number, lease, held: None, again: now }
    }

    /// The number, held or not.
    pub(super) fn number(&self) -> RoutingId {
        self.number
    }

    /// Until when the number is surely nobody else's. An eighth is left for clocks that do not run alike.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.map(|held| held.until)
    }

    /// The entry to give back.
    pub(super) fn entry(&self) -> Option<(RoutingId, u64)> {
        self.held.map(|held| (self.number, held.revision))
    }

    /// When there is something to do.
    pub(super) fn wake(&self) -> Instant {
        self.held.map_or(self.again, |held| self.again.min(held.until))
    }

    /// What is to be done now, if anything. A lease that is over is lost, and another number wanted.
    pub(super) fn step(&mut self, now: Instant, draw: impl FnOnce() -> RoutingId) -> Option<Step> {
        if self.held.is_some_and(|held| now >= held.until) {
            self.lose(now, draw());
        }
        (now >= self.again).then_some(match self.held {
            Some(held) => Step::Renew(self.number, held.revision),
            None => Step::Create(self.number),
        })
    }

    /// What came of a step that began at `started`: the lease runs from there, because the bucket may have written at
    /// once.
    pub(super) fn came(
        &mut self,
        outcome: Outcome,
        started: Instant,
        now: Instant,
        draw: impl FnOnce() -> RoutingId,
    ) {
        match outcome {
            Outcome::Done(revision) => {
                let until = started + self.lease - self.lease / 8;
                self.held = Some(Held { revision, until });
                self.again = started + self.lease / 4;
            }
            Outcome::Taken => self.lose(now, draw()),
            Outcome::Failed => self.again = now + self.lease / 16,
        }
    }

    fn lose(&mut self, now: Instant, next: RoutingId) {
        (self.number, self.held, self.again) = (next, None, now);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const LEASE: Duration = Duration::from_secs(16);

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
        Instant::now()
    }

    fn number(value: u16) -> RoutingId {
        let [high, low] = value.to_be_bytes();
        RoutingId::new([0, high, low])
    }

    fn never() -> RoutingId {
        panic!("no other number is wanted")
    }

    #[test]
    fn a_lease_is_renewed_in_time_and_runs_from_the_request() {
        let now = start();
        let mut claim = Claim::new(number(1), LEASE, now);
        assert_eq!(claim.step(now, never), Some(Step::Create(number(1))));
        let late = now + Duration::from_secs(3);
        claim.came(Outcome::Done(7), now, late, never);
        assert_eq!(claim.held_until(), Some(now + Duration::from_secs(14)));
        assert_eq!(claim.step(late, never), None);
        let due = now + LEASE / 4;
        assert_eq!(claim.wake(), due);
        assert_eq!(claim.step(due, never), Some(Step::Renew(number(1), 7)));
        claim.came(Outcome::Done(8), due, due, never);
        assert_eq!(claim.entry(), Some((number(1), 8)));
    }

    #[test]
    fn a_lease_that_could_not_be_renewed_is_over_and_another_number_wanted() {
        let now = start();
        let mut claim = Claim::new(number(1), LEASE, now);
        claim.came(Outcome::Done(7), now, now, never);
        let mut at = claim.wake();
        while claim.held_until().is_some_and(|until| at < until) {
            assert_eq!(claim.step(at, never), Some(Step::Renew(number(1), 7)));
            claim.came(Outcome::Failed, at, at, never);
            at = claim.wake();
        }
        assert_eq!(at, now + Duration::from_secs(14));
        assert_eq!(claim.step(at, || number(2)), Some(Step::Create(number(2))));
        assert_eq!((claim.number(), claim.held_until()), (number(2), None));
        // The one that was wanted is tried again and again.
        claim.came(Outcome::Failed, at, at, never);
        assert_eq!(claim.step(claim.wake(), never), Some(Step::Create(number(2))));
    }

    #[test]
    fn no_two_nodes_hold_one_number() {
        let now = start();
        let mut bucket: HashMap<RoutingId, usize> = HashMap::new();
        // More nodes than half of the numbers that they draw from, so that most draws collide.
        let mut next = 0_u16;
        for node in 0..65_536 {
            let mut draw = || {
                next = next.wrapping_mul(25173).wrapping_add(13849);
                number(next)
            };
            let mut claim = Claim::new(draw(), LEASE, now);
            while claim.held_until().is_none() {
                let Some(Step::Create(wanted)) = claim.step(now, &mut draw) else { unreachable!() };
                let taken = bucket.contains_key(&wanted);
                let outcome = if taken { Outcome::Taken } else { Outcome::Done(1) };
                if !taken {
                    bucket.insert(wanted, node);
                }
                claim.came(outcome, now, now, &mut draw);
            }
            assert_eq!(bucket.get(&claim.number()), Some(&node));
        }
        assert_eq!(bucket.len(), 65_536);
    }
}
