//! What becomes of a phone's adverts: a phone whose adverts are not simply heard sends on an air of its own,
//! and what is heard there is put on the bench's air as the test wants.

use std::time::Duration;

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, interval};

use crate::ble::memory::MemoryRadio;
use crate::ble::{
    Advertiser as _, Conditions, Error, Outgoing, Radio, RadioAdvertisement, Scan as _,
    Scanner as _, ServiceUuid, Sighting,
};
use crate::hybrid::advert::ADVERT_LEN;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(10);
/// An advert that was not sent for so long has left the air: adverts are sent every 20 ms.
const GONE: Duration = Duration::from_millis(250);
/// Adverts that are kept to be replayed.
const KEPT: usize = 16;

/// What becomes of the adverts of a phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Adverts {
    /// They are heard.
    #[default]
    Heard,
    /// They are lost, all of them.
    Lost,
    /// They are first heard so long after they are first sent.
    Late(Duration),
    /// They are heard, and somebody has recorded them and sends the last 16 for ever after.
    Replayed,
}

/// What carries adverts from the phone's air to the bench's; ends when dropped.
#[derive(Debug)]
pub(super) struct Carrier(AbortHandle);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The radio that a phone is to have, and what carries its adverts on if they are not simply heard.
pub(super) async fn radio(
    bench: &Radio,
    adverts: Adverts,
    seed: u64,
) -> Result<(Radio, Option<Carrier>), Error> {
    if adverts == Adverts::Heard {
        return Ok((bench.clone(), None));
    }
    let own = MemoryRadio::new(Conditions { seed: Some(seed), ..Conditions::default() })?;
    let mut scan = own.scan().await?;
    let mut carried = Carried { bench: bench.clone(), adverts, list: Vec::new() };
    let carrying: JoinHandle<()> = tokio::spawn(async move {
        let mut ticks = interval(TICK);
        loop {
            tokio::select! {
                heard = scan.next() => match heard {
                    Ok(sighting) => carried.hear(&sighting),
                    Err(_) => return,
                },
                _ = ticks.tick() => carried.tend(Instant::now()).await,
            }
        }
    });
    Ok((Radio::Memory(own), Some(Carrier(carrying.abort_handle()))))
}

struct Carried {
    bench: Radio,
    adverts: Adverts,
    list: Vec<Advert>,
}

struct Advert {
    service: ServiceUuid,
    data: Vec<u8>,
    first: Instant,
    last: Instant,
    /// On the bench's air.
    sent: Option<RadioAdvertisement>,
}

impl Carried {
    fn hear(&mut self, sighting: &Sighting) {
        let now = Instant::now();
        match self.list.iter_mut().find(|advert| advert.data == sighting.service_data) {
            Some(advert) => advert.last = now,
            None => self.list.push(Advert {
                service: sighting.service,
                data: sighting.service_data.clone(),
                first: now,
                last: now,
                sent: None,
            }),
        }
    }

    /// Sends what is due, and takes off the air what has left the phone's.
    async fn tend(&mut self, now: Instant) {
        match self.adverts {
            Adverts::Replayed => {
                let surplus = self.list.len().saturating_sub(KEPT);
                self.list.drain(..surplus);
            }
            _ => self.list.retain(|advert| now - advert.last < GONE),
        }
        let wait = match self.adverts {
            Adverts::Lost => return,
            Adverts::Late(wait) => wait,
            Adverts::Heard | Adverts::Replayed => Duration::ZERO,
        };
        for advert in &mut self.list {
            if advert.sent.is_none() && now - advert.first >= wait {
                let connectable = advert.data.len() > ADVERT_LEN;
                let service = advert.service;
                let outgoing = Outgoing { connectable, service, ..Outgoing::new(&advert.data) };
                // A bench that ends has no air any more; otherwise the next tick tries again.
                advert.sent = self.bench.advertise(outgoing).await.ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ble::Advertisement as _;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn air() -> Radio {
        Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap())
    }

    /// Sends one advert from a phone; gives what the bench hears of it within `patience`.
    async fn heard(adverts: Adverts, patience: Duration) -> Option<Duration> {
        let bench = air();
        let (phone, _carrier) = radio(&bench, adverts, 7).await.unwrap();
        let mut scan = bench.scan().await.unwrap();
        let began = Instant::now();
        let sent = phone.advertise(Outgoing::new(&[9; 20])).await.unwrap();
        let heard = tokio::time::timeout(patience, scan.next()).await.ok()?.unwrap();
        assert_eq!(heard.service_data, [9; 20]);
        sent.stop().await.unwrap();
        Some(began.elapsed())
    }

    #[tokio::test]
    async fn adverts_are_heard_late_or_not_at_all() {
        let late = Duration::from_millis(300);
        assert!(heard(Adverts::Heard, PATIENCE).await.is_some());
        assert!(heard(Adverts::Late(late), PATIENCE).await.is_some_and(|after| after >= late));
        assert_eq!(heard(Adverts::Lost, Duration::from_millis(300)).await, None);
    }

    #[tokio::test]
    async fn recorded_adverts_stay_on_the_air() {
        for (adverts, stays) in [(Adverts::Replayed, true), (Adverts::Late(TICK), false)] {
            let bench = air();
            let (phone, _carrier) = radio(&bench, adverts, 7).await.unwrap();
            let mut scan = bench.scan().await.unwrap();
            let sent = phone.advertise(Outgoing::new(&[9; 20])).await.unwrap();
            tokio::time::timeout(PATIENCE, scan.next()).await.unwrap().unwrap();
            sent.stop().await.unwrap();
            // What is not replayed falls silent; what is goes on for longer than that takes.
            let quiet =
                async { while tokio::time::timeout(GONE * 4, scan.next()).await.is_ok() {} };
            let fell_silent = tokio::time::timeout(GONE * 12, quiet).await.is_ok();
            assert_eq!(fell_silent, !stays, "{adverts:?}");
        }
    }
}
