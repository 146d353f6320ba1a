//! A token bucket: so many a second, and as many at once after a quiet second.
//!
//! Pure: time is an argument.

use std::time::{Duration, Instant};

/// How much may be taken ahead.
const BURST: Duration = Duration::from_secs(1);

/// How many a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    interval: Duration,
}

impl Rate {
    /// At least one a second, so that whoever is refused may come again after a second.
    pub(super) fn per_second(count: u32) -> Self {
        Self { interval: BURST / count.max(1) }
    }
}

/// A bucket, as the time at which it will be full again; one that was never used is full.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one, if there is one.
    #[must_use]
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + rate.interval;
        let taken = full_at.duration_since(now) <= BURST;
        if taken {
            self.full_at = Some(full_at);
        }
        taken
    }

    /// Whether nothing is missing: such a bucket need not be kept.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
        Instant::now()
    }

    #[test]
    fn a_burst_and_then_one_by_one() {
        let (mut bucket, rate, start) = (Bucket::default(), Rate::per_second(4), start());
        let taken = |bucket: &mut Bucket, millis| {
            let now = start + Duration::from_millis(millis);
            (0..10).filter(|_| bucket.take(rate, now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 4);
        assert_eq!(taken(&mut bucket, 249), 0);
        assert_eq!(taken(&mut bucket, 250), 1);
        assert_eq!(taken(&mut bucket, 749), 1);
        assert_eq!(taken(&mut bucket, 750), 1);
        // However long it was quiet, a burst is one second's worth.
        assert!(!bucket.is_full(start + Duration::from_millis(1749)));
        assert!(bucket.is_full(start + Duration::from_millis(1750)));
        assert_eq!(taken(&mut bucket, 3_600_000), 4);
    }

    #[test]
    fn the_ends_of_the_range() {
        let start = start();
        for (count, at_once) in [(0, 1), (1, 1), (3, 3), (u32::MAX, 1000)] {
            let mut bucket = Bucket::default();
            let rate = Rate::per_second(count);
            assert_eq!((0..1000).filter(|_| bucket.take(rate, start)).count(), at_once);
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let (mut bucket, rate, start) = (Bucket::default(), Rate::per_second(1), start());
        assert!(bucket.take(rate, start + Duration::from_secs(9)));
        assert!(!bucket.take(rate, start));
    }
}
