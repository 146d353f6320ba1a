//! Connections inside one process: pipes, and a table of who listens where. Depends on tokio only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use super::{Air, MemoryRadio};
use crate::ble::link::{DYNAMIC_PSMS, Link, Linker, Listener};
use crate::ble::{Address, Error};
use crate::hybrid::advert::Psm;

/// Bytes under way in one direction before the sender waits: some messages of a transaction.
const PIPE: usize = 4096;
/// Connections that wait to be taken; further ones are refused.
const BACKLOG: usize = 4;

/// Who listens, by port.
#[derive(Debug, Default)]
pub(super) struct Ports(Mutex<HashMap<u16, mpsc::Sender<DuplexStream>>>);

impl Ports {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u16, mpsc::Sender<DuplexStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Linker for MemoryRadio {
    type Listener = MemoryListener;

    /// The address is not looked at: a port is there once on this air.
    async fn connect(&self, _peer: Address, psm: Psm) -> Result<Link, Error> {
        self.check_power()?;
        let listener = self.air.ports.lock().get(&psm.0).cloned();
        let (here, there) = duplex(PIPE);
        let taken = listener.is_some_and(|listener| listener.try_send(there).is_ok());
        let refused = || Error::Unreachable(std::io::ErrorKind::ConnectionRefused.into());
        taken.then(|| Link::over(here)).ok_or_else(refused)
    }

    async fn listen(&self) -> Result<MemoryListener, Error> {
        self.check_power()?;
        let mut ports = self.air.ports.lock();
        let free = DYNAMIC_PSMS.into_iter().find(|psm| !ports.contains_key(psm));
        let psm = free.ok_or(Error::NoFreePort)?;
        let (sender, incoming) = mpsc::channel(BACKLOG);
        ports.insert(psm, sender);
        Ok(MemoryListener { air: Arc::clone(&self.air), psm, incoming })
    }
}

/// A listener of a [`MemoryRadio`].
#[derive(Debug)]
#[must_use = "dropping a listener ends it"]
pub struct MemoryListener {
    air: Arc<Air>,
    psm: u16,
    incoming: mpsc::Receiver<DuplexStream>,
}

impl Listener for MemoryListener {
    fn psm(&self) -> Psm {
        Psm(self.psm)
    }

    async fn accept(&mut self) -> Result<Link, Error> {
        // `None` cannot come while the table holds the sender; no sender is no power.
        self.incoming.recv().await.map(Link::over).ok_or(Error::PoweredOff)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.air.ports.lock().remove(&self.psm);
    }
}
