//! The transactions that run: their number is bounded, and each can be cancelled.
//!
//! Depends on siblings and tokio only.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Error;
use super::journal::TransactionId;
use crate::client::receipts::ReceiptNumber;

/// Programs that are served at the same time.
pub const MAX_RUNNING: usize = 64;

#[derive(Default)]
pub(super) struct List {
    entries: Mutex<Entries>,
    /// How many are not over yet.
    count: watch::Sender<usize>,
    /// How often somebody said that this key is meant.
    touches: watch::Sender<u64>,
}

#[derive(Default)]
struct Entries {
    last: u64,
    stopping: bool,
    running: BTreeMap<TransactionId, Running>,
    /// Registrations whose answer the program has not said to have.
    untaken: BTreeMap<TransactionId, ReceiptNumber>,
}

struct Running {
    cancel: watch::Sender<bool>,
    code: Option<String>,
    /// The name of the phone that is rung.
    rung: Option<String>,
}

impl List {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self) -> Result<(TransactionId, watch::Receiver<bool>), Error> {
        let mut entries = self.entries();
        if entries.stopping {
            return Err(Error::Stopping);
        }
        if entries.running.len() >= MAX_RUNNING {
            return Err(Error::Busy);
        }
        entries.last += 1;
        let id = TransactionId(entries.last);
        let (cancel, cancelled) = watch::channel(false);
        entries.running.insert(id, Running { cancel, code: None, rung: None });
        self.count.send_replace(entries.running.len());
        Ok((id, cancelled))
    }

    pub(super) fn leave(&self, id: TransactionId) {
        let mut entries = self.entries();
        entries.running.remove(&id);
        self.count.send_replace(entries.running.len());
    }

    /// The code that is shown from now on, or none any more; and the phone that is rung.
    pub(super) fn show(&self, id: TransactionId, code: Option<String>, rung: Option<String>) {
        if let Some(running) = self.entries().running.get_mut(&id) {
            (running.code, running.rung) = (code, rung);
        }
    }

    pub(super) fn code(&self, id: TransactionId) -> Option<String> {
        self.entries().running.get(&id)?.code.clone()
    }

    pub(super) fn rung(&self, id: TransactionId) -> Option<String> {
        self.entries().running.get(&id)?.rung.clone()
    }

    pub(super) fn running(&self) -> Vec<TransactionId> {
        self.entries().running.keys().copied().collect()
    }

    pub(super) fn cancel(&self, id: TransactionId) -> Result<(), Error> {
        let entries = self.entries();
        let running = entries.running.get(&id).ok_or(Error::NoSuchTransaction)?;
        running.cancel.send_replace(true);
        Ok(())
    }

    pub(super) fn touches(&self) -> watch::Receiver<u64> {
        self.touches.subscribe()
    }

    pub(super) fn touch(&self) -> Result<(), Error> {
        match self.touches.receiver_count() {
            0 => Err(Error::NoSuchTransaction),
            _ => {
                self.touches.send_modify(|times| *times += 1);
                Ok(())
            }
        }
    }

    pub(super) fn owe(&self, id: TransactionId, receipt: ReceiptNumber) {
        self.entries().untaken.insert(id, receipt);
    }

    pub(super) fn untaken(&self) -> Vec<ReceiptNumber> {
        self.entries().untaken.values().copied().collect()
    }

    pub(super) fn take(&self, id: TransactionId) -> Option<ReceiptNumber> {
        self.entries().untaken.remove(&id)
    }

    pub(super) async fn stop(&self, patience: Duration) {
        {
            let mut entries = self.entries();
            entries.stopping = true;
            for running in entries.running.values() {
                running.cancel.send_replace(true);
            }
        }
        let mut count = self.count.subscribe();
        // What hangs beyond that ends with the program.
        let _late = tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await;
    }
}
