//! Hearing adverts with real Bluetooth: a [`Scanner`] over btleplug.
//!
//! Works on all platforms of btleplug; tested against BlueZ. One discovery serves all scans of a
//! radio and its clones, because BlueZ refuses a second one on the same connection; the last guard
//! to go stops it. It is unfiltered and wants duplicates: BlueZ hides service data under UUIDs that
//! it was asked to filter by. btleplug finds the adapter, starts and stops; what is heard then comes
//! from BlueZ's own signals, see `bluez::ear` for why, and elsewhere from btleplug, see `pump`.
//!
//! What BlueZ remembers of a device from before the discovery is not reported. A device that it
//! remembers and that sends again is reported with the last that it sent under either service, of which
//! one may be from before. That does no harm: an advert opens only with the secret of the code, or the
//! nonce of the contact, that it answers, and those are fresh.
//! Depends on btleplug and tokio, and on Linux on the ear of the other backend.

#[cfg(not(target_os = "linux"))]
mod pump;
mod reason;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use btleplug::api::{Central as _, CentralState, Manager as _, ScanFilter};
use btleplug::platform::{Adapter, Manager};
use tokio::runtime::Handle;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

#[cfg(target_os = "linux")]
use super::bluez::Ear;
use super::error::Lost;
use super::{Error, Scan, Scanner, Sighting};
#[cfg(not(target_os = "linux"))]
use pump::Ear;
use reason::reason;

/// Receptions that wait for a scan; a scan that falls behind loses the oldest.
const QUEUE: usize = 256;
/// For all that one step asks of the Bluetooth service.
const DEADLINE: Duration = Duration::from_secs(10);

/// A scanner for the adverts that a Bluetooth adapter receives.
///
/// Clones share one discovery. Never switches an adapter on: whoever switched it off meant it.
#[derive(Debug, Clone)]
pub struct BtleplugScanner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    adapter: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Kept, because its connection lasts as long as the process.
    session: Option<Manager>,
    discovery: Option<Arc<Discovery>>,
}

#[derive(Debug)]
struct Discovery {
    adapter: Adapter,
    heard: broadcast::Sender<Sighting>,
    lost: watch::Receiver<Option<Lost>>,
    pump: JoinHandle<()>,
}

impl BtleplugScanner {
    /// Prepares a scanner on the named adapter (`hci1`), or on the first one; asks the system
    /// nothing yet.
    ///
    /// Only BlueZ names its adapters.
    #[must_use]
    pub fn new(adapter: Option<String>) -> Self {
        Self { shared: Arc::new(Shared { adapter, state: Mutex::default() }) }
    }
}

impl Scanner for BtleplugScanner {
    type Scan = BtleplugScan;

    /// Starts to scan, within ten seconds.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`], [`Error::PoweredOff`], [`Error::PermissionDenied`] as the names say;
    /// [`Error::NoService`] without D-Bus or bluetoothd, [`Error::NoAnswer`] if the deadline passed.
    async fn scan(&self) -> Result<BtleplugScan, Error> {
        let runtime = Handle::try_current().map_err(Error::NoRuntime)?;
        let shared = Arc::clone(&self.shared);
        // A task, so that a caller who gives up leaves no discovery behind: the guard that nobody
        // takes any more is dropped.
        let begun = runtime.clone().spawn(async move { shared.begin(runtime).await }).await;
        begun.map_err(|cause| Error::Backend(Box::new(cause)))?
    }
}

impl Shared {
    async fn begin(self: Arc<Self>, runtime: Handle) -> Result<BtleplugScan, Error> {
        let mut state = self.state.lock().await;
        if state.discovery.as_ref().is_some_and(|discovery| discovery.is_over()) {
            stop(state.discovery.take()).await;
        }
        let discovery = match &state.discovery {
            Some(running) => Arc::clone(running),
            None => self.start(&mut state).await?,
        };
        let heard = discovery.heard.subscribe();
        let lost = discovery.lost.clone();
        drop(state);
        Ok(BtleplugScan {
            heard,
            lost,
            _guard: Guard { shared: self, discovery: Some(discovery), runtime },
        })
    }

    async fn start(&self, state: &mut MutexGuard<'_, State>) -> Result<Arc<Discovery>, Error> {
        let manager = match state.session.take() {
            Some(session) => session,
            None => connect().await?,
        };
        let discovery = in_time(Discovery::start(&manager, self.adapter.as_deref())).await?;
        // Only what has just worked is kept.
        state.session = Some(manager);
        Ok(Arc::clone(state.discovery.insert(Arc::new(discovery))))
    }

    /// Stops the discovery if `ours` was the last hold on it but for the state's own.
    async fn release(&self, ours: Arc<Discovery>) {
        let mut state = self.state.lock().await;
        drop(ours);
        if state.discovery.as_ref().is_some_and(|discovery| Arc::strong_count(discovery) == 1) {
            stop(state.discovery.take()).await;
        }
    }
}

