//! From btleplug's events to sightings, on the systems without BlueZ. Depends on btleplug.
//!
//! Runs as long as the discovery, also while no scan is read: a stream that nobody reads would
//! collect all that is on the air.

use std::collections::HashMap;
use std::pin::Pin;

use btleplug::api::{self, Central as _, CentralEvent, CentralState, Peripheral as _};
use btleplug::platform::{Adapter, PeripheralId};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::broadcast;

use super::reason;
use crate::ble::error::Lost;
use crate::ble::{Address, AddressType, Error, ServiceUuid, Sighting};

/// Fewer bytes than an EID has cannot be ours, and are not worth a question for the address.
const MIN_SERVICE_DATA: usize = 20;
/// Senders whose address is remembered. Beyond it all are forgotten, and asked for again.
const MAX_SENDERS: usize = 1024;
/// The 128 bits into which Bluetooth puts its 16-bit UUIDs, with those left out.
const BASE_UUID: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// An ear on the events of an adapter; it hears what happens from when it was opened.
pub(super) struct Ear {
    events: Pin<Box<dyn Stream<Item = CentralEvent> + Send>>,
    senders: Senders,
}

impl Ear {
    pub(super) async fn open(adapter: &Adapter) -> Result<Self, Error> {
        let events = adapter.events().await.map_err(reason)?;
        let senders = Senders { adapter: adapter.clone(), known: HashMap::new() };
        Ok(Self { events, senders })
    }

    /// Tells of all that is heard until the radio is lost. Nobody listening is fine.
    pub(super) async fn run(mut self, heard: broadcast::Sender<Sighting>) -> Lost {
        while let Some(event) = self.events.next().await {
            match event {
                CentralEvent::ServiceDataAdvertisement { id, service_data } => {
                    let ours = service_data.into_iter().filter_map(|(uuid, data)| {
                        let service = service(uuid.as_u128())?;
                        (data.len() >= MIN_SERVICE_DATA).then_some((service, data))
                    });
                    for (service, service_data) in ours {
                        if let Some(Sender { address, rssi }) = self.senders.find(&id).await {
                            let _ = heard.send(Sighting { address, service, service_data, rssi });
                        }
                    }
                }
                CentralEvent::RssiUpdate { id, rssi } => self.senders.update(&id, rssi),
                CentralEvent::StateUpdate(CentralState::PoweredOff) => break,
                _ => {}
            }
        }
        // The stream of a lost radio ends too.
        Lost::Power
    }
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
        let peripheral = self.adapter.peripheral(id).await.ok()?;
        let properties = peripheral.properties().await.ok()??;
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
        Some(sender)
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
