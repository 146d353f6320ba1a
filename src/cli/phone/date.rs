//! Points in time as people and machines read them: ISO 8601, in UTC; and how old a code may be.
//!
//! Depends on nothing but the timestamp.

use crate::authenticator::Timestamp;

/// Seconds after which a code is refused: no laptop waits for longer, and a code that turns up later
/// may have been kept by somebody.
pub(in crate::cli) const TOO_OLD: u64 = 15 * 60;

/// Seconds that two clocks may differ without a word about it.
pub(in crate::cli) const SKEW: u64 = 60;

/// Year, month, day, seconds of the day.
fn civil(time: Timestamp) -> (u64, u64, u64, u64) {
    // Counted from 1 March 0000, so that the leap day is the last of its year.
    let days = time.0 / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day, time.0 % 86_400)
}

/// `2026-11-23T23:03:09Z`.
pub(in crate::cli) fn iso(time: Timestamp) -> String {
    let (year, month, day, second) = civil(time);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-11-23 23:03`, for columns that say that it is UTC.
pub(in crate::cli) fn minutes(time: Timestamp) -> String {
    iso(time).replace('T', " ").chars().take(iso(time).len() - 4).collect()
}

/// A length of time in its largest unit: "40 seconds", "12 minutes", "3 days".
pub(in crate::cli) fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = seconds / unit.0;
    format!("{count} {}{}", unit.1, if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_666_589_051, "2022-10-24T05:24:11Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (253_402_300_800, "10000-01-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(iso(Timestamp(seconds)), text);
        }
        assert_eq!(minutes(Timestamp(1_666_589_051)), "2022-10-24 05:24");
    }

    #[test]
    fn any_number_is_a_date() {
        assert!(iso(Timestamp(u64::MAX)).ends_with('Z'));
    }

    #[test]
    fn spans_have_one_unit() {
        assert_eq!(span(0), "0 seconds");
        assert_eq!(span(1), "1 second");
        assert_eq!(span(719), "11 minutes");
        assert_eq!(span(200_000), "2 days");
    }
}
