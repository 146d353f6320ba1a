//! The `Device1` objects: what clients see of a sender.

use std::collections::HashMap;

use cabled::ble::{AddressType, Sighting};
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};

/// The properties of one interface of an object.
pub(super) type Properties = HashMap<&'static str, Value<'static>>;

/// Devices that an adapter remembers; the oldest is forgotten for a newcomer.
pub(super) const MAX_DEVICES: usize = 1024;

pub(super) fn path(adapter: &OwnedObjectPath, sighting: &Sighting) -> OwnedObjectPath {
    let address = sighting.address.to_string().replace(':', "_");
    ObjectPath::try_from(format!("{}/dev_{address}", adapter.as_str())).unwrap().into()
}

/// All that btleplug wants to see of a device, and what Chromium reads.
pub(super) fn properties(adapter: &OwnedObjectPath, sighting: &Sighting) -> Properties {
    let kind = match sighting.address.kind {
        AddressType::Public => "public",
        AddressType::Random => "random",
    };
    let mut all = changes(sighting);
    all.insert("Address", Value::from(sighting.address.to_string()));
    all.insert("AddressType", Value::from(kind));
    all.insert("Adapter", Value::from(ObjectPath::from(adapter.clone())));
    all.insert("Alias", Value::from(sighting.address.to_string().replace(':', "-")));
    let flags = ["Paired", "Connected", "Trusted", "Blocked", "LegacyPairing", "ServicesResolved"];
    all.extend(flags.map(|flag| (flag, Value::from(false))));
    all
}

/// What each further reception says again.
pub(super) fn changes(sighting: &Sighting) -> Properties {
    let uuid = format!("0000{:04x}-0000-1000-8000-00805f9b34fb", sighting.service.short());
    let data = HashMap::from([(uuid, Value::from(sighting.service_data.clone()))]);
    HashMap::from([
        ("RSSI", Value::from(sighting.rssi.unwrap_or(-40))),
        ("ServiceData", Value::from(data)),
    ])
}
