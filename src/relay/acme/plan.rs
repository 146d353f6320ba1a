//! When to ask for a certificate.
//!
//! Pure: times are arguments, in seconds of Unix time, and chance is a number that was drawn. A certificate is renewed
//! when a third of its life is left, or a little earlier. After a failure the next try waits, longer each time, and
//! never more than a few tries fall into an hour, whatever came of them and however often the relay was started: the
//! servers count, and shut out for days who asks too often.

use crate::relay::validity::Validity;

const HOUR: u64 = 60 * 60;
/// Tries in any hour. Let's Encrypt allows five failed ones.
const TRIES: usize = 4;
/// How long to wait after the first failure.
const FIRST_PAUSE: u64 = 10 * 60;
/// How long to wait after many.
const LONGEST_PAUSE: u64 = 6 * HOUR;
/// The longest wait that a server may wish for.
const LONGEST_WISH: u64 = 24 * HOUR;

/// What came of tries so far.
#[derive(Debug)]
pub(super) struct Plan {
    tries: Vec<u64>,
    failures: u32,
    not_before: u64,
    chance: u32,
}

impl Plan {
    /// With the tries of those that ran before, as [`Self::begin`] gave them.
    pub(super) fn new(stored: &str, chance: u32) -> Self {
        let tries = stored.lines().filter_map(|line| line.parse().ok()).collect();
        Self { tries, failures: 0, not_before: 0, chance }
    }

    /// When to try next; at once if there is no certificate that will do.
    pub(super) fn due(&self, held: Option<Validity>, now: u64) -> u64 {
        let wanted = held.map_or(0, |held| renewal(held, self.chance));
        // A clock that was set back does not make the wait longer.
        let allowed = self.not_before.min(now.saturating_add(LONGEST_WISH));
        wanted.max(allowed).max(self.room(now))
    }

    /// When there is room for one more try within an hour.
    fn room(&self, now: u64) -> u64 {
        let mut recent = recent(&self.tries, now);
        recent.sort_unstable_by(|one, other| other.cmp(one));
        recent.get(TRIES - 1).map_or(0, |oldest| oldest + HOUR)
    }

    /// A try begins; gives what is to be kept for those that run later.
    pub(super) fn begin(&mut self, now: u64) -> String {
        self.tries = recent(&self.tries, now);
        self.tries.push(now);
        self.tries.iter().map(|time| format!("{time}\n")).collect()
    }

    /// The try gave a certificate.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.not_before) = (0, 0);
    }

    /// The try failed; the server may wish for a wait of so many seconds.
    pub(super) fn failed(
        &mut self,
        held: Option<Validity>,
        wish: Option<u64>,
        now: u64,
        chance: u32,
    ) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        // Before a certificate ends there have to be some more tries.
        let left = held.map_or(u64::MAX, |held| held.until.saturating_sub(now) / 4);
        let pause = doubled.min(LONGEST_PAUSE).min(left.max(FIRST_PAUSE));
        let pause = pause + share(pause / 4, chance);
        let pause = pause.max(wish.unwrap_or_default().min(LONGEST_WISH));
        self.not_before = now.saturating_add(pause);
    }
}

/// Those of the last hour. What a clock that was wrong left in the future does not count.
fn recent(tries: &[u64], now: u64) -> Vec<u64> {
    tries.iter().copied().filter(|time| *time <= now && now - time < HOUR).collect()
}

/// When to renew a certificate: with a third of its life left, and up to a thirtieth more.
fn renewal(held: Validity, chance: u32) -> u64 {
    let life = held.until.saturating_sub(held.from);
    held.until.saturating_sub(life / 3).saturating_sub(share(life / 30, chance))
}

