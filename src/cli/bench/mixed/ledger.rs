//! What the load provoked, and whether the relay counted just that.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::fault::Fault;
use super::link::Answer;

/// Ends of connections and tunnels, as the relay's metrics name them.
pub(super) const SILENT: &str = r#"connections_unheard_total{reason="no_request"}"#;
pub(super) const SLOW: &str = r#"connections_unheard_total{reason="slow"}"#;
const FLOOD: &str = r#"connections_unheard_total{reason="flood"}"#;
pub(super) const OCCUPIED: &str = r#"requests_refused_total{status="409",reason="occupied"}"#;
pub(super) const NO_PATH: &str = r#"requests_refused_total{status="404",reason="path"}"#;
pub(super) const WAITING_GOODBYE: &str = r#"tunnels_ended_total{state="waiting",reason="goodbye"}"#;
pub(super) const WAITING_DROPPED: &str = r#"tunnels_ended_total{state="waiting",reason="dropped"}"#;
pub(super) const ABANDONED: &str = r#"tunnels_ended_total{state="waiting",reason="abandoned"}"#;
pub(super) const JOINED_GOODBYE: &str = r#"tunnels_ended_total{state="joined",reason="goodbye"}"#;
pub(super) const JOINED_DROPPED: &str = r#"tunnels_ended_total{state="joined",reason="dropped"}"#;

