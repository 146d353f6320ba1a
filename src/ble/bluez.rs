//! Sending adverts with real Bluetooth: an [`Advertiser`] over BlueZ's D-Bus interface.
//!
//! Linux only. An advert is an object of ours that BlueZ reads back (`org.bluez.LEAdvertisement1`);
//! it is on the air from `RegisterAdvertisement` to `UnregisterAdvertisement`, or until our name
//! leaves the bus, which is what happens when the process dies. Controllers that refuse an advert
//! are asked for less, step by step: see `ladder`. Depends on zbus and tokio only.

mod bus;
mod capabilities;
mod ear;
mod ladder;
mod loss;
mod reason;
mod survey;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::zvariant::OwnedObjectPath;

use super::{Address, Advertisement, Advertiser, Error, Outgoing};
use bus::{Answer, Bus};
use ladder::Properties;
use loss::Losses;

pub use capabilities::Capabilities;
pub(super) use ear::Ear;
pub use survey::{Adapter, SurveyError, survey};

/// For each single answer of the Bluetooth service.
const DEADLINE: Duration = Duration::from_secs(10);

/// An advertiser on a Bluetooth adapter.
///
/// Clones share one connection to D-Bus. Never switches an adapter on.
#[derive(Debug, Clone)]
pub struct BluezAdvertiser {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    adapter: Option<String>,
    bus: tokio::sync::Mutex<Option<Arc<Bus>>>,
    /// Adverts that were dropped and are on their way off the air.
    leaving: Mutex<Vec<JoinHandle<Result<(), Error>>>>,
}

impl BluezAdvertiser {
    /// Prepares an advertiser on the named adapter (`hci1`), or on the first one; asks the system
    /// nothing yet.
    #[must_use]
    pub fn new(adapter: Option<String>) -> Self {
        let (bus, leaving) = Default::default();
        Self { shared: Arc::new(Shared { adapter, bus, leaving }) }
    }

    /// Asks which address the adapter has, for connections.
    pub(super) async fn address(&self) -> Result<Address, Error> {
        let bus = self.shared.bus().await?;
        let found = in_time(bus.address(self.shared.adapter.as_deref())).await;
        if found.is_err() {
            // The connection may be what is wrong.
            *self.shared.bus.lock().await = None;
        }
        found
    }
}

impl Advertiser for BluezAdvertiser {
    type Advertisement = BluezAdvertisement;

    /// Puts an advert on the air, after those that were dropped before have left it. Each answer
    /// of BlueZ may take ten seconds. The address is the adapter's choice.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::NoAdapter`], [`Error::PoweredOff`],
    /// [`Error::PermissionDenied`], [`Error::NoService`] and [`Error::NoAnswer`] as the names say;
    /// [`Error::NoFreeSlot`] and [`Error::Refused`] with what the controller says of itself.
    async fn advertise(&self, advert: Outgoing<'_>) -> Result<BluezAdvertisement, Error> {
        advert.check()?;
        let runtime = Handle::try_current().map_err(Error::NoRuntime)?;
        let leaving = std::mem::take(&mut *lock(&self.shared.leaving));
        for task in leaving {
            // Each has its own deadline; whether it was confirmed is no concern of this advert.
            let _ = task.await;
        }
        let sent = self.shared.send(advert, &runtime).await;
        if !matches!(sent, Ok(_) | Err(Error::Refused { .. } | Error::NoFreeSlot { .. })) {
            // The connection may be what is wrong.
            *self.shared.bus.lock().await = None;
        }
        sent
    }
}

impl Shared {
    async fn send(
        self: &Arc<Self>,
        advert: Outgoing<'_>,
        runtime: &Handle,
    ) -> Result<BluezAdvertisement, Error> {
        let bus = self.bus().await?;
        let adapter = in_time(bus.adapter(self.adapter.as_deref())).await?;
        let losses = bus.losses();
        let mut refusal = None;
        for step in ladder::steps(&advert) {
            let held = Held::prepare(self, &bus, &adapter, step.properties(&advert), runtime);
            match in_time(bus.register(&adapter, held.number)).await? {
                Answer::OnAir => return Ok(BluezAdvertisement { held, losses }),
                Answer::NoSlot => {
                    held.forget();
                    let capabilities = in_time(bus.capabilities(&adapter)).await?;
                    return Err(Error::NoFreeSlot { capabilities });
                }
                Answer::Refused(why) => {
                    held.forget();
                    refusal = Some(why);
                }
            }
        }
        let capabilities = in_time(bus.capabilities(&adapter)).await?;
        Err(Error::Refused { capabilities, source: refusal.map(Into::into) })
    }

    async fn bus(&self) -> Result<Arc<Bus>, Error> {
        let mut bus = self.bus.lock().await;
        if let Some(open) = &*bus {
            return Ok(Arc::clone(open));
        }
        let open = in_time(Bus::open()).await?;
        Ok(Arc::clone(bus.insert(Arc::new(open))))
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(DEADLINE, asked).await.unwrap_or(Err(Error::NoAnswer(DEADLINE)))
}

/// An advert of a [`BluezAdvertiser`], on the air until this is dropped.
#[derive(Debug)]
#[must_use = "dropping an advertisement takes it off the air"]
pub struct BluezAdvertisement {
    held: Held,
    losses: Losses,
}

impl Advertisement for BluezAdvertisement {
    async fn stop(self) -> Result<(), Error> {
        match self.held.end() {
            Some(leaving) => leaving.await.map_err(|cause| Error::Backend(Box::new(cause)))?,
            None => Ok(()),
        }
    }

    async fn lost(&mut self) -> Error {
        self.losses.next().await.into()
    }
}

/// An advert that BlueZ knows, or may know if its answer never came.
#[derive(Debug)]
struct Held {
    /// `None` once BlueZ is known to know nothing.
    place: Option<(Arc<Bus>, OwnedObjectPath)>,
    number: u64,
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Held {
    fn prepare(
        shared: &Arc<Shared>,
        bus: &Arc<Bus>,
        adapter: &OwnedObjectPath,
        properties: Properties,
        runtime: &Handle,
    ) -> Self {
        let number = bus.offer(properties);
        let place = Some((Arc::clone(bus), adapter.clone()));
        Self { place, number, shared: Arc::clone(shared), runtime: runtime.clone() }
    }

    /// For an advert that was refused.
    fn forget(mut self) {
        if let Some((bus, _)) = self.place.take() {
            bus.withdraw(self.number);
        }
    }

    /// Begins to take the advert off the air; `None` if that has begun before.
    fn end(mut self) -> Option<JoinHandle<Result<(), Error>>> {
        self.leave()
    }

    fn leave(&mut self) -> Option<JoinHandle<Result<(), Error>>> {
        let (bus, adapter) = self.place.take()?;
        let number = self.number;
        // If the runtime is gone, so is the connection, and BlueZ takes the advert off by itself.
        Some(self.runtime.spawn(async move {
            let ended = in_time(bus.unregister(&adapter, number)).await;
            bus.withdraw(number);
            ended
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(leaving) = self.leave() {
            lock(&self.shared.leaving).push(leaving);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
