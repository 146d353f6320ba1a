//! What an adapter remembers of senders: the `Device1` objects.

use std::collections::{HashMap, VecDeque};

use zbus::zvariant::{ObjectPath, Value};

use super::signal::Properties;
use super::state::object;
use crate::ble::{Address, AddressType, ServiceUuid, Sighting};

/// Devices that an adapter remembers; the oldest is forgotten for a newcomer.
const MAX_DEVICES: usize = 4096;
/// What senders without a signal strength get; BlueZ knows one for every reception.
const RSSI: i16 = -40;

/// The senders that an adapter has heard, by the bytes of their address.
#[derive(Debug, Default)]
pub(super) struct Devices {
    known: HashMap<[u8; 6], Device>,
    order: VecDeque<[u8; 6]>,
}

/// A sender, with the last that it sent under each service, as BlueZ keeps it.
#[derive(Debug)]
pub(super) struct Device {
    address: Address,
    rssi: i16,
    service_data: Vec<(ServiceUuid, Vec<u8>)>,
}

/// What a reception has changed.
#[derive(Debug)]
pub(super) struct Heard {
    /// Whether the sender was not known before.
    pub(super) first: bool,
    /// Whether it says what it has said before.
    pub(super) same: bool,
    /// Who had to go for it.
    pub(super) forgotten: Option<[u8; 6]>,
}

impl Devices {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn hear(&mut self, sighting: &Sighting) -> Heard {
        let bytes = sighting.address.bytes;
        if let Some(device) = self.known.get_mut(&bytes) {
            return Heard { first: false, same: !device.hear(sighting), forgotten: None };
        }
        let full = self.known.len() >= MAX_DEVICES;
        let forgotten = if full { self.order.pop_front() } else { None };
        forgotten.and_then(|oldest| self.known.remove(&oldest));
        self.order.push_back(bytes);
        let mut device = Device { address: sighting.address, rssi: RSSI, service_data: Vec::new() };
        device.hear(sighting);
        self.known.insert(bytes, device);
        Heard { first: true, same: false, forgotten }
    }

    pub(super) fn get(&self, bytes: [u8; 6]) -> Option<&Device> {
        self.known.get(&bytes)
    }

    /// Finds a device by the last part of its path.
    pub(super) fn named(&self, name: &str) -> Option<&Device> {
        let hex: Vec<&str> = name.strip_prefix("dev_")?.split('_').collect();
        let bytes = hex.iter().map(|digits| u8::from_str_radix(digits, 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().ok()?;
        let device = self.get(bytes.try_into().ok()?)?;
        (self::name(device.address.bytes) == name).then_some(device)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.order.iter().copied().map(name)
    }
}

/// The last part of the path of a device.
pub(super) fn name(bytes: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = bytes;
    format!("dev_{a:02X}_{b:02X}_{c:02X}_{d:02X}_{e:02X}_{f:02X}")
}

impl Device {
    /// Says whether anything is new.
    fn hear(&mut self, sighting: &Sighting) -> bool {
        let rssi = sighting.rssi.unwrap_or(RSSI);
        let louder = std::mem::replace(&mut self.rssi, rssi) != rssi;
        let Sighting { service, service_data, .. } = sighting;
        match self.service_data.iter_mut().find(|(known, _)| known == service) {
            Some((_, known)) if known == service_data => louder,
            Some((_, known)) => {
                known.clone_from(service_data);
                true
            }
            None => {
                self.service_data.push((*service, service_data.clone()));
                true
            }
        }
    }

    /// All that btleplug wants to see of a device, and what Chromium reads.
    pub(super) fn properties(&self, adapter: &str) -> Properties {
        let kind = match self.address.kind {
            AddressType::Public => "public",
            AddressType::Random => "random",
        };
        let address = self.address.to_string();
        let mut all = self.changes();
        all.insert("Alias", Value::from(address.replace(':', "-")));
        all.insert("Address", Value::from(address));
        all.insert("AddressType", Value::from(kind));
        all.insert("Adapter", Value::from(ObjectPath::from(object(adapter))));
        let flags =
            ["Paired", "Connected", "Trusted", "Blocked", "LegacyPairing", "ServicesResolved"];
        all.extend(flags.map(|flag| (flag, Value::from(false))));
        all
    }

    /// What each further reception says again.
    pub(super) fn changes(&self) -> Properties {
        let data = self.service_data.iter().map(|(service, data)| {
            let uuid = format!("0000{:04x}-0000-1000-8000-00805f9b34fb", service.short());
            (uuid, Value::from(data.clone()))
        });
        let data: HashMap<_, _> = data.collect();
        Properties::from([("RSSI", Value::from(self.rssi)), ("ServiceData", Value::from(data))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(last: u16, service: ServiceUuid, data: u8) -> Sighting {
        let [high, low] = last.to_be_bytes();
        let address = Address { bytes: [1, 2, 3, 0xab, high, low], kind: AddressType::Random };
        Sighting { address, service, service_data: vec![data; 20], rssi: None }
    }

    #[test]
    fn a_device_keeps_what_it_sent_under_each_service() {
        let mut devices = Devices::default();
        assert!(devices.hear(&sighting(1, ServiceUuid::Fido, 1)).first);
        let again = devices.hear(&sighting(1, ServiceUuid::Fido, 1));
        assert!(!again.first && again.same);
        assert!(!devices.hear(&sighting(1, ServiceUuid::Google, 2)).same);
        assert!(!devices.hear(&sighting(1, ServiceUuid::Fido, 3)).same);
        let device = devices.named("dev_01_02_03_AB_00_01").unwrap();
        let kept = [(ServiceUuid::Fido, vec![3; 20]), (ServiceUuid::Google, vec![2; 20])];
        assert_eq!(device.service_data, kept);
        for other in ["dev_01_02_03_ab_00_01", "dev_01_02_03_AB_00_02", "dev_1", "", "x"] {
            assert!(devices.named(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut devices = Devices::default();
        let all = u16::try_from(MAX_DEVICES).unwrap();
        let forgotten = |heard: Heard| heard.forgotten;
        let mut hear = |n| forgotten(devices.hear(&sighting(n, ServiceUuid::Fido, 1)));
        assert!((0..all).all(|n| hear(n).is_none()));
        assert_eq!(hear(all), Some([1, 2, 3, 0xab, 0, 0]));
        assert_eq!(devices.len(), MAX_DEVICES);
    }
}
