//! The rules that every radio obeys, as code: one suite for the simulated radios and the real one.
//!
//! Not part of the stable interface; public so that tests outside of the library can hold their
//! own [`Scanner`] and [`Advertiser`] against it. Rules wait for receptions, never for time, and
//! bear strangers' adverts and repeated receptions. Depends on the traits of this layer only.

mod links;
mod violation;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

pub use links::links;
pub use violation::Violation;

use super::rng::Rng;
use super::{
    Advertisement, Advertiser, Error, MAX_CONNECTABLE_SERVICE_DATA, MAX_SERVICE_DATA, Outgoing,
    Scan, Scanner, ServiceUuid, Sighting,
};

/// A scanner and an advertiser that should hear each other.
#[derive(Debug)]
pub struct Suite<'a, S, A> {
    scanner: &'a S,
    advertiser: &'a A,
    patience: Duration,
    rounds: u32,
    next: AtomicU64,
}

impl<'a, S: Scanner, A: Advertiser> Suite<'a, S, A> {
    /// Prepares the suite.
    ///
    /// `patience` is the deadline for hearing an advert that is on the air, `rounds` how many
    /// adverts in a row may not lose one, `salt` what keeps two suites on one air apart.
    pub const fn new(
        scanner: &'a S,
        advertiser: &'a A,
        patience: Duration,
        rounds: u32,
        salt: u64,
    ) -> Self {
        Self { scanner, advertiser, patience, rounds, next: AtomicU64::new(salt) }
    }

