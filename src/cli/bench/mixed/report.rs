//! What a mixed load came to, for people and for machines.

use std::time::Duration;

use serde_json::{Value, json};

use super::fault::Fault;
use super::ledger::Ledger;
use crate::cli::ui::event_line;

/// Shorter runs say nothing about memory: what allocators keep has not come to rest.
const JUDGED_FROM: Duration = Duration::from_secs(300);
/// What memory may grow by: a tenth, and room for what happens to be under way.
const GROWTH_PERCENT: u64 = 10;
const GROWTH_BYTES: u64 = 2 << 20;

#[derive(Debug, Default)]
pub(in super::super) struct Report {
    pub(super) lasts: Duration,
    pub(super) seed: u64,
    pub(super) ledger: Ledger,
    /// What the relay counted meanwhile, by reason.
    pub(super) counted: Value,
    /// Resident memory of the relay, one look after the other.
    pub(super) memory: Vec<u64>,
    pub(super) look_every: Duration,
}

impl Report {
    /// The lowest of the first and of the last third, without the first fifth, in which the relay warms up.
    ///
    /// The lowest, because what happens to be under way comes and goes by more than its own size: a leak raises
    /// also what is left when little is under way.
    fn thirds(&self) -> Option<(u64, u64)> {
        let warm = self.memory.get(self.memory.len() / 5..)?;
        let third = warm.len() / 3;
        let lowest = |looks: &[u64]| looks.iter().min().copied();
        Some((lowest(warm.get(..third)?)?, lowest(warm.get(warm.len() - third..)?)?))
    }

    /// Memory has to be flat in a run that is long enough to tell.
    pub(super) fn judge_memory(&self) -> Result<(), Fault> {
        match self.thirds().filter(|_| self.lasts >= JUDGED_FROM) {
            Some((first, last)) if last > first + first * GROWTH_PERCENT / 100 + GROWTH_BYTES => {
                Err(Fault::Grew { first, last })
            }
            _ => Ok(()),
        }
    }

    pub(in super::super) fn json(&self) -> Value {
        let thirds = self.thirds();
        event_line(
            "bench-mixed",
            json!({
                "seconds": self.lasts.as_secs(),
                "seed": self.seed,
                "tunnels": self.ledger.lived,
                "messages": self.ledger.messages,
                "pings": self.ledger.pings,
                "bytes": self.ledger.bytes,
                "troubles": self.ledger.faults,
                "counted": self.counted,
                "memory": self.memory,
                "memory_every_seconds": self.look_every.as_secs_f64(),
                "memory_first_third": thirds.map(|(first, _)| first),
                "memory_last_third": thirds.map(|(_, last)| last),
            }),
        )
    }

    pub(in super::super) fn text(&self) -> String {
        let Ledger { lived, messages, bytes, faults, .. } = &self.ledger;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let memory = self.thirds().map(|(first, last)| {
            format!(
                "\nmemory, at its lowest in the first and the last third: {:.1} and {:.1} MiB",
                mib(first),
                mib(last)
            )
        });
        format!(
            "{lived} tunnels lived and carried {messages} messages, {:.1} MiB: none lost, doubled, altered or out of turn\n\
             {faults} troubles beside them, all counted as they were provoked (--seed {}){}",
            mib(*bytes),
            self.seed,
            memory.unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_in_runs_that_are_long_enough() {
        let steady =
            vec![5 << 20, 90 << 20, 40 << 20, 42 << 20, 39 << 20, 41 << 20, 40 << 20, 41 << 20];
        let mut report = Report { lasts: JUDGED_FROM, memory: steady, ..Report::default() };
        assert!(report.judge_memory().is_ok());
        report.memory =
            (0..20).map(|look| (if look % 4 == 0 { 14 } else { 14 + look }) << 20).collect();
        assert!(report.judge_memory().is_ok(), "what comes and goes is no growth");
        report.memory = (0..20).map(|look| (40 + look) << 20).collect();
        assert!(matches!(report.judge_memory(), Err(Fault::Grew { .. })));
        assert!(report.text().contains("third"));
        report.lasts = Duration::from_secs(20);
        assert!(report.judge_memory().is_ok());
        report.memory.clear();
        assert!(report.json()["memory_last_third"].is_null());
    }
}
