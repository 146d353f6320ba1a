//! How many sightings go over the wire: few enough for any line, the newest first of all. Pure.
//!
//! A storm of adverts must fill neither the pipe nor the memory. What cannot be sent waits, so many at
//! most; beyond them the oldest goes, as a reception that was missed: adverts come again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ble::Sighting;

/// Time between two that are sent, on average: 250 in a second, some 20 KB.
const INTERVAL: Duration = Duration::from_millis(4);
/// So many may go at once after a silence.
const BURST: u32 = 32;
/// So many wait; this is a quarter of a second.
const WAITING: usize = 64;

/// Sightings that wait until they may be sent.
#[derive(Debug)]
pub(super) struct Pace {
    waiting: VecDeque<Sighting>,
    /// When the next one would be due if they went evenly.
    next: Instant,
    now: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: VecDeque::new(), next: now, now }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn push(&mut self, sighting: Sighting) {
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(sighting);
    }

    /// It is so late now.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The oldest that waits, if it may go now.
    pub(super) fn pop(&mut self) -> Option<Sighting> {
        if self.waiting.is_empty() || self.next > self.now + INTERVAL * BURST {
            return None;
        }
        self.next = self.next.max(self.now) + INTERVAL;
        self.waiting.pop_front()
    }

    /// When the next one may go, if one waits.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.next.checked_sub(INTERVAL * BURST).unwrap_or(self.now);
        (!self.waiting.is_empty()).then_some(since.max(self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::{Address, AddressType, ServiceUuid};

    fn sighting(number: u32) -> Sighting {
        let address = Address { bytes: [0; 6], kind: AddressType::Random };
        let service_data = number.to_be_bytes().to_vec();
        Sighting { address, service: ServiceUuid::Fido, service_data, rssi: None }
    }

    fn number(sighting: &Sighting) -> u32 {
        u32::from_be_bytes(sighting.service_data[..].try_into().unwrap())
    }

    #[allow(clippy::disallowed_methods, reason = "some instant to begin with")]
    fn begin() -> Instant {
        Instant::now()
    }

    #[test]
    fn one_that_comes_alone_goes_at_once() {
        let now = begin();
        let mut pace = Pace::new(now);
        assert_eq!((pace.due(), pace.pop()), (None, None));
        pace.push(sighting(1));
        assert_eq!(pace.due(), Some(now));
        assert_eq!(pace.pop().map(|s| number(&s)), Some(1));
        assert_eq!(pace.due(), None);
    }

    /// A hundred thousand in ten seconds: what goes is bounded, in order, and is never old.
    #[test]
    fn a_storm_is_thinned_out_and_what_goes_is_fresh() {
        let now = begin();
        let mut pace = Pace::new(now);
        let mut sent = Vec::new();
        for tick in 0..100_000_u32 {
            pace.advance(now + Duration::from_micros(100) * tick);
            pace.push(sighting(tick));
            if let Some(sighting) = pace.pop() {
                assert!(tick - number(&sighting) <= 64, "{} at {tick}", number(&sighting));
                sent.push(number(&sighting));
            }
        }
        assert!(sent.is_sorted() && (2_500..2_600).contains(&sent.len()), "{}", sent.len());
    }

    #[test]
    fn who_waits_for_what_is_due_gets_it_then() {
        let now = begin();
        let mut pace = Pace::new(now);
        for number in 0..64 {
            pace.push(sighting(number));
        }
        let at_once = std::iter::from_fn(|| pace.pop()).count();
        assert_eq!(at_once, 33);
        let due = pace.due().unwrap();
        assert!(due > now);
        pace.advance(due);
        assert!(pace.pop().is_some());
        pace.clear();
        assert_eq!(pace.due(), None);
    }
}
