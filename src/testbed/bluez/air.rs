//! What the adapters hear: the simulated radio, and a crowd of strangers on request.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::host::Host;
use crate::ble::{Address, AddressType, Scan as _, Scanner as _, ServiceUuid, Sighting};

/// Strangers near the adapters, whose adverts clients hear besides those of the radio.
///
/// They send in turn, so that each is heard `per_second / senders` times in a second. Each always
/// sends the same 20 bytes from the same random address, every other one under Google's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    /// Adverts heard in a second, on each adapter with discovery on. What the bus cannot carry is
    /// lost.
    pub per_second: u32,
    /// How many they are. From 4,097 on everybody is a new device each time, because an adapter
    /// remembers 4,096.
    pub senders: u32,
}

/// Turns what the radio hears into devices, until it is aborted or the radio ends.
pub(super) async fn listen(host: Host, path: String) {
    let Ok(mut scan) = host.state.radio.scan().await else { return };
    while let Ok(sighting) = scan.next().await {
        if host.show(&path, &sighting).await.is_err() {
            return;
        }
    }
}

/// Lets a crowd be heard until it is aborted or the bus ends.
pub(super) async fn gather(host: Host, crowd: Crowd) {
    let (rate, senders) = (u64::from(crowd.per_second), u64::from(crowd.senders.max(1)));
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    loop {
        ticks.tick().await;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due = micros.saturating_mul(rate) / 1_000_000;
        // What was not sent within a tenth of a second is lost, as where the air is full.
        sent = sent.max(due.saturating_sub(rate / 10));
        for number in sent..due {
            for path in host.adapters() {
                if host.show(&path, &stranger(number % senders)).await.is_err() {
                    return;
                }
            }
        }
        host.state.update(|inner| inner.due = due);
        sent = due;
    }
}

fn stranger(number: u64) -> Sighting {
    let [.., a, b, c, d] = number.to_be_bytes();
    let address = Address { bytes: [0x20, 0, a, b, c, d], kind: AddressType::Random };
    let service = if number.is_multiple_of(2) { ServiceUuid::Fido } else { ServiceUuid::Google };
    let mut service_data = vec![0x5a; 20];
    service_data.splice(..8, number.to_be_bytes());
    Sighting { address, service, service_data, rssi: None }
}