impl Discovery {
    async fn start(manager: &Manager, wanted: Option<&str>) -> Result<Self, Error> {
        let (name, adapter) = choose(manager, wanted).await?;
        // Before the first question, so that nothing falls between it and the discovery.
        let ear = listen(&name, &adapter).await?;
        // btleplug would switch it on without a question.
        if adapter.adapter_state().await.map_err(reason)? == CentralState::PoweredOff {
            return Err(Error::PoweredOff);
        }
        let heard = broadcast::channel(QUEUE).0;
        let (over, lost) = watch::channel(None);
        let told = heard.clone();
        let pump = tokio::spawn(async move {
            over.send_replace(Some(ear.run(told).await));
        });
        // From here on a failure, also a passed deadline, drops the discovery: that ends the pump.
        let discovery = Self { adapter, heard, lost, pump };
        let stopper = Stopper(Some(discovery.adapter.clone()));
        discovery.adapter.start_scan(ScanFilter::default()).await.map_err(reason)?;
        stopper.disarm();
        Ok(discovery)
    }
}

impl Discovery {
    fn is_over(&self) -> bool {
        self.lost.borrow().is_some() || self.pump.is_finished()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Takes back a request to scan whose answer did not come.
struct Stopper(Option<Adapter>);

impl Stopper {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        if let (Some(adapter), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(stop_adapter(adapter));
        }
    }
}

async fn stop(discovery: Option<Arc<Discovery>>) {
    if let Some(discovery) = discovery {
        stop_adapter(discovery.adapter.clone()).await;
    }
}

async fn stop_adapter(adapter: Adapter) {
    // That nothing is left to stop, as after a power-off, is as good as having stopped it; nobody
    // waits for the answer.
    let _ = timeout(DEADLINE, adapter.stop_scan()).await;
}

/// Connects on a thread of its own: libdbus blocks until the bus has answered.
async fn connect() -> Result<Manager, Error> {
    let runtime = Handle::current();
    let connecting = tokio::task::spawn_blocking(move || runtime.block_on(Manager::new()));
    let joined = timeout(DEADLINE, connecting).await.map_err(|_| Error::NoAnswer(DEADLINE))?;
    joined.map_err(|cause| Error::Backend(Box::new(cause)))?.map_err(reason)
}

#[cfg(target_os = "linux")]
async fn listen(name: &str, _adapter: &Adapter) -> Result<Ear, Error> {
    Ear::open(name).await
}

#[cfg(not(target_os = "linux"))]
async fn listen(_name: &str, adapter: &Adapter) -> Result<Ear, Error> {
    Ear::open(adapter).await
}

async fn choose(manager: &Manager, wanted: Option<&str>) -> Result<(String, Adapter), Error> {
    let mut named = Vec::new();
    for adapter in manager.adapters().await.map_err(reason)? {
        // "hci0 (usb:v1D6Bp0246d0540)"
        let info = adapter.adapter_info().await.map_err(reason)?;
        let name = info.split(' ').next().unwrap_or_default().to_owned();
        named.push((name, adapter));
    }
    named.retain(|(name, _)| wanted.is_none_or(|wanted| wanted == name));
    // BlueZ lists them in no order; hci2 comes before hci10.
    let first = named.into_iter().min_by_key(|(name, _)| (name.len(), name.clone()));
    first.ok_or(Error::NoAdapter)
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(DEADLINE, asked).await.unwrap_or(Err(Error::NoAnswer(DEADLINE)))
}

/// A running scan of a [`BtleplugScanner`].
#[derive(Debug)]
#[must_use = "dropping a scan stops it"]
pub struct BtleplugScan {
    heard: broadcast::Receiver<Sighting>,
    lost: watch::Receiver<Option<Lost>>,
    /// Only to be dropped.
    _guard: Guard,
}

impl Scan for BtleplugScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        loop {
            tokio::select! {
                // What was heard before the end comes before it.
                biased;
                heard = self.heard.recv() => match heard {
                    Ok(sighting) => return Ok(sighting),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Err(Error::ServiceGone),
                },
                lost = self.lost.wait_for(Option::is_some) => {
                    let lost = lost.ok().and_then(|lost| *lost);
                    return Err(lost.map_or(Error::ServiceGone, Error::from));
                }
            }
        }
    }
}

/// Holds the discovery; the last one to be dropped stops it.
#[derive(Debug)]
struct Guard {
    shared: Arc<Shared>,
    discovery: Option<Arc<Discovery>>,
    runtime: Handle,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(discovery) = self.discovery.take() {
            let shared = Arc::clone(&self.shared);
            // If the runtime is gone, so is the connection, and BlueZ stops by itself.
            self.runtime.spawn(async move { shared.release(discovery).await });
        }
    }
}
