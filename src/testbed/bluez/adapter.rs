//! One adapter: who has discovery on, what is on the air, whom it has heard.

use std::collections::{HashMap, HashSet};

use tokio::task::AbortHandle;
use zbus::zvariant::Value;

use super::device::Devices;
use super::signal::{ADAPTER, Interfaces, MANAGER, Properties};
use super::state::path;
use crate::ble::RadioAdvertisement;

/// Adverts that one controller can send at a time.
pub(super) const MAX_ADVERTS: u8 = 5;

/// What a client has set with `SetDiscoveryFilter`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filter {
    pub(super) duplicates: bool,
    pub(super) by_uuid: bool,
}

/// What clients are told of when it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    powered: bool,
    discovering: bool,
    active: u8,
}

pub(super) struct Adapter {
    name: String,
    pub(super) path: String,
    powered: bool,
    filters: HashMap<String, Filter>,
    clients: HashSet<String>,
    listener: Option<AbortHandle>,
    /// By the client's name and its object.
    adverts: HashMap<(String, String), RadioAdvertisement>,
    pub(super) devices: Devices,
}

impl Adapter {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: path(name),
            powered: true,
            filters: HashMap::new(),
            clients: HashSet::new(),
            listener: None,
            adverts: HashMap::new(),
            devices: Devices::default(),
        }
    }

    pub(super) fn is_powered(&self) -> bool {
        self.powered
    }

    /// A power-off ends all that is on.
    pub(super) fn set_powered(&mut self, on: bool) {
        self.powered = on;
        if !on {
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        self.clients.clear();
        self.adverts.clear();
        self.rest();
    }

    /// Ends all that belongs to a client who is gone.
    pub(super) fn forget(&mut self, client: &str) {
        self.filters.remove(client);
        self.stop(client);
        self.adverts.retain(|(name, _), _| name != client);
    }

    pub(super) fn discovering(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn set_filter(&mut self, client: String, filter: Filter) {
        self.filters.insert(client, filter);
    }

    /// Starts discovery for a client; `false` if it is on. `listen` begins to listen for all.
    pub(super) fn start(&mut self, client: String, listen: impl FnOnce() -> AbortHandle) -> bool {
        if !self.clients.insert(client) {
            return false;
        }
        self.listener.get_or_insert_with(listen);
        true
    }

    /// Stops discovery for a client; `false` if it was not on.
    pub(super) fn stop(&mut self, client: &str) -> bool {
        let was_on = self.clients.remove(client);
        if self.clients.is_empty() {
            self.rest();
        }
        was_on
    }

    fn rest(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
    }

    /// Merges the filters of all clients, as bluetoothd does.
    pub(super) fn filter(&self) -> Filter {
        let filters = self.clients.iter().map(|name| self.filters.get(name).copied());
        let filters = || filters.clone().map(Option::unwrap_or_default);
        Filter {
            duplicates: filters().any(|filter| filter.duplicates),
            by_uuid: filters().all(|filter| filter.by_uuid),
        }
    }

    pub(super) fn on_air(&self) -> usize {
        self.adverts.len()
    }

    /// Says why a client may not have this advert on the air: the end of an error's name.
    pub(super) fn may_send(&self, key: &(String, String)) -> Result<(), &'static str> {
        if self.adverts.contains_key(key) {
            Err("AlreadyExists")
        } else if self.adverts.len() >= usize::from(MAX_ADVERTS) {
            Err("NotPermitted")
        } else {
            Ok(())
        }
    }

    /// As [`may_send`](Self::may_send): others may have taken the last slot meanwhile.
    pub(super) fn send(
        &mut self,
        key: (String, String),
        advert: RadioAdvertisement,
    ) -> Result<(), &'static str> {
        self.may_send(&key)?;
        self.adverts.insert(key, advert);
        Ok(())
    }

    pub(super) fn take_off(&mut self, key: &(String, String)) -> bool {
        self.adverts.remove(key).is_some()
    }

    pub(super) fn status(&self) -> Status {
        let active = u8::try_from(self.adverts.len()).unwrap_or(MAX_ADVERTS);
        Status { powered: self.powered, discovering: !self.clients.is_empty(), active }
    }

    pub(super) fn interfaces(&self) -> Interfaces {
        Interfaces::from([(ADAPTER, self.properties()), (MANAGER, self.advertising())])
    }

    fn properties(&self) -> Properties {
        let number: u16 = self.name.trim_start_matches("hci").parse().unwrap_or_default();
        let [high, low] = number.to_be_bytes();
        let mut all = Properties::from([
            ("Address", Value::from(format!("00:00:5E:00:{high:02X}:{low:02X}"))),
            ("AddressType", Value::from("public")),
            ("Name", Value::from(self.name.clone())),
            ("Alias", Value::from(self.name.clone())),
            ("Class", Value::from(0_u32)),
            ("Discoverable", Value::from(false)),
            ("Pairable", Value::from(false)),
            ("Roles", Value::from(vec!["central", "peripheral"])),
            ("UUIDs", Value::from(Vec::<String>::new())),
            ("Modalias", Value::from("usb:v1D6Bp0246d0542")),
        ]);
        all.extend(self.status().adapter());
        all
    }

    fn advertising(&self) -> Properties {
        let max = HashMap::from([("MaxAdvLen", Value::from(31_u8))]);
        let mut all = Properties::from([
            ("SupportedIncludes", Value::from(vec!["tx-power", "appearance", "local-name"])),
            ("SupportedCapabilities", Value::from(max)),
        ]);
        all.extend(self.status().manager());
        all
    }
}

