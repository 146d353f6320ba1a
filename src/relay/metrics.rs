//! What the relay counts, in Prometheus' text format.
//!
//! Every label comes from a closed list: no ids, no addresses. A tunnel counts its messages for
//! itself and adds them here when it has ended, so that carrying a message costs nothing here.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::cause::Cause;
use super::certificates::Certificates;
use super::config::Limits;
use super::passages::Passages;
use super::registry::Census;
use super::status::Status;

/// Why a connection ended before its request was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Far too many connections from its address.
    Flood,
    /// It hung up, reset, or failed at TLS.
    NoRequest,
    /// A named proxy did not say for whom, in the form of the PROXY protocol.
    Proxy,
    /// TLS and head took too long.
    Slow,
}

impl Unheard {
    /// Every reason, for the counters.
    const ALL: [Self; 4] = [Self::Flood, Self::NoRequest, Self::Proxy, Self::Slow];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::NoRequest => "no_request",
            Self::Proxy => "proxy",
            Self::Slow => "slow",
        }
    }
}

/// One counter for each member of a closed list.
#[derive(Debug)]
struct Tally<R>(Vec<(R, AtomicU64)>);

impl<R: Copy + PartialEq> Tally<R> {
    fn new(reasons: &[R]) -> Self {
        Self(reasons.iter().map(|reason| (*reason, AtomicU64::new(0))).collect())
    }

    fn count(&self, reason: R) {
        if let Some((_, count)) = self.0.iter().find(|(known, _)| *known == reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn values(&self) -> impl Iterator<Item = (R, u64)> + '_ {
        self.0.iter().map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
    }
}

/// All counters of a relay, from its start.
#[derive(Debug)]
pub(super) struct Metrics {
    unheard: Tally<Unheard>,
    refused: Tally<Status>,
    /// Tunnels that ended before a client joined, and those that ended after.
    lonely: Tally<Cause>,
    joined: Tally<Cause>,
    /// Listeners that are no more, and laptops whose phone said that it comes.
    listeners: Tally<Cause>,
    rings: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// What goes between this node and others.
    pub(super) passages: Passages,
    /// Those that were asked for.
    pub(super) certificates: Certificates,
    /// Certificates that were read again, and those that could not be used.
    reloads: [AtomicU64; 2],
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            unheard: Tally::new(&Unheard::ALL),
            refused: Tally::new(&Status::REFUSALS),
            lonely: Tally::new(&Cause::OF_TUNNELS),
            joined: Tally::new(&Cause::OF_TUNNELS),
            listeners: Tally::new(&Cause::OF_LISTENERS),
            rings: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            passages: Passages::default(),
            certificates: Certificates::default(),
            reloads: [const { AtomicU64::new(0) }; 2],
        }
    }

    pub(super) fn unheard(&self, why: Unheard) {
        self.unheard.count(why);
        tracing::debug!(reason = why.label(), "connection ended");
    }

    pub(super) fn refused(&self, status: Status) {
        self.refused.count(status);
    }

    pub(super) fn ended_lonely(&self, cause: Cause) {
        self.lonely.count(cause);
    }

    pub(super) fn stopped_listening(&self, cause: Cause) {
        self.listeners.count(cause);
    }

    /// A phone was rung, and comes.
    pub(super) fn rung(&self) {
        self.rings.fetch_add(1, Ordering::Relaxed);
    }

    /// Certificate and key have changed, and are in use now or cannot be used.
    pub(super) fn reloaded(&self, used: bool) {
        let [good, bad] = &self.reloads;
        let count = if used { good } else { bad };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages and bytes are those of both directions.
    pub(super) fn ended_joined(&self, cause: Cause, messages: u64, bytes: u64) {
        self.joined.count(cause);
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The text that Prometheus reads.
    pub(super) fn text(
        &self,
        connections: usize,
        tunnels: Census,
        listeners: usize,
        limits: &Limits,
    ) -> String {
        let mut text = Text(String::with_capacity(4096));
        text.family("connections", "gauge", "Connections that are open");
        text.sample("connections", "", connections);
        text.family("connections_limit", "gauge", "Connections that may be open at a time");
        text.sample("connections_limit", "", limits.connections);
        text.family("tunnels", "gauge", "Tunnels by state");
        text.sample("tunnels", r#"{state="waiting"}"#, tunnels.all - tunnels.joined);
        text.sample("tunnels", r#"{state="joined"}"#, tunnels.joined);
        text.family("tunnels_limit", "gauge", "Tunnels that may be open at a time");
        text.sample("tunnels_limit", "", limits.tunnels);
        text.family("listeners", "gauge", "Phones that wait to be rung");
        text.sample("listeners", "", listeners);
        text.family("listeners_limit", "gauge", "Phones that may wait to be rung");
        text.sample("listeners_limit", "", limits.listeners);
        text.family("connections_unheard_total", "counter", "Connections without a request");
        for (why, count) in self.unheard.values() {
            let label = format!(r#"{{reason="{}"}}"#, why.label());
            text.sample("connections_unheard_total", &label, count);
        }
        text.family("requests_refused_total", "counter", "Requests refused, by status and reason");
        for (status, count) in self.refused.values() {
            let (code, reason) = (status.code(), status.label());
            let label = format!(r#"{{status="{code}",reason="{reason}"}}"#);
            text.sample("requests_refused_total", &label, count);
        }
        text.family("tunnels_ended_total", "counter", "Tunnels ended, by state and reason");
        for (state, tally) in [("waiting", &self.lonely), ("joined", &self.joined)] {
            for (cause, count) in tally.values() {
                let label = format!(r#"{{state="{state}",reason="{}"}}"#, cause.label());
                text.sample("tunnels_ended_total", &label, count);
            }
        }
        text.family("listeners_ended_total", "counter", "Listeners that ended, by reason");
        for (cause, count) in self.listeners.values() {
            let label = format!(r#"{{reason="{}"}}"#, cause.label());
            text.sample("listeners_ended_total", &label, count);
        }
        text.family("tls_reloads_total", "counter", "Changed certificates, by what came of them");
        for (result, count) in ["used", "refused"].iter().zip(&self.reloads) {
            let label = format!(r#"{{result="{result}"}}"#);
            text.sample("tls_reloads_total", &label, count.load(Ordering::Relaxed));
        }
        for (name, help, count) in [
            ("rings_total", "Rings to which a phone said that it comes", &self.rings),
            ("messages_total", "Messages and pings of joined tunnels that ended", &self.messages),
            ("bytes_total", "Bytes of joined tunnels that ended", &self.bytes),
        ] {
            text.family(name, "counter", help);
            text.sample(name, "", count.load(Ordering::Relaxed));
        }
        text.0
    }
}

pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let name = format_args!("cabled_relay_{name}");
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "cabled_relay_{name}{labels} {value}");
    }
}
