//! From btleplug's events to sightings. Depends on btleplug.
//!
//! Runs as long as the discovery, also while no scan is read: a stream that nobody reads would
//! collect all that is on the air.

use std::collections::HashMap;
use std::pin::Pin;

use btleplug::api::{
    self, Central as _, CentralEvent, CentralState, Peripheral as _, PeripheralProperties,
};
use btleplug::platform::{Adapter, PeripheralId};
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::sync::broadcast;

use crate::ble::{Address, AddressType, ServiceUuid, Sighting};

/// Fewer bytes than an EID has cannot be ours, and are not worth a question for the address.
const MIN_SERVICE_DATA: usize = 20;
/// Senders whose address is remembered. Beyond it all are forgotten, and asked for again.
const MAX_SENDERS: usize = 1024;
/// The 128 bits into which Bluetooth puts its 16-bit UUIDs, with those left out.
const BASE_UUID: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// What a scan is told.
#[derive(Debug, Clone)]
pub(super) enum Heard {
    /// Something was received.
    Sighting(Sighting),
    /// The adapter was switched off: the last thing that is told.
    PoweredOff,
}

/// What btleplug tells of an adapter.
pub(super) type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;

pub(super) async fn run(adapter: Adapter, mut events: Events, heard: broadcast::Sender<Heard>) {
    let mut senders = Senders { adapter, known: HashMap::new() };
    while let Some(event) = events.next().await {
        let (id, adverts) = match event {
            CentralEvent::ServiceDataAdvertisement { id, service_data } => {
                let all = service_data.into_iter().map(|(uuid, data)| (uuid.as_u128(), data));
                (id, ours(all))
            }
            CentralEvent::DeviceDiscovered(id) => {
                let adverts = senders.meet(&id).await;
                (id, adverts)
            }
            CentralEvent::RssiUpdate { id, rssi } => {
                senders.update(&id, rssi);
                continue;
            }
            CentralEvent::StateUpdate(CentralState::PoweredOff) => break,
            _ => continue,
        };
        for (service, service_data) in adverts {
            if let Some(Sender { address, rssi }) = senders.find(&id).await {
                let sighting = Sighting { address, service, service_data, rssi };
                // Nobody listening is fine.
                let _ = heard.send(Heard::Sighting(sighting));
            }
        }
    }
    // The stream of a lost radio ends too.
    let _ = heard.send(Heard::PoweredOff);
}

/// Passes over what the system remembers of devices that it met before the scan: btleplug tells of
/// them first of all, and their service data may be long out of date.
pub(super) fn pass_over_known(events: &mut Events) {
    while let Some(Some(_)) = events.next().now_or_never() {}
}

fn ours(all: impl Iterator<Item = (u128, Vec<u8>)>) -> Vec<(ServiceUuid, Vec<u8>)> {
    let long = all.filter(|(_, data)| data.len() >= MIN_SERVICE_DATA);
    long.filter_map(|(uuid, data)| Some((service(uuid)?, data))).collect()
}

fn service(uuid: u128) -> Option<ServiceUuid> {
    let short = u16::try_from((uuid ^ BASE_UUID) >> 96).ok()?;
    let alike = u128::from(short) << 96 | BASE_UUID;
    (alike == uuid).then(|| ServiceUuid::from_short(short))?
}

#[derive(Debug, Clone, Copy)]
struct Sender {
    address: Address,
    rssi: Option<i16>,
}

struct Senders {
    adapter: Adapter,
    known: HashMap<PeripheralId, Sender>,
}

impl Senders {
    /// Asks for the address of a newcomer; `None` if it is forgotten already.
    async fn find(&mut self, id: &PeripheralId) -> Option<Sender> {
        if let Some(sender) = self.known.get(id) {
            return Some(*sender);
        }
        let properties = self.ask(id).await?;
        Some(self.remember(id, &properties))
    }

    /// Gives what a newcomer sends. btleplug has an event for service data from the second reception
    /// on; what came with the first lies in the properties.
    async fn meet(&mut self, id: &PeripheralId) -> Vec<(ServiceUuid, Vec<u8>)> {
        let Some(mut properties) = self.ask(id).await else { return Vec::new() };
        let all = properties.service_data.drain().map(|(uuid, data)| (uuid.as_u128(), data));
        let adverts = ours(all);
        if !adverts.is_empty() {
            self.remember(id, &properties);
        }
        adverts
    }

    async fn ask(&self, id: &PeripheralId) -> Option<PeripheralProperties> {
        self.adapter.peripheral(id).await.ok()?.properties().await.ok()?
    }

    fn remember(&mut self, id: &PeripheralId, properties: &PeripheralProperties) -> Sender {
        let kind = match properties.address_type {
            Some(api::AddressType::Public) => AddressType::Public,
            // Phones are random, and where the system keeps addresses to itself nothing is public.
            _ => AddressType::Random,
        };
        let address = Address { bytes: properties.address.into_inner(), kind };
        let sender = Sender { address, rssi: properties.rssi };
        if self.known.len() >= MAX_SENDERS {
            self.known.clear();
        }
        self.known.insert(id.clone(), sender);
        sender
    }

    fn update(&mut self, id: &PeripheralId, rssi: i16) {
        if let Some(sender) = self.known.get_mut(id) {
            sender.rssi = Some(rssi);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_services_in_bluetooths_own_range_are_ours() {
        let uuid = |short: u128| short << 96 | BASE_UUID;
        assert_eq!(service(uuid(0xfff9)), Some(ServiceUuid::Fido));
        assert_eq!(service(uuid(0xfde2)), Some(ServiceUuid::Google));
        assert_eq!(service(0x0000_fff9_0000_1000_8000_0080_5f9b_34fb), Some(ServiceUuid::Fido));
        for other in [uuid(0xfffa), uuid(0x1_fff9), uuid(0xfff9) ^ 1, 0xfff9, 0, u128::MAX] {
            assert_eq!(service(other), None, "{other:032x}");
        }
    }
}
