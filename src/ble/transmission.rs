//! The sending half that both simulated radios share: one advert, repeated until its guard goes.
//! Depends on tokio's timer only.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Advertisement, Error, Sighting};

/// Longest time the simulated radios handle; a clock plus the longest `Duration` overflows.
pub(super) const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Shortest interval; tokio's timer has this grain, and panics at zero.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Where a simulated advertiser sends to. Never blocks and never fails: air does not either.
pub(super) trait Medium: Send + Sync + 'static {
    fn transmit(&self, sighting: &Sighting);
}

/// An advert on the simulated air; dropping it takes it off.
///
/// Nothing is sent any more once the drop has returned. What scanners have in their queues by
/// then may still be heard.
#[derive(Debug)]
#[must_use = "dropping an advertisement takes it off the air"]
pub struct Transmission {
    sender: Arc<Mutex<Option<Sender>>>,
    task: JoinHandle<()>,
}

struct Sender {
    medium: Box<dyn Medium>,
    sighting: Sighting,
}

impl Sender {
    fn send(&self) {
        self.medium.transmit(&self.sighting);
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.sighting).finish()
    }
}

impl Transmission {
    /// Sends once before it returns, then once every `interval`.
    pub(super) fn start(
        medium: impl Medium,
        sighting: Sighting,
        interval: Duration,
    ) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(Error::NoRuntime)?;
        let sender = Sender { medium: Box::new(medium), sighting };
        sender.send();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let interval = interval.clamp(MIN_INTERVAL, MAX_TIME);
        let task = runtime.spawn(repeat(Arc::clone(&sender), interval));
        Ok(Self { sender, task })
    }

    fn end(&self) {
        // The lock is held while sending: after this line no send is under way, nor will one be,
        // and the medium is closed even if the runtime never polls the task again.
        drop(lock(&self.sender).take());
        self.task.abort();
    }
}

impl Drop for Transmission {
    fn drop(&mut self) {
        self.end();
    }
}

impl Advertisement for Transmission {
    async fn stop(mut self) -> Result<(), Error> {
        self.end();
        match (&mut self.task).await {
            Err(cause) if cause.is_panic() => Err(Error::Backend(Box::new(cause))),
            _ => Ok(()),
        }
    }
}

async fn repeat(sender: Arc<Mutex<Option<Sender>>>, interval: Duration) {
    let mut timer = interval_at(Instant::now() + interval, interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        match &*lock(&sender) {
            Some(sender) => sender.send(),
            None => return,
        }
    }
}

fn lock(sender: &Mutex<Option<Sender>>) -> MutexGuard<'_, Option<Sender>> {
    sender.lock().unwrap_or_else(PoisonError::into_inner)
}
