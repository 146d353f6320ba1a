//! What the fake knows: adapters, who has discovery on, what is on the air.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cabled::ble::{Radio, RadioAdvertisement, Sighting};
use tokio::task::AbortHandle;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};

use super::Request;
use super::device::Properties;

/// Adverts that one controller can send at a time.
pub(super) const MAX_ADVERTS: usize = 5;

/// What clients have done so far, and what is on now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Clients with discovery on.
    pub(crate) discovering: usize,
    /// Adverts on the air.
    pub(crate) on_air: usize,
    /// Adverts that were ever accepted.
    pub(crate) accepted: usize,
    /// Adverts that were ever asked for.
    pub(crate) asked: usize,
    /// Devices that are known.
    pub(crate) devices: usize,
}

type Refusal = Box<dyn Fn(&Request) -> Option<&'static str> + Send + Sync>;

pub(super) struct State {
    pub(super) radio: Radio,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) adapters: BTreeMap<String, Adapter>,
    pub(super) denied: bool,
    pub(super) refuses: Option<Refusal>,
    pub(super) accepted: usize,
    pub(super) asked: usize,
}

/// What a client has set with `SetDiscoveryFilter`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filter {
    pub(super) duplicates: bool,
    pub(super) by_uuid: bool,
}

pub(super) struct Adapter {
    pub(super) path: OwnedObjectPath,
    pub(super) powered: bool,
    pub(super) filters: HashMap<String, Filter>,
    pub(super) discovering: Vec<String>,
    pub(super) listener: Option<AbortHandle>,
    pub(super) adverts: HashMap<(String, String), RadioAdvertisement>,
    pub(super) devices: HashMap<OwnedObjectPath, Sighting>,
    pub(super) order: VecDeque<OwnedObjectPath>,
}

pub(super) fn path(adapter: &str) -> String {
    format!("/org/bluez/{adapter}")
}

impl State {
    pub(super) fn new(radio: Radio, adapters: &[&str]) -> Self {
        let adapters = adapters.iter().map(|name| (path(name), Adapter::new(path(name))));
        let inner = Inner { adapters: adapters.collect(), ..Inner::default() };
        Self { radio, inner: Mutex::new(inner) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        let inner = self.lock();
        let adapters = inner.adapters.values();
        let mut counts =
            Counts { accepted: inner.accepted, asked: inner.asked, ..Counts::default() };
        for adapter in adapters {
            counts.discovering += adapter.discovering.len();
            counts.on_air += adapter.adverts.len();
            counts.devices += adapter.devices.len();
        }
        counts
    }

    pub(super) fn end(&self) {
        self.lock().adapters.values_mut().for_each(Adapter::end);
    }
}

impl Adapter {
    fn new(path: String) -> Self {
        Self {
            path: ObjectPath::try_from(path).unwrap().into(),
            powered: true,
            filters: HashMap::new(),
            discovering: Vec::new(),
            listener: None,
            adverts: HashMap::new(),
            devices: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Ends all that is on, as a power-off does.
    pub(super) fn end(&mut self) {
        self.discovering.clear();
        self.adverts.clear();
        self.rest();
    }

    /// Ends all that belongs to a client who is gone.
    pub(super) fn forget(&mut self, client: &str) {
        self.filters.remove(client);
        self.discovering.retain(|name| name != client);
        self.adverts.retain(|(name, _), _| name != client);
        if self.discovering.is_empty() {
            self.rest();
        }
    }

    /// Stops to listen.
    pub(super) fn rest(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
    }

    /// Merges the filters of all clients, as bluetoothd does.
    pub(super) fn filter(&self) -> Filter {
        let filters = self.discovering.iter().map(|client| self.filters.get(client));
        let filters: Vec<Filter> =
            filters.map(|filter| filter.copied().unwrap_or_default()).collect();
        Filter {
            duplicates: filters.iter().any(|filter| filter.duplicates),
            by_uuid: filters.iter().all(|filter| filter.by_uuid),
        }
    }

    pub(super) fn properties(&self) -> Properties {
        let name = self.path.rsplit('/').next().unwrap().to_owned();
        HashMap::from([
            ("Address", Value::from("00:00:5E:00:53:01")),
            ("AddressType", Value::from("public")),
            ("Name", Value::from(name.clone())),
            ("Alias", Value::from(name)),
            ("Class", Value::from(0_u32)),
            ("Powered", Value::from(self.powered)),
            ("Discoverable", Value::from(false)),
            ("Pairable", Value::from(false)),
            ("Discovering", Value::from(!self.discovering.is_empty())),
            ("UUIDs", Value::from(Vec::<String>::new())),
            ("Modalias", Value::from("usb:v1D6Bp0246d0542")),
        ])
    }

    pub(super) fn advertising(&self) -> Properties {
        let active = u8::try_from(self.adverts.len()).unwrap();
        let max = HashMap::from([("MaxAdvLen", Value::from(31_u8))]);
        HashMap::from([
            ("ActiveInstances", Value::from(active)),
            ("SupportedInstances", Value::from(u8::try_from(MAX_ADVERTS).unwrap() - active)),
            ("SupportedIncludes", Value::from(vec!["tx-power", "appearance", "local-name"])),
            ("SupportedCapabilities", Value::from(max)),
        ])
    }
}
