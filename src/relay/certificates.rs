//! Certificates, as Prometheus reads of them: when the one in use ends, and what came of asking for others.

use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::Text;

/// Tries to get a certificate by ACME: those that gave one, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Certificates([AtomicU64; 2]);

impl Certificates {
    /// A try is over.
    #[cfg(feature = "acme")]
    pub(super) fn tried(&self, issued: bool) {
        let [good, bad] = &self.0;
        let count = if issued { good } else { bad };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The text that Prometheus reads, with the end of the certificate in use; 0 without one.
    pub(super) fn text(&self, until: Option<u64>) -> String {
        let mut text = Text(String::with_capacity(512));
        let name = "tls_certificate_not_after_seconds";
        text.family(name, "gauge", "When the certificate in use ends, in Unix time, or 0");
        text.sample(name, "", until.unwrap_or_default());
        text.family("acme_orders_total", "counter", "Certificates asked for, by what came of it");
        for (result, count) in ["issued", "failed"].iter().zip(&self.0) {
            let label = format!(r#"{{result="{result}"}}"#);
            text.sample("acme_orders_total", &label, count.load(Ordering::Relaxed));
        }
        text.0
    }
}