impl Status {
    fn adapter(self) -> Properties {
        Properties::from([
            ("Powered", Value::from(self.powered)),
            ("Discovering", Value::from(self.discovering)),
        ])
    }

    fn manager(self) -> Properties {
        Properties::from([
            ("ActiveInstances", Value::from(self.active)),
            ("SupportedInstances", Value::from(MAX_ADVERTS.saturating_sub(self.active))),
        ])
    }

    /// Gives what is different from `before`, by interface.
    pub(super) fn since(self, before: Self) -> [(&'static str, Properties); 2] {
        let news = |now: Properties, then: Properties| {
            now.into_iter().filter(|(name, value)| then.get(name) != Some(value)).collect()
        };
        let adapter = news(self.adapter(), before.adapter());
        [(ADAPTER, adapter), (MANAGER, news(self.manager(), before.manager()))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_are_told_of_what_has_changed_and_of_nothing_else() {
        let mut adapter = Adapter::new("hci0");
        let still = adapter.status();
        assert!(still.since(still).iter().all(|(_, news)| news.is_empty()));
        let listen = || tokio::spawn(std::future::pending::<()>()).abort_handle();
        assert!(adapter.start(":1.1".to_owned(), listen));
        let on = adapter.status();
        let discovering = |on: bool| Properties::from([("Discovering", Value::from(on))]);
        assert_eq!(on.since(still), [(ADAPTER, discovering(true)), (MANAGER, Properties::new())]);
        adapter.set_powered(false);
        let mut news = discovering(false);
        news.insert("Powered", Value::from(false));
        assert_eq!(adapter.status().since(on), [(ADAPTER, news), (MANAGER, Properties::new())]);
    }

    #[test]
    fn duplicates_are_for_all_if_one_wants_them_and_filters_hide_only_if_all_have_one() {
        let mut adapter = Adapter::new("hci0");
        let listen = || tokio::runtime::Handle::current().spawn(async {}).abort_handle();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let wish = |duplicates, by_uuid| Filter { duplicates, by_uuid };
        for (client, filter) in [("one", wish(true, true)), ("two", wish(false, true))] {
            adapter.set_filter(client.to_owned(), filter);
            adapter.start(client.to_owned(), listen);
        }
        let merged = adapter.filter();
        assert!(merged.duplicates && merged.by_uuid);
        adapter.start("three".to_owned(), listen);
        assert!(!adapter.filter().by_uuid);
        adapter.forget("one");
        assert!(!adapter.filter().duplicates);
    }
}
