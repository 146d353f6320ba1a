//! What goes between this node and others, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::Text;

/// Clients that pass to other nodes, and those that come through them.
#[derive(Debug, Default)]
pub(super) struct Passages {
    passing: AtomicU64,
    linked: AtomicU64,
    /// Since the start: clients let pass, and those taken in.
    admitted: AtomicU64,
    /// Those let pass whose tunnel ended, and those whose link broke.
    ended: [AtomicU64; 2],
}

/// One that is counted until it is dropped.
#[cfg(feature = "cluster")]
pub(super) struct Counted<'a>(&'a AtomicU64);

#[cfg(feature = "cluster")]
impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "cluster")]
impl Passages {
    /// A client is let pass.
    pub(super) fn pass(&self) -> Counted<'_> {
        self.passing.fetch_add(1, Ordering::Relaxed);
        Counted(&self.passing)
    }

    /// It is through, or its link broke.
    pub(super) fn passed(&self, broke: bool) {
        let [over, lost] = &self.ended;
        let count = if broke { lost } else { over };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A client of another node is taken in.
    pub(super) fn link(&self) -> Counted<'_> {
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.linked.fetch_add(1, Ordering::Relaxed);
        Counted(&self.linked)
    }

    pub(super) fn links(&self) -> u64 {
        self.linked.load(Ordering::Relaxed)
    }
}

impl Passages {
    pub(super) fn passing(&self) -> u64 {
        self.passing.load(Ordering::Relaxed)
    }

    /// The text that Prometheus reads; whether NATS is there, and whether this node has its number.
    pub(super) fn text(&self, [connected, numbered]: [bool; 2]) -> String {
        let mut text = Text(String::with_capacity(1024));
        for (name, help, value) in [
            ("cluster_connected", "Whether NATS is there", u64::from(connected)),
            ("cluster_numbered", "Whether this node has a number of its own", u64::from(numbered)),
            ("passages", "Clients let pass to other nodes", self.passing()),
            ("links", "Clients of other nodes", self.linked.load(Ordering::Relaxed)),
        ] {
            text.family(name, "gauge", help);
            text.sample(name, "", value);
        }
        text.family("passages_total", "counter", "Clients let pass, by what came of it");
        for (result, count) in ["over", "lost"].iter().zip(&self.ended) {
            let label = format!(r#"{{result="{result}"}}"#);
            text.sample("passages_total", &label, count.load(Ordering::Relaxed));
        }
        text.family("links_total", "counter", "Clients of other nodes that were taken in");
        text.sample("links_total", "", self.admitted.load(Ordering::Relaxed));
        text.0
    }
}