/// A part of `whole`, by chance.
fn share(whole: u64, chance: u32) -> u64 {
    let part = (u128::from(whole) * u128::from(chance)) >> 32;
    u64::try_from(part).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * HOUR;
    const NOW: u64 = 1_800_000_000;

    fn held(age: u64, left: u64) -> Option<Validity> {
        Some(Validity { from: NOW - age, until: NOW + left })
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_or_a_little_earlier() {
        let fresh = held(0, 90 * DAY);
        assert_eq!(Plan::new("", 0).due(fresh, NOW), NOW + 60 * DAY);
        let latest = Plan::new("", u32::MAX).due(fresh, NOW);
        assert!((NOW + 57 * DAY..NOW + 57 * DAY + 60).contains(&latest), "{latest}");
        // Of a day, and of six days, as there are some.
        assert_eq!(Plan::new("", 0).due(held(0, DAY), NOW), NOW + 16 * HOUR);
        assert_eq!(Plan::new("", 0).due(held(0, 6 * DAY), NOW), NOW + 4 * DAY);
        // One that will not do, one that is about to end, one that ended, and one with a life less than nothing.
        assert!(Plan::new("", 0).due(None, NOW) <= NOW);
        assert!(Plan::new("", 0).due(held(89 * DAY, DAY), NOW) <= NOW);
        let over = Validity { from: NOW - 90 * DAY, until: NOW - DAY };
        assert!(Plan::new("", 0).due(Some(over), NOW) <= NOW);
        let odd = Validity { from: NOW + DAY, until: NOW };
        assert!(Plan::new("", u32::MAX).due(Some(odd), NOW) <= NOW);
    }

    /// The times of tries that all fail, from now on for so many days.
    fn failing(held: Option<Validity>, days: u64, chance: u32) -> Vec<u64> {
        let (mut plan, mut now, mut times) = (Plan::new("", chance), NOW, Vec::new());
        while now < NOW + days * DAY {
            times.push(now);
            plan.begin(now);
            plan.failed(held, None, now, chance);
            let due = plan.due(held, now);
            assert!(due > now);
            now = due;
        }
        times
    }

    #[test]
    fn failures_make_it_wait_longer_each_time_up_to_a_bound() {
        let times = failing(None, 10, 0);
        let pauses: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
        assert_eq!(pauses[..7], [10, 20, 40, 80, 160, 320, 360]);
        assert!(pauses[7..].iter().all(|pause| *pause == 360));
        // Later by up to a quarter, by chance.
        let late = failing(None, 10, u32::MAX);
        assert!((12..=13).contains(&((late[1] - late[0]) / 60)));
        assert!(late.windows(2).all(|pair| pair[1] - pair[0] <= LONGEST_PAUSE * 5 / 4));
    }

    #[test]
    fn a_certificate_that_ends_soon_is_asked_for_more_often_but_never_more_than_a_few_times_an_hour()
     {
        let ending = held(90 * DAY, 8 * HOUR);
        let times = failing(ending, 1, 0);
        let before = times.iter().filter(|time| **time < NOW + 8 * HOUR).count();
        assert!(before > 6, "{before}");
        for (at, time) in times.iter().enumerate() {
            let hour = times[at..].iter().take_while(|other| **other < time + HOUR).count();
            assert!(hour <= TRIES, "{hour}");
        }
    }

    #[test]
    fn tries_of_those_that_ran_before_count() {
        let (mut stored, mut now) = (String::new(), NOW);
        let mut times = Vec::new();
        // Killed and started each second.
        while now < NOW + 3 * HOUR {
            let mut plan = Plan::new(&stored, 0);
            if plan.due(None, now) <= now {
                stored = plan.begin(now);
                times.push(now - NOW);
            }
            now += 1;
        }
        assert_eq!(times.len(), 3 * TRIES);
        assert_eq!(times[..5], [0, 1, 2, 3, HOUR]);
        assert!(stored.lines().count() <= TRIES);
        // Nor does success help: a server whose certificates are over at once is not asked without end.
        let mut plan = Plan::new(&stored, 0);
        plan.succeeded();
        let soon = NOW + 2 * HOUR + 10;
        assert_eq!(plan.due(None, soon), NOW + 3 * HOUR);
    }

    #[test]
    fn what_a_server_wishes_is_done_within_bounds() {
        let due = |wish| {
            let mut plan = Plan::new("", 0);
            plan.failed(None, Some(wish), NOW, 0);
            plan.due(None, NOW) - NOW
        };
        assert_eq!(due(1), FIRST_PAUSE);
        assert_eq!(due(2 * HOUR), 2 * HOUR);
        assert_eq!(due(u64::MAX), LONGEST_WISH);
    }

    #[test]
    fn a_clock_that_was_wrong_and_stored_nonsense_do_no_harm() {
        let future = format!("{}\nx\n\n-1\n{}\n", NOW + 9 * DAY, u64::MAX);
        assert!(Plan::new(&future.repeat(9), 0).due(None, NOW) <= NOW);
        let mut plan = Plan::new("", 0);
        plan.failed(None, None, NOW + 1000 * DAY, 0);
        assert!(plan.due(None, NOW) <= NOW + LONGEST_WISH);
    }
}
