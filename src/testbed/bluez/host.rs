//! The fake behind the calls: changes something, and tells the bus what is different now.

use std::sync::Arc;

use zbus::Connection;

use super::adapter::{Adapter, Status};
use super::device;
use super::signal::{self, ADAPTER, DEVICE, Interfaces, MANAGER, Properties};
use super::state::{Inner, State, path};
use crate::ble::Sighting;

/// The state and the bus that hears of its changes; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) connection: Connection,
    pub(super) state: Arc<State>,
}

/// What clients are told about one reception.
struct News {
    device: String,
    first: bool,
    properties: Properties,
    forgotten: Option<String>,
}

impl Host {
    /// Works on an adapter; `None` if there is none at that path.
    pub(super) async fn change<T>(
        &self,
        path: &str,
        work: impl FnOnce(&mut Adapter) -> T,
    ) -> Result<Option<T>, zbus::Error> {
        let worked = self.state.update(|inner| {
            let adapter = inner.adapters.get_mut(path)?;
            let before = adapter.status();
            Some((work(adapter), before, adapter.status()))
        });
        let Some((result, before, now)) = worked else { return Ok(None) };
        self.tell(path, before, now).await?;
        Ok(Some(result))
    }

    async fn tell(&self, path: &str, before: Status, now: Status) -> Result<(), zbus::Error> {
        for (interface, news) in now.since(before) {
            signal::changed(&self.connection, path, interface, &news).await?;
        }
        Ok(())
    }

    /// Ends all that belongs to a client who is gone.
    pub(super) async fn forget(&self, client: &str) -> Result<(), zbus::Error> {
        for path in self.adapters() {
            self.change(&path, |adapter| adapter.forget(client)).await?;
        }
        Ok(())
    }

    pub(super) fn adapters(&self) -> Vec<String> {
        self.state.look(|inner| inner.adapters.keys().cloned().collect())
    }

    /// Plugs an adapter in; `false` if it is there.
    pub(super) async fn plug_in(&self, name: &str) -> Result<bool, zbus::Error> {
        let path = path(name);
        let all = self.state.update(|inner| {
            let there = inner.adapters.contains_key(&path);
            let adapter = inner.adapters.entry(path.clone());
            let adapter = adapter.or_insert_with(|| Adapter::new(name));
            (!there).then(|| adapter.interfaces())
        });
        let Some(all) = all else { return Ok(false) };
        signal::added(&self.connection, &path, &all).await.map(|()| true)
    }

    /// Unplugs an adapter, with all its devices; `false` if it is not there.
    pub(super) async fn unplug(&self, name: &str) -> Result<bool, zbus::Error> {
        let path = path(name);
        let removed = self.state.update(|inner| inner.adapters.remove(&path));
        let Some(mut adapter) = removed else { return Ok(false) };
        adapter.end();
        for device in adapter.devices.names() {
            signal::removed(&self.connection, &format!("{path}/{device}"), &[DEVICE]).await?;
        }
        signal::removed(&self.connection, &path, &[ADAPTER, MANAGER]).await.map(|()| true)
    }

    /// Tells those with discovery on what their adapter has received.
    pub(super) async fn show(&self, path: &str, sighting: &Sighting) -> Result<(), zbus::Error> {
        let Some(news) = self.state.update(|inner| inner.receive(path, sighting)) else {
            return Ok(());
        };
        if let Some(gone) = news.forgotten {
            signal::removed(&self.connection, &gone, &[DEVICE]).await?;
        }
        if news.first {
            let all = Interfaces::from([(DEVICE, news.properties)]);
            signal::added(&self.connection, &news.device, &all).await
        } else {
            signal::changed(&self.connection, &news.device, DEVICE, &news.properties).await
        }
    }
}

impl Inner {
    fn receive(&mut self, path: &str, sighting: &Sighting) -> Option<News> {
        let adapter = self.adapters.get_mut(path)?;
        let filter = adapter.filter();
        if adapter.discovering() == 0 || filter.by_uuid {
            return None;
        }
        let heard = adapter.devices.hear(sighting);
        if heard.same && !filter.duplicates {
            return None;
        }
        let device = adapter.devices.get(sighting.address.bytes)?;
        let properties = match heard.first {
            true => device.properties(path),
            false => device.changes(),
        };
        self.told = self.told.wrapping_add(1);
        let of = |bytes| format!("{path}/{}", device::name(bytes));
        let forgotten = heard.forgotten.map(of);
        Some(News { device: of(sighting.address.bytes), first: heard.first, properties, forgotten })
    }
}
