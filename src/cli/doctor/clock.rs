//! The clock: what the tunnel services' clocks show beside this machine's.
//!
//! Depends on the ages of codes that `phone` knows.

use super::finding::{Area, Finding, Severity};
use crate::cli::phone::date::{SKEW, TOO_OLD, span};

const AREA: Area = Area::Clock;

/// What a service's clock showed, and when it was heard: both in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) service: String,
    pub(super) told: u64,
    pub(super) heard: u64,
}

/// The service that agrees best counts: a single one may be wrong itself.
pub(super) fn judge(samples: &[Sample]) -> Finding {
    let Some(best) = samples.iter().min_by_key(|sample| sample.told.abs_diff(sample.heard)) else {
        return Finding::note(AREA, "the clock could not be compared")
            .seen("no tunnel service told the time");
    };
    let off = best.told.abs_diff(best.heard);
    let side = if best.heard > best.told { "ahead of" } else { "behind" };
    let apart = format!("{} {side} the clock of {}", span(off), best.service);
    let fix = "set it with: sudo timedatectl set-ntp true";
    if off <= SKEW {
        Finding::ok(AREA, "the clock is right")
    } else if off <= TOO_OLD {
        let cause = "the clock is off: codes made or scanned here look too old or too new";
        Finding::new(Severity::Warning, AREA, cause, fix)
    } else {
        let cause = "the clock is wrong: phones refuse codes that look so old, and certificates \
                     may look invalid";
        Finding::new(Severity::Problem, AREA, cause, fix)
    }
    .seen(apart)
}

/// Reads an HTTP date, such as `Tue, 24 Nov 2026 06:29:49 GMT`: the one form that servers may send
/// (RFC 9110 section 5.6.7). Unix seconds; `None` for anything else and before 1970.
pub(super) fn http_date(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [day_name, day, month, year, time, "GMT"] = parts[..] else { return None };
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let number = |text: &str, digits: usize, range: std::ops::RangeInclusive<u64>| {
        let legal = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| legal && range.contains(number))
    };
    let (day, year) = (number(day, 2, 1..=31)?, number(year, 4, 1970..=9999)?);
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = clock[..] else { return None };
    // 60 is a leap second.
    let (hour, minute, second) =
        (number(hour, 2, 0..=23)?, number(minute, 2, 0..=59)?, number(second, 2, 0..=60)?);
    day_name
        .ends_with(',')
        .then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days since 1970. Counted from 1 March 0000, so that the leap day is the last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    (year * 365 + leaps + (153 * month + 2) / 5 + day - 1).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authenticator::Timestamp;
    use crate::cli::phone::date::iso;

    fn at(told: u64, heard: u64) -> Sample {
        Sample { service: "a.example".to_owned(), told, heard }
    }

    #[test]
    fn the_best_witness_counts() {
        let of = |samples: &[Sample]| judge(samples).severity;
        assert_eq!(of(&[]), Severity::Note);
        assert_eq!(of(&[at(1000, 1060)]), Severity::Ok);
        assert_eq!(of(&[at(1000, 1061)]), Severity::Warning);
        assert_eq!(of(&[at(1000, 1900)]), Severity::Warning);
        assert_eq!(of(&[at(2000, 1000)]), Severity::Problem);
        assert_eq!(of(&[at(2000, 1000), at(1000, 1000)]), Severity::Ok);
        assert_eq!(judge(&[at(1000, 1120)]).evidence, "2 minutes ahead of the clock of a.example");
        assert_eq!(judge(&[at(8200, 1000)]).evidence, "2 hours behind the clock of a.example");
    }

    #[test]
    fn dates_of_http() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        for odd in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 +8:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
        ] {
            assert_eq!(http_date(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn the_calendar_is_the_same_in_both_directions(second in 0..253_402_300_800_u64) {
            let text = iso(Timestamp(second));
            let (year, rest) = text.split_at(4);
            let month = MONTHS[rest[1..3].parse::<usize>().unwrap() - 1];
            let date = format!("Mon, {} {month} {year} {} GMT", &rest[4..6], &rest[7..15]);
            prop_assert_eq!(http_date(&date), Some(second), "{}", date);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _whatever = http_date(&text);
        }
    }
}
