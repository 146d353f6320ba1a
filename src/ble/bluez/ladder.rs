//! What BlueZ is asked for, and what is left out when a controller refuses. Depends on zbus.
//!
//! The first step is what is best to be found by; each further one asks for less. The power of the
//! sender, a name and whatever else `Includes` knows is never asked for: there is no room.

use std::collections::HashMap;

use zbus::zvariant::Value;

use crate::ble::{Outgoing, ServiceUuid};

/// What the object of an advert answers to `GetAll`.
pub(super) type Properties = HashMap<&'static str, Value<'static>>;

/// Milliseconds between two sendings. BlueZ's own choice of 1280 is a long wait; below 100 older
/// controllers refuse adverts that nobody can connect to.
const INTERVAL: u32 = 100;
/// Bytes of a legacy advertisement.
const BUDGET: usize = 31;
/// Length, type and the UUID itself, before the service data.
const DATA_HEAD: usize = 4;
/// A list of one 16-bit UUID.
const LIST: usize = 4;
/// What the kernel puts before all others in a connectable advert.
const FLAGS: usize = 3;

/// One way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    connectable: bool,
    /// With the list of services, which some scanners filter by.
    listed: bool,
    interval: Option<u32>,
    /// `None` leaves it to the adapter's own setting.
    discoverable: Option<bool>,
}

/// Gives the ways to ask, best first.
pub(super) fn steps(advert: &Outgoing<'_>) -> Vec<Step> {
    let connectable = advert.connectable;
    let plain = Step { connectable, listed: false, interval: None, discoverable: None };
    let listed = Step { listed: true, ..plain };
    let timed = |step| Step { interval: Some(INTERVAL), ..step };
    // Old versions of BlueZ know only this kind, and some controllers no advert without flags.
    let open = Step { connectable: true, ..plain };
    let visible = Step { discoverable: Some(true), ..open };
    let all = [timed(listed), listed, timed(plain), plain, timed(open), open, visible];
    let mut steps = Vec::new();
    for step in all {
        if step.size(advert) <= BUDGET && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

impl Step {
    /// Bytes of the advertisement that BlueZ makes of it.
    fn size(self, advert: &Outgoing<'_>) -> usize {
        let flags = if self.connectable { FLAGS } else { 0 };
        let list = if self.listed { LIST } else { 0 };
        flags + list + DATA_HEAD + advert.service_data.len()
    }

    pub(super) fn properties(self, advert: &Outgoing<'_>) -> Properties {
        let uuid = uuid(advert.service);
        let kind = if self.connectable { "peripheral" } else { "broadcast" };
        let data = HashMap::from([(uuid.clone(), Value::from(advert.service_data.to_vec()))]);
        let mut properties =
            Properties::from([("Type", Value::from(kind)), ("ServiceData", Value::from(data))]);
        if self.listed {
            properties.insert("ServiceUUIDs", Value::from(vec![uuid]));
        }
        if let Some(interval) = self.interval {
            properties.insert("MinInterval", Value::from(interval));
            properties.insert("MaxInterval", Value::from(interval));
        }
        if let Some(discoverable) = self.discoverable {
            properties.insert("Discoverable", Value::from(discoverable));
        }
        properties
    }
}

/// In full: BlueZ shortens it by itself, and other readers expect it so.
fn uuid(service: ServiceUuid) -> String {
    format!("0000{:04x}-0000-1000-8000-00805f9b34fb", service.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(data: &[u8], connectable: bool) -> Outgoing<'_> {
        Outgoing { connectable, ..Outgoing::new(data) }
    }

    #[test]
    fn the_usual_advert_is_broadcast_with_a_list_and_comes_down_to_little() {
        let data = [7; 20];
        let steps = steps(&outgoing(&data, false));
        let first = steps[0].properties(&outgoing(&data, false));
        assert_eq!(first["Type"], Value::from("broadcast"));
        assert_eq!(steps[0].size(&outgoing(&data, false)), 28);
        assert!(first.contains_key("ServiceUUIDs") && first.contains_key("MinInterval"));
        assert_eq!(steps.len(), 7);
        let last = steps[6].properties(&outgoing(&data, false));
        assert_eq!(last["Type"], Value::from("peripheral"));
        assert_eq!(last["Discoverable"], Value::from(true));
        assert!(!last.contains_key("ServiceUUIDs") && !last.contains_key("MinInterval"));
    }

    #[test]
    fn every_step_fits_and_every_advert_has_one() {
        let all = (0..=27).map(|len| (len, false)).chain((0..=24).map(|len| (len, true)));
        for (len, connectable) in all {
            let data = vec![1; len];
            let advert = outgoing(&data, connectable);
            let steps = steps(&advert);
            assert!(!steps.is_empty(), "{len} {connectable}");
            assert!(steps.iter().all(|step| step.size(&advert) <= BUDGET));
            assert!(steps.iter().all(|step| step.connectable || !connectable));
            assert_eq!(steps[0].listed, len <= if connectable { 20 } else { 23 });
            let Value::Dict(dict) = &steps[0].properties(&advert)["ServiceData"] else {
                panic!("no map")
            };
            let sent: HashMap<String, Value<'_>> = dict.try_clone().unwrap().try_into().unwrap();
            let bytes = &sent["0000fff9-0000-1000-8000-00805f9b34fb"];
            assert_eq!(*bytes, Value::from(advert.service_data));
        }
    }
}
