//! The simulated radio inside one process, for tests and the demo.
//!
//! Repeatable with a seed, and at home on tokio's paused clock: nothing here waits for the outside.
//! Depends on tokio only.

mod link;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};

use super::hearing::{Hearing, MAX_RECORDED, Source};
use super::rng::Rng;
use super::transmission::{Medium, Transmission};
use super::{Advertiser, Conditions, Error, Outgoing, Scanner, Sighting};
use link::Ports;

pub use link::MemoryListener;

/// Receptions that wait for a scan; a scan that falls behind loses the oldest.
const QUEUE: usize = 256;

/// A radio whose clones, and nobody else, hear each other.
#[derive(Debug, Clone)]
pub struct MemoryRadio {
    air: Arc<Air>,
    conditions: Conditions,
}

#[derive(Debug)]
struct Air {
    /// `None` tells that the power went off.
    sender: broadcast::Sender<Option<Sighting>>,
    powered: AtomicBool,
    rng: Mutex<Rng>,
    recorded: Mutex<VecDeque<Sighting>>,
    ports: Ports,
}

impl MemoryRadio {
    /// Makes a new, silent air.
    ///
    /// With a seed in `conditions` all runs that make the same calls in the same order see the
    /// same addresses, noise and losses.
    ///
    /// # Errors
    ///
    /// [`Error::NoEntropy`] if there is no seed and the system gives none.
    pub fn new(conditions: Conditions) -> Result<Self, Error> {
        let air = Air {
            sender: broadcast::channel(QUEUE).0,
            powered: AtomicBool::new(true),
            rng: Mutex::new(Rng::new(conditions.seed)?),
            recorded: Mutex::default(),
            ports: Ports::default(),
        };
        Ok(Self { air: Arc::new(air), conditions })
    }

    /// Gives a radio on the same air that works under other conditions (but for the seed).
    #[must_use]
    pub fn with_conditions(&self, conditions: Conditions) -> Self {
        Self { air: Arc::clone(&self.air), conditions }
    }

    /// Switches the adapter of all clones on or off; scans that run end with
    /// [`Error::PoweredOff`], adverts are silent until it is on again.
    pub fn set_powered(&self, on: bool) {
        self.air.powered.store(on, Ordering::SeqCst);
        if !on {
            // Nobody scanning is fine.
            let _ = self.air.sender.send(None);
        }
    }

    fn check_power(&self) -> Result<(), Error> {
        self.air.check_power()
    }
}

impl Air {
    fn check_power(&self) -> Result<(), Error> {
        if self.powered.load(Ordering::SeqCst) { Ok(()) } else { Err(Error::PoweredOff) }
    }
}

impl Medium for Arc<Air> {
    fn transmit(&self, sighting: &Sighting) {
        if self.check_power().is_ok() {
            // Nobody scanning is fine.
            let _ = self.sender.send(Some(sighting.clone()));
        }
    }
}

impl Scanner for MemoryRadio {
    type Scan = MemoryScan;

    async fn scan(&self) -> Result<MemoryScan, Error> {
        self.check_power()?;
        let receiver = self.air.sender.subscribe();
        let rng = Rng::seeded(lock(&self.air.rng).word());
        let ear = Ear { air: Arc::clone(&self.air), receiver };
        Ok(MemoryScan(Hearing::new(ear, &self.conditions, rng)))
    }
}

impl Advertiser for MemoryRadio {
    type Advertisement = Transmission;

    async fn advertise(&self, advert: Outgoing<'_>) -> Result<Transmission, Error> {
        advert.check()?;
        self.check_power()?;
        let Outgoing { service, service_data, .. } = advert;
        let address = lock(&self.air.rng).address();
        let sighting =
            Sighting { address, service, service_data: service_data.to_vec(), rssi: None };
        Transmission::start(Arc::clone(&self.air), sighting, self.conditions.interval)
    }
}

/// A running scan of a [`MemoryRadio`].
#[derive(Debug)]
#[must_use = "dropping a scan stops it"]
pub struct MemoryScan(Hearing<Ear>);

impl super::Scan for MemoryScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        self.0.next().await
    }
}

#[derive(Debug)]
struct Ear {
    air: Arc<Air>,
    receiver: broadcast::Receiver<Option<Sighting>>,
}

impl Source for Ear {
    async fn receive(&mut self) -> Result<Sighting, Error> {
        loop {
            self.air.check_power()?;
            match self.receiver.recv().await {
                Ok(Some(sighting)) => return Ok(sighting),
                Err(RecvError::Lagged(_)) => {}
                // `Closed` cannot come while `air` holds the sender; no sender is no power.
                Ok(None) | Err(RecvError::Closed) => return Err(Error::PoweredOff),
            }
        }
    }

    fn record(&self, sighting: &Sighting) {
        let mut recorded = lock(&self.air.recorded);
        if recorded.contains(sighting) {
            return;
        }
        while recorded.len() >= MAX_RECORDED {
            recorded.pop_front();
        }
        recorded.push_back(sighting.clone());
    }

    fn recorded(&self) -> Vec<Sighting> {
        lock(&self.air.recorded).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
