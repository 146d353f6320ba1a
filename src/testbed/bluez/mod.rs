//! A fake `org.bluez`: real Bluetooth code runs against it without hardware.
//!
//! It stands between a D-Bus and a simulated radio. What a client registers with
//! `LEAdvertisingManager1` is sent on that radio, what the radio hears shows up as `Device1`
//! objects while a client has discovery on. With `air:DIR` as the radio, programs that use
//! Bluetooth and programs that use the simulated radio meet.
//!
//! ```text
//!   program ──D-Bus──> FakeBluez ──> Radio (memory, air:DIR) <── other programs, other FakeBluez
//! ```
//!
//! `call` answers clients, `host` changes the state and tells of it, `air` hears. The rest is what the
//! adapters know. `docs/fake-bluez.md` lists what is real in it and what is not.

mod adapter;
mod advert;
mod air;
mod call;
mod device;
mod host;
mod signal;
mod state;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinHandle};
use zbus::{MessageStream, connection};

use super::Error;
use crate::ble::Radio;
use host::Host;
use state::State;

pub use advert::AdvertRequest;
pub use air::Crowd;
pub use state::Counts;

/// A running fake; gone from the bus when dropped.
#[derive(Debug)]
pub struct FakeBluez {
    host: Host,
    server: JoinHandle<()>,
    crowd: Mutex<Option<AbortHandle>>,
}

impl FakeBluez {
    /// Serves the adapters (`hci0`, ...; also none), which all are on `radio` and switched on, as
    /// `org.bluez` on the bus at `address`, often that of a [`PrivateBus`](super::PrivateBus). Needs a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::BadAdapter`], [`Error::NameTaken`] and [`Error::Bus`] as the names say.
    pub async fn start(address: &str, radio: Radio, adapters: &[&str]) -> Result<Self, Error> {
        adapters.iter().try_for_each(|name| check(name))?;
        let connection = connection::Builder::address(address)?.build().await?;
        let host = Host { connection, state: Arc::new(State::new(radio, adapters)) };
        let calls = MessageStream::from(&host.connection);
        call::watch_names(&host.connection).await?;
        let server = tokio::spawn(call::serve(host.clone(), calls));
        // From here on a failure drops the fake, which ends the server.
        let fake = Self { host, server, crowd: Mutex::default() };
        fake.host.connection.request_name("org.bluez").await?;
        Ok(fake)
    }

    /// Switches an adapter on or off, as `bluetoothctl power` does. Off ends all that is on.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAdapter`], [`Error::Bus`].
    pub async fn set_powered(&self, adapter: &str, on: bool) -> Result<(), Error> {
        let path = state::path(adapter);
        let found = self.host.change(&path, |adapter| adapter.set_powered(on)).await?;
        found.ok_or_else(|| Error::NoSuchAdapter(adapter.to_owned()))
    }

    /// Plugs a further adapter in; it is switched on.
    ///
    /// # Errors
    ///
    /// [`Error::BadAdapter`], [`Error::AdapterExists`], [`Error::Bus`].
    pub async fn plug_in(&self, adapter: &str) -> Result<(), Error> {
        check(adapter)?;
        let new = self.host.plug_in(adapter).await?;
        new.then_some(()).ok_or_else(|| Error::AdapterExists(adapter.to_owned()))
    }

    /// Pulls an adapter out, with all that is on and all that it remembers.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAdapter`], [`Error::Bus`].
    pub async fn unplug(&self, adapter: &str) -> Result<(), Error> {
        let found = self.host.unplug(adapter).await?;
        found.then_some(()).ok_or_else(|| Error::NoSuchAdapter(adapter.to_owned()))
    }

    /// Refuses every call from now on, as D-Bus does to users without the right to Bluetooth, or
    /// no longer.
    pub fn deny(&self, all: bool) {
        self.host.state.update(|inner| inner.denied = all);
    }

    /// Lets the controllers refuse the adverts for which `refuses` gives the last part of the name
    /// of an `org.bluez.Error`, such as `Failed`.
    pub fn refuse(
        &self,
        refuses: impl Fn(&AdvertRequest) -> Option<&'static str> + Send + Sync + 'static,
    ) {
        self.host.state.update(|inner| inner.refuses = Some(Box::new(refuses)));
    }

    /// Lets a crowd of strangers be heard, in place of the one before; `None` sends it away.
    pub fn gather(&self, crowd: Option<Crowd>) {
        let mut gathered = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        let host = self.host.clone();
        let next = crowd.map(|crowd| tokio::spawn(air::gather(host, crowd)).abort_handle());
        if let Some(before) = std::mem::replace(&mut *gathered, next) {
            before.abort();
        }
    }

    /// Tells what clients have done so far and what is on.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.host.state.counts().borrow()
    }

    /// Waits until the counts are as wanted, and gives them. Has no deadline of its own.
    pub async fn until(&self, wanted: impl Fn(Counts) -> bool + Send) -> Counts {
        let mut counts = self.host.state.counts();
        let found = counts.wait_for(|counts| wanted(*counts)).await.map(|counts| *counts);
        // The sender cannot be gone: it is in the state that `self` holds.
        found.unwrap_or_else(|_| self.counts())
    }

    /// Waits until the bus is gone.
    pub async fn ended(&self) {
        self.host.connection.closed().await;
    }

    /// Leaves the bus, as a bluetoothd that ends; returns when its name is free again.
    ///
    /// # Errors
    ///
    /// [`Error::Bus`] if the bus did not confirm.
    pub async fn stop(self) -> Result<(), Error> {
        self.host.connection.release_name("org.bluez").await?;
        Ok(())
    }
}

impl Drop for FakeBluez {
    fn drop(&mut self) {
        self.gather(None);
        self.server.abort();
        let end = |inner: &mut state::Inner| {
            inner.adapters.values_mut().for_each(adapter::Adapter::end);
        };
        self.host.state.update(end);
    }
}

fn check(adapter: &str) -> Result<(), Error> {
    let good = state::is_adapter(adapter);
    good.then_some(()).ok_or_else(|| Error::BadAdapter(adapter.to_owned()))
}
