//! What the fake knows: its adapters, what it was told to refuse, what has happened so far.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

use super::AdvertRequest;
use super::adapter::Adapter;
use crate::ble::Radio;

/// What clients have done so far, and what is on now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Clients with discovery on, counted once for each adapter.
    pub discovering: usize,
    /// Adverts on the air.
    pub on_air: usize,
    /// Adverts that were ever accepted.
    pub accepted: usize,
    /// Adverts that were ever asked for.
    pub asked: usize,
    /// Devices that are known.
    pub devices: usize,
    /// Receptions that clients were ever told of.
    pub told: u64,
    /// Strangers' adverts that were ever due, told or lost. See [`Crowd`](super::Crowd).
    pub due: u64,
}

type Refusal = Box<dyn Fn(&AdvertRequest) -> Option<&'static str> + Send + Sync>;

pub(super) struct State {
    pub(super) radio: Radio,
    inner: Mutex<Inner>,
    counts: watch::Sender<Counts>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("counts", &self.counts.borrow()).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Inner {
    /// By object path.
    pub(super) adapters: BTreeMap<String, Adapter>,
    pub(super) denied: bool,
    pub(super) refuses: Option<Refusal>,
    pub(super) accepted: usize,
    pub(super) asked: usize,
    pub(super) told: u64,
    pub(super) due: u64,
}

/// Gives the path of an adapter; the name has been looked at, see [`is_adapter`].
pub(super) fn path(adapter: &str) -> String {
    format!("/org/bluez/{adapter}")
}

/// For paths of our own making.
pub(super) fn object(path: &str) -> OwnedObjectPath {
    ObjectPath::from_string_unchecked(path.to_owned()).into()
}

/// `hci` and a number, as the kernel writes it.
pub(super) fn is_adapter(name: &str) -> bool {
    let digits = name.strip_prefix("hci").unwrap_or_default();
    digits.parse::<u16>().is_ok_and(|number| number.to_string() == digits)
}

impl State {
    pub(super) fn new(radio: Radio, adapters: &[&str]) -> Self {
        let adapters = adapters.iter().map(|name| (path(name), Adapter::new(name)));
        let inner = Inner { adapters: adapters.collect(), ..Inner::default() };
        Self { radio, inner: Mutex::new(inner), counts: watch::Sender::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.lock())
    }

    /// Changes something, and tells those who wait for it.
    pub(super) fn update<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let result = work(&mut inner);
        let now = inner.counts();
        self.counts.send_if_modified(|counts| std::mem::replace(counts, now) != now);
        result
    }

    pub(super) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }
}

impl Inner {
    fn counts(&self) -> Counts {
        let Self { accepted, asked, told, due, .. } = *self;
        let mut counts = Counts { accepted, asked, told, due, ..Counts::default() };
        for adapter in self.adapters.values() {
            counts.discovering += adapter.discovering();
            counts.on_air += adapter.on_air();
            counts.devices += adapter.devices.len();
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_are_called_as_the_kernel_calls_them() {
        assert!(["hci0", "hci12", "hci65535"].into_iter().all(is_adapter));
        let bad = ["", "hci", "hci01", "hci-1", "hci65536", "hci0/../x", "eth0", "hci 0"];
        assert!(!bad.into_iter().any(is_adapter));
    }
}
