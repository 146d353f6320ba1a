//! One scan of a radio for many listeners at once.
//!
//! A radio scans the same whether one transaction listens or twenty, and some controllers fail at
//! the second scan. So the first listener starts it, a task hands what is heard to all of them, and
//! it stops with the last. Nobody waits for anybody: a listener that is slow loses the oldest
//! receptions, and only it does. Depends on the traits of this layer and tokio.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::{AbortHandle, JoinHandle};

use super::{Error, Scan, Scanner, Sighting};

/// Receptions that wait for a listener; one that falls behind loses the oldest.
const QUEUE: usize = 256;

/// A scanner whose scans are all one; clones share it too.
pub struct SharedScanner<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    scanner: S,
    /// How often starting was tried, to an end.
    attempts: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Weak<Running>,
    task: Option<JoinHandle<()>>,
    /// Why the last attempt to start failed, if it did.
    failed: Option<Arc<Error>>,
}

/// The one scan; it stops when the last listener lets go of this.
#[derive(Debug)]
struct Running {
    /// Never read, only copied: it knows whether the sender is still there.
    template: broadcast::Receiver<Sighting>,
    ended: Arc<OnceLock<Arc<Error>>>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<S> Clone for SharedScanner<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: fmt::Debug> fmt::Debug for SharedScanner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedScanner").field(&self.inner.scanner).finish()
    }
}

impl<S> SharedScanner<S> {
    /// Shares the scans of this one; nothing is heard yet.
    pub fn new(scanner: S) -> Self {
        let (attempts, state) = (AtomicU64::new(0), Mutex::default());
        Self { inner: Arc::new(Inner { scanner, attempts, state }) }
    }

    /// What is shared.
    #[must_use]
    pub fn scanner(&self) -> &S {
        &self.inner.scanner
    }
}

impl<S: Scanner> Scanner for SharedScanner<S>
where
    S::Scan: 'static,
{
    type Scan = SharedScan;

    async fn scan(&self) -> Result<SharedScan, Error> {
        let before = self.inner.attempts.load(Ordering::SeqCst);
        let mut state = self.inner.state.lock().await;
        if let Some(running) = state.running.upgrade().filter(|it| it.ended.get().is_none()) {
            return Ok(SharedScan::of(running));
        }
        // Who waited for an attempt that failed has the answer, or twenty would wait for twenty.
        if let Some(failed) = state.failed.as_ref()
            && self.inner.attempts.load(Ordering::SeqCst) != before
        {
            return Err(again(failed));
        }
        // The scan before is off the air before the next is on it.
        if let Some(task) = state.task.take() {
            task.abort();
            let _aborted = task.await;
        }
        let started = self.inner.start().await;
        self.inner.attempts.fetch_add(1, Ordering::SeqCst);
        match started {
            Ok((running, task)) => {
                (state.running, state.task) = (Arc::downgrade(&running), Some(task));
                state.failed = None;
                Ok(SharedScan::of(running))
            }
            Err(error) => {
                let error = Arc::new(error);
                state.failed = Some(Arc::clone(&error));
                Err(again(&error))
            }
        }
    }
}

impl<S: Scanner> Inner<S>
where
    S::Scan: 'static,
{
    async fn start(&self) -> Result<(Arc<Running>, JoinHandle<()>), Error> {
        let runtime = Handle::try_current().map_err(Error::NoRuntime)?;
        let scan = self.scanner.scan().await?;
        let (sender, template) = broadcast::channel(QUEUE);
        let ended = Arc::new(OnceLock::new());
        let task = runtime.spawn(hand_out(scan, sender, Arc::clone(&ended)));
        let running = Running { template, ended, task: task.abort_handle() };
        Ok((Arc::new(running), task))
    }
}

/// Hands out what is heard until the radio fails or this is aborted.
async fn hand_out(
    mut scan: impl Scan,
    sender: broadcast::Sender<Sighting>,
    ended: Arc<OnceLock<Arc<Error>>>,
) {
    loop {
        match scan.next().await {
            // That nobody listens any more shows in being aborted.
            Ok(sighting) => drop(sender.send(sighting)),
            Err(error) => {
                // Before the sender goes, so that whoever sees it gone finds out why.
                let _first = ended.set(Arc::new(error));
                return;
            }
        }
    }
}

/// The error for one more listener.
fn again(error: &Arc<Error>) -> Error {
    match **error {
        Error::NoAdapter => Error::NoAdapter,
        Error::PoweredOff => Error::PoweredOff,
        Error::PermissionDenied => Error::PermissionDenied,
        Error::SimulatedOnly => Error::SimulatedOnly,
        Error::AdapterGone => Error::AdapterGone,
        Error::ServiceGone => Error::ServiceGone,
        Error::NoAnswer(time) => Error::NoAnswer(time),
        _ => Error::Shared(Arc::clone(error)),
    }
}

/// One listener's part of a scan that is shared.
#[derive(Debug)]
#[must_use = "dropping the last part of a scan stops it"]
pub struct SharedScan {
    heard: broadcast::Receiver<Sighting>,
    running: Arc<Running>,
}

impl SharedScan {
    /// Hears what comes from now on.
    fn of(running: Arc<Running>) -> Self {
        Self { heard: running.template.resubscribe(), running }
    }
}

impl Scan for SharedScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        loop {
            match self.heard.recv().await {
                Ok(sighting) => return Ok(sighting),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    return Err(self.running.ended.get().map_or(Error::ScanEnded, again));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
