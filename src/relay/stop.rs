//! The signal by which a stopping relay ends its connections, and the time until which it drains.
//!
//! Depends on tokio only.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Receives the signal; one per connection.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

/// Gives the signal, also by being dropped.
#[derive(Debug)]
pub(super) struct Stopper(watch::Sender<bool>);

pub(super) fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

/// Waits until a time has come; for ever, without one.
pub(super) async fn passed(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl Stopper {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the signal. Cancel safe.
    pub(super) async fn requested(&mut self) {
        // An error means that the relay itself is gone: that is the signal, too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