/// Refusals that only say that there is too much of something: status, `Retry-After`, name.
const CROWDED: [(u16, u16, &str); 4] = [
    (429, 1, r#"requests_refused_total{status="429",reason="rate_per_address"}"#),
    (429, 60, r#"requests_refused_total{status="429",reason="connections_per_address"}"#),
    (503, 1, r#"requests_refused_total{status="503",reason="rate"}"#),
    (503, 60, r#"requests_refused_total{status="503",reason="tunnels"}"#),
];

/// Where some are counted who look alike from here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Either {
    /// Who leaves before the answer to a good request: it depends on how far the relay was.
    LeftEarly,
    /// Who is cut off without a word, in a flood of connections that takes longer than a request may.
    CutOff,
}

impl Either {
    const ALL: [Self; 2] = [Self::LeftEarly, Self::CutOff];

    fn samples(self) -> &'static [&'static str] {
        match self {
            Self::LeftEarly => &[SILENT, WAITING_DROPPED, ABANDONED, JOINED_DROPPED],
            Self::CutOff => &[FLOOD, SLOW],
        }
    }
}

/// What is counted by reason.
const FAMILIES: [&str; 3] =
    ["connections_unheard_total{", "requests_refused_total{", "tunnels_ended_total{"];
/// What has to be as it was before.
const GAUGES: [&str; 3] =
    ["connections", r#"tunnels{state="waiting"}"#, r#"tunnels{state="joined"}"#];

/// What has to be counted.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sure: BTreeMap<&'static str, u64>,
    /// How many are under one of several, in the order of [`Either::ALL`].
    either: [u64; 2],
    /// Of the tunnels that lived: how many, and their messages, pings and bytes.
    pub(super) lived: u64,
    pub(super) messages: u64,
    pub(super) pings: u64,
    pub(super) bytes: u64,
    pub(super) faults: u64,
}

impl Ledger {
    pub(super) fn note(&mut self, sample: &'static str) {
        *self.sure.entry(sample).or_default() += 1;
    }

    pub(super) fn note_either(&mut self, either: Either) {
        let [left_early, cut_off] = &mut self.either;
        *match either {
            Either::LeftEarly => left_early,
            Either::CutOff => cut_off,
        } += 1;
    }

    /// Notes a refusal for want of room; anything else is none that the load expects.
    pub(super) fn note_crowd(&mut self, answer: &Answer) -> Result<(), Fault> {
        if let Answer::Refused(status, retry) = answer
            && let Some((.., sample)) = CROWDED.iter().find(|(s, r, _)| (s, r) == (status, retry))
        {
            self.note(sample);
            return Ok(());
        }
        Err(Fault::Answer { due: "101, 429 or 503", came: format!("{answer:?}") })
    }

    pub(super) fn add(&mut self, other: Self) {
        for (sample, count) in other.sure {
            *self.sure.entry(sample).or_default() += count;
        }
        for (all, more) in self.either.iter_mut().zip(other.either) {
            *all += more;
        }
        self.lived += other.lived;
        self.messages += other.messages;
        self.pings += other.pings;
        self.bytes += other.bytes;
        self.faults += other.faults;
    }

    /// What differs between what was provoked and what the relay counted meanwhile; nothing if all agrees.
    pub(super) fn differences(&self, before: &Counters, after: &Counters) -> Vec<String> {
        let (mut wrong, mut surplus) = (Vec::new(), [0; 2]);
        for (sample, counted) in after.since(before) {
            let due = self.sure.get(sample).copied().unwrap_or(0);
            let mut groups = surplus.iter_mut().zip(Either::ALL);
            let group = groups.find(|(_, either)| either.samples().contains(&sample));
            match (counted.checked_sub(due), group) {
                (Some(more), Some((surplus, _))) => *surplus += more,
                (Some(0), None) => {}
                _ => wrong.push(format!("{sample} counted {counted} of {due}")),
            }
        }
        for ((counted, due), either) in surplus.iter().zip(self.either).zip(Either::ALL) {
            if *counted != due {
                let samples = either.samples().join(", ");
                wrong.push(format!("{samples} counted {counted} of {due} more"));
            }
        }
        for sample in self.sure.keys().filter(|sample| !after.0.contains_key(**sample)) {
            wrong.push(format!("{sample} is not there"));
        }
        for gauge in GAUGES {
            let (was, is) = (before.value(gauge), after.value(gauge));
            if was != is {
                wrong.push(format!("{gauge} is {is}, and was {was}"));
            }
        }
        // Tunnels that were cut carried some more.
        for (sample, least) in
            [("messages_total", self.messages + self.pings), ("bytes_total", self.bytes)]
        {
            let counted = after.value(sample).saturating_sub(before.value(sample));
            if counted < least {
                wrong.push(format!("{sample} counted {counted} of at least {least}"));
            }
        }
        wrong
    }
}

/// The relay's counters and gauges, without the beginning that all their names have.
#[derive(Debug, Default)]
pub(super) struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Reads Prometheus' text.
    pub(super) fn parse(text: &str) -> Self {
        let samples = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("cabled_relay_")?.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn value(&self, sample: &str) -> u64 {
        self.0.get(sample).copied().unwrap_or(0)
    }

    /// What was counted by reason since `before`.
    fn since<'a>(&'a self, before: &Self) -> impl Iterator<Item = (&'a str, u64)> {
        let counted = self
            .0
            .iter()
            .filter(|(name, _)| FAMILIES.iter().any(|family| name.starts_with(family)));
        let since = |(name, now): (&'a String, &u64)| {
            (name.as_str(), now.saturating_sub(before.value(name)))
        };
        counted.map(since).collect::<Vec<_>>().into_iter()
    }

    /// The same for machines, without zeros.
    pub(super) fn json(&self, before: &Self) -> Value {
        let counted = self.since(before).filter(|(_, count)| *count > 0);
        Value::Object(
            counted.map(|(name, count)| (name.to_owned(), count.into())).collect::<Map<_, _>>(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(samples: &[(&str, u64)]) -> Counters {
        let lines = samples.iter().map(|(name, count)| format!("cabled_relay_{name} {count}\n"));
        Counters::parse(&lines.collect::<String>())
    }

    #[test]
    fn all_that_was_provoked_has_to_be_counted_and_nothing_else() {
        let mut ledger = Ledger::default();
        ledger.note(SLOW);
        ledger.note(SLOW);
        ledger.note(SILENT);
        ledger.note_either(Either::LeftEarly);
        ledger.messages = 5;
        let before = counters(&[(SLOW, 1), (SILENT, 0), (ABANDONED, 0), ("messages_total", 1)]);
        let after = |slow, silent, abandoned, messages, connections| {
            counters(&[
                (SLOW, slow),
                (SILENT, silent),
                (ABANDONED, abandoned),
                (FLOOD, 0),
                ("messages_total", messages),
                ("connections", connections),
            ])
        };
        for (after, wrong) in [
            (after(3, 1, 1, 6, 0), 0),
            (after(3, 2, 0, 9, 0), 0),
            (after(2, 1, 1, 6, 0), 1),
            (after(4, 1, 1, 6, 0), 1),
            (after(3, 1, 0, 6, 0), 1),
            // One is missing where it had to be, and is too many where it is.
            (after(3, 0, 2, 6, 0), 2),
            (after(3, 1, 1, 5, 0), 1),
            (after(3, 1, 1, 6, 1), 1),
            (counters(&[]), 4),
        ] {
            let found = ledger.differences(&before, &after);
            assert_eq!(found.len(), wrong, "{found:?} {after:?}");
        }
        let mut unforeseen = counters(&[(FLOOD, 1)]);
        unforeseen.0.extend(after(3, 1, 1, 6, 0).0.into_iter().filter(|(name, _)| name != FLOOD));
        assert_eq!(ledger.differences(&before, &unforeseen).len(), 1);
    }

    #[test]
    fn refusals_for_want_of_room_are_told_apart() {
        let mut ledger = Ledger::default();
        ledger.note_crowd(&Answer::Refused(429, 1)).unwrap();
        ledger.note_crowd(&Answer::Refused(429, 60)).unwrap();
        assert_eq!(ledger.sure.len(), 2);
        assert!(ledger.note_crowd(&Answer::Refused(429, 2)).is_err());
        assert!(ledger.note_crowd(&Answer::Refused(404, 0)).is_err());
        assert!(ledger.note_crowd(&Answer::Upgraded(None)).is_err());
    }
}