    /// Tries all rules, one after the other.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub async fn run(&self) -> Result<(), Violation> {
        self.advert_before_scan().await?;
        self.advert_after_scan().await?;
        self.data_is_unchanged().await?;
        self.too_long_is_refused().await?;
        self.silence_after_drop().await?;
        self.silence_after_stop().await?;
        self.scans_are_released().await?;
        self.all_scanners_hear().await?;
        self.all_advertisers_are_heard().await?;
        self.next_can_be_cancelled().await?;
        self.none_is_lost().await
    }

    async fn advert_before_scan(&self) -> Result<(), Violation> {
        let rule = "a scan hears an advert that was there before it";
        let data = self.data(20);
        let _advert = self.advertise(rule, &data).await?;
        let mut scan = self.scan(rule).await?;
        self.hear(rule, &mut scan, &data).await.map(drop)
    }

    async fn advert_after_scan(&self) -> Result<(), Violation> {
        let rule = "a scan hears an advert that begins later";
        let data = self.data(20);
        let mut scan = self.scan(rule).await?;
        let _advert = self.advertise(rule, &data).await?;
        self.hear(rule, &mut scan, &data).await.map(drop)
    }

    async fn data_is_unchanged(&self) -> Result<(), Violation> {
        let rule = "all bytes arrive, under the service that they were sent under";
        let mut scan = self.scan(rule).await?;
        for service in [ServiceUuid::Fido, ServiceUuid::Google] {
            for (len, connectable) in [(20, false), (20, true), (23, false), (24, true)] {
                let data = self.data(len);
                let advert = Outgoing { service, service_data: &data, connectable };
                let _advert = self.send(rule, advert).await?;
                self.hear_under(rule, &mut scan, &data, service).await?;
            }
        }
        Ok(())
    }

    async fn too_long_is_refused(&self) -> Result<(), Violation> {
        let rule = "data that does not fit is refused";
        let both = [(MAX_SERVICE_DATA, false), (MAX_CONNECTABLE_SERVICE_DATA, true)];
        for (max, connectable) in both {
            let data = self.data(max + 1);
            let advert = Outgoing { connectable, ..Outgoing::new(&data) };
            match self.advertiser.advertise(advert).await {
                Err(Error::TooLong { .. }) => {}
                Err(source) => return Err(Violation::Failed { rule, source }),
                Ok(_) => return Err(Violation::Accepted { rule, len: data.len() }),
            }
        }
        Ok(())
    }

    async fn silence_after_drop(&self) -> Result<(), Violation> {
        let rule = "a dropped advert is silent";
        let (data, mut scan) = (self.data(20), self.scan(rule).await?);
        let advert = self.advertise(rule, &data).await?;
        self.hear(rule, &mut scan, &data).await?;
        drop(advert);
        self.stays_silent(rule, &mut scan, &data).await
    }

    async fn silence_after_stop(&self) -> Result<(), Violation> {
        let rule = "a stopped advert is silent";
        let (data, mut scan) = (self.data(20), self.scan(rule).await?);
        let advert = self.advertise(rule, &data).await?;
        self.hear(rule, &mut scan, &data).await?;
        advert.stop().await.map_err(failed(rule))?;
        self.stays_silent(rule, &mut scan, &data).await
    }

    /// What was in flight comes before the next advert; five receptions of that one are time
    /// enough for the ended one to show that it is still sent.
    async fn stays_silent(
        &self,
        rule: &'static str,
        scan: &mut S::Scan,
        ended: &[u8],
    ) -> Result<(), Violation> {
        let data = self.data(20);
        let _advert = self.advertise(rule, &data).await?;
        self.hear(rule, scan, &data).await?;
        for _ in 0..5 {
            let wanted = |sighting: &Sighting| {
                sighting.service_data == data || sighting.service_data == ended
            };
            if self.find(rule, scan, wanted).await?.service_data == ended {
                return Err(Violation::Undead { rule });
            }
        }
        Ok(())
    }

    async fn scans_are_released(&self) -> Result<(), Violation> {
        let rule = "a dropped scan leaves the radio free";
        let data = self.data(20);
        let _advert = self.advertise(rule, &data).await?;
        for _ in 0..50 {
            drop(self.scan(rule).await?);
            let mut scan = self.scan(rule).await?;
            self.hear(rule, &mut scan, &data).await?;
        }
        Ok(())
    }

    async fn all_scanners_hear(&self) -> Result<(), Violation> {
        let rule = "two scans hear the same advert";
        let data = self.data(20);
        let (mut one, mut two) = (self.scan(rule).await?, self.scan(rule).await?);
        let _advert = self.advertise(rule, &data).await?;
        self.hear(rule, &mut one, &data).await?;
        self.hear(rule, &mut two, &data).await?;
        drop(one);
        self.hear(rule, &mut two, &data).await.map(drop)
    }

    async fn all_advertisers_are_heard(&self) -> Result<(), Violation> {
        let rule = "two adverts are heard side by side";
        let (one, two) = (self.data(20), self.data(24));
        let mut scan = self.scan(rule).await?;
        let first = self.advertise(rule, &one).await?;
        let _second = self.advertise(rule, &two).await?;
        for _ in 0..3 {
            self.hear(rule, &mut scan, &one).await?;
            self.hear(rule, &mut scan, &two).await?;
        }
        drop(first);
        self.hear(rule, &mut scan, &two).await.map(drop)
    }

    async fn next_can_be_cancelled(&self) -> Result<(), Violation> {
        let rule = "a cancelled wait for the next sighting does no harm";
        let mut scan = self.scan(rule).await?;
        for _ in 0..20 {
            let data = self.data(20);
            let _advert = self.advertise(rule, &data).await?;
            let heard = timeout(self.patience, patchwise(&mut scan, &data)).await;
            heard.map_err(|_| Violation::Unheard { rule })?.map_err(failed(rule))?;
        }
        Ok(())
    }

    async fn none_is_lost(&self) -> Result<(), Violation> {
        let rule = "of many adverts in a row none is lost";
        let mut scan = self.scan(rule).await?;
        for _ in 0..self.rounds {
            let data = self.data(20);
            let advert = self.advertise(rule, &data).await?;
            self.hear(rule, &mut scan, &data).await?;
            advert.stop().await.map_err(failed(rule))?;
        }
        Ok(())
    }

    /// Draws data that no other advert of this suite has.
    fn data(&self, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        Rng::seeded(self.next.fetch_add(1, Ordering::Relaxed)).fill(&mut data);
        data
    }

    async fn scan(&self, rule: &'static str) -> Result<S::Scan, Violation> {
        self.scanner.scan().await.map_err(failed(rule))
    }

    async fn advertise(
        &self,
        rule: &'static str,
        data: &[u8],
    ) -> Result<A::Advertisement, Violation> {
        self.send(rule, Outgoing::new(data)).await
    }

    async fn send(
        &self,
        rule: &'static str,
        advert: Outgoing<'_>,
    ) -> Result<A::Advertisement, Violation> {
        self.advertiser.advertise(advert).await.map_err(failed(rule))
    }

    async fn hear(
        &self,
        rule: &'static str,
        scan: &mut S::Scan,
        data: &[u8],
    ) -> Result<Sighting, Violation> {
        self.hear_under(rule, scan, data, ServiceUuid::Fido).await
    }

    async fn hear_under(
        &self,
        rule: &'static str,
        scan: &mut S::Scan,
        data: &[u8],
        service: ServiceUuid,
    ) -> Result<Sighting, Violation> {
        let wanted =
            |sighting: &Sighting| sighting.service_data == data && sighting.service == service;
        self.find(rule, scan, wanted).await
    }

    async fn find(
        &self,
        rule: &'static str,
        scan: &mut S::Scan,
        wanted: impl Fn(&Sighting) -> bool + Send,
    ) -> Result<Sighting, Violation> {
        let search = async {
            loop {
                let sighting = scan.next().await?;
                if wanted(&sighting) {
                    return Ok(sighting);
                }
            }
        };
        let found = timeout(self.patience, search).await;
        found.map_err(|_| Violation::Unheard { rule })?.map_err(failed(rule))
    }
}

/// Waits for `data` in patches of a millisecond, cancelling each wait that took longer.
async fn patchwise(scan: &mut impl Scan, data: &[u8]) -> Result<(), Error> {
    loop {
        if let Ok(sighting) = timeout(Duration::from_millis(1), scan.next()).await
            && sighting?.service_data == data
        {
            return Ok(());
        }
    }
}

fn failed(rule: &'static str) -> impl Fn(Error) -> Violation {
    move |source| Violation::Failed { rule, source }
}
