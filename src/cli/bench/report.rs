//! The figures of a run, for people and for machines.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::Load;
use crate::cli::ui::event_line;

/// Resident bytes of the measured process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) base: u64,
    pub(super) idle: u64,
    pub(super) after: u64,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) tunnels: u32,
    pub(super) active: u32,
    /// Messages that arrived, both directions.
    pub(super) messages: u64,
    pub(super) size: usize,
    pub(super) setting_up: Duration,
    pub(super) carrying: Duration,
    /// From the first byte of a turn to the last of its answer, sorted.
    pub(super) turns: Vec<Duration>,
    pub(super) memory: Option<Memory>,
    /// Nanoseconds of CPU for all set-ups, and for all messages.
    pub(super) cpu: Option<(u64, u64)>,
}

impl Report {
    pub(super) fn of(load: &Load) -> Self {
        let Load { tunnels, active, size, .. } = *load;
        Self { tunnels, active, size, ..Self::default() }
    }

    fn percentile(&self, percent: usize) -> Option<f64> {
        let at = self.turns.len().checked_sub(1)? * percent / 100;
        self.turns.get(at).map(|turn| turn.as_secs_f64() * 1e6)
    }

    fn per_tunnel(&self) -> Option<f64> {
        let memory = self.memory.as_ref()?;
        Some(memory.idle.saturating_sub(memory.base) as f64 / f64::from(self.tunnels))
    }

    fn setups(&self) -> f64 {
        f64::from(self.tunnels) / self.setting_up.as_secs_f64().max(1e-9)
    }

    fn rate(&self) -> Option<f64> {
        (self.messages > 0).then(|| self.messages as f64 / self.carrying.as_secs_f64().max(1e-9))
    }

    fn cpu_us(&self) -> (Option<f64>, Option<f64>) {
        let us = |spent: u64, times: f64| (times > 0.0).then(|| spent as f64 / 1e3 / times);
        match self.cpu {
            Some((setups, messages)) => {
                (us(setups, self.tunnels.into()), us(messages, self.messages as f64))
            }
            None => (None, None),
        }
    }

    pub(super) fn json(&self) -> Value {
        let (cpu_setup, cpu_message) = self.cpu_us();
        let memory = self.memory.as_ref();
        event_line(
            "bench",
            json!({
                "tunnels": self.tunnels,
                "active": self.active,
                "size": self.size,
                "messages": self.messages,
                "setups_per_second": self.setups(),
                "messages_per_second": self.rate(),
                "rtt_p50_us": self.percentile(50),
                "rtt_p99_us": self.percentile(99),
                "memory_base": memory.map(|memory| memory.base),
                "memory_per_idle_tunnel": self.per_tunnel(),
                "memory_after": memory.map(|memory| memory.after),
                "cpu_us_per_setup": cpu_setup,
                "cpu_us_per_message": cpu_message,
            }),
        )
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: Option<f64>, unit: &str| {
            if let Some(value) = value {
                let _infallible = writeln!(text, "{name:<32}{value:>12.1} {unit}");
            }
        };
        let (cpu_setup, cpu_message) = self.cpu_us();
        let kib = |bytes: u64| bytes as f64 / 1024.0;
        let memory = self.memory.as_ref();
        line("set-ups", Some(self.setups()), "a second");
        line("messages", self.rate(), "a second");
        line("round trip, median", self.percentile(50), "us");
        line("round trip, 99 of 100", self.percentile(99), "us");
        line("memory, no tunnel yet", memory.map(|memory| kib(memory.base)), "KiB");
        line("memory, each idle tunnel", self.per_tunnel().map(|bytes| bytes / 1024.0), "KiB");
        line("memory, all closed", memory.map(|memory| kib(memory.after)), "KiB");
        line("CPU, each set-up", cpu_setup, "us");
        line("CPU, each message", cpu_message, "us");
        let count = self.messages;
        let _infallible = write!(text, "{count} messages arrived whole and in order");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_ratios_of_what_was_counted() {
        let report = Report {
            tunnels: 2,
            messages: 4,
            setting_up: Duration::from_secs(1),
            carrying: Duration::from_secs(2),
            turns: (1..=100).map(Duration::from_micros).collect(),
            memory: Some(Memory { base: 1024, idle: 5120, after: 2048 }),
            cpu: Some((10_000, 8_000)),
            ..Report::default()
        };
        let json = report.json();
        for (name, expected) in [
            ("setups_per_second", 2.0),
            ("messages_per_second", 2.0),
            ("rtt_p50_us", 50.0),
            ("rtt_p99_us", 99.0),
            ("memory_per_idle_tunnel", 2048.0),
            ("cpu_us_per_setup", 5.0),
            ("cpu_us_per_message", 2.0),
        ] {
            assert!((json[name].as_f64().unwrap() - expected).abs() < 1e-6, "{name}: {json}");
        }
        assert!(report.text().contains("memory, each idle tunnel"));
        let nothing = Report { tunnels: 1, ..Report::default() };
        assert!(nothing.json()["rtt_p50_us"].is_null() && !nothing.text().contains("CPU"));
    }
}
