use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::ble::conformance::{Suite, Violation, links};
use crate::ble::{
    Address, AddressType, Advertisement, Link, Linker, Listener as _, Scan as _, ServiceUuid,
};
use crate::hybrid::advert::Psm;

const HOUR: Duration = Duration::from_secs(3600);

fn radio(conditions: Conditions) -> MemoryRadio {
    MemoryRadio::new(Conditions { seed: Some(1), ..conditions }).unwrap()
}

/// Polls `next` once and gives up.
async fn glance(scan: &mut MemoryScan) -> Option<Sighting> {
    tokio::select! {
        biased;
        sighting = scan.next() => Some(sighting.unwrap()),
        () = std::future::ready(()) => None,
    }
}

async fn listen(scan: &mut MemoryScan, time: Duration) -> Vec<Sighting> {
    let mut heard = Vec::new();
    let all = async {
        loop {
            heard.push(scan.next().await.unwrap());
        }
    };
    assert!(timeout(time, all).await.is_err());
    heard
}

#[tokio::test(start_paused = true)]
async fn conforms_on_good_air() {
    let radio = radio(Conditions::default());
    Suite::new(&radio, &radio, HOUR, 1000, 0).run().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn conforms_on_bad_air() {
    let conditions = Conditions {
        loss: 0.5,
        delay: Duration::from_millis(70),
        foreign: 100,
        ..Conditions::default()
    };
    let radio = radio(conditions);
    Suite::new(&radio, &radio, HOUR, 100, 0).run().await.unwrap();
}

const ANYWHERE: Address = Address { bytes: [1; 6], kind: AddressType::Random };

#[tokio::test(start_paused = true)]
async fn connections_conform() {
    let radio = radio(Conditions::default());
    links(&radio, &radio, ANYWHERE, HOUR, NonZeroU32::MIN).await.unwrap();
    assert!(radio.air.ports.is_empty());
}

/// Its connections lead nowhere.
struct Astray(MemoryRadio);

impl Linker for Astray {
    type Listener = MemoryListener;

    async fn connect(&self, _: Address, _: Psm) -> Result<Link, Error> {
        Ok(Link::over(tokio::io::duplex(64).0))
    }

    async fn listen(&self) -> Result<MemoryListener, Error> {
        self.0.listen().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_finds_connections_that_lead_nowhere() {
    let radio = radio(Conditions::default());
    let found =
        links(&Astray(radio.clone()), &radio, ANYWHERE, HOUR, NonZeroU32::MIN).await.unwrap_err();
    assert!(matches!(found, Violation::Late { .. }), "{found}");
}

#[tokio::test]
async fn without_power_there_are_no_connections() {
    let radio = radio(Conditions::default());
    let listener = radio.listen().await.unwrap();
    radio.set_powered(false);
    assert!(matches!(radio.listen().await, Err(Error::PoweredOff)));
    let refused = radio.connect(ANYWHERE, listener.psm()).await;
    assert!(matches!(refused, Err(Error::PoweredOff)));
}

#[tokio::test]
async fn a_listener_that_does_not_listen_refuses_in_the_end() {
    let radio = radio(Conditions::default());
    let listener = radio.listen().await.unwrap();
    let mut taken = Vec::new();
    let refused = loop {
        match radio.connect(ANYWHERE, listener.psm()).await {
            Ok(link) => taken.push(link),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Unreachable(_)) && !taken.is_empty());
}

/// A radio with one defect, to see that the suite would find it.
struct Broken {
    radio: MemoryRadio,
    defect: Defect,
}

#[derive(Clone, Copy, PartialEq)]
enum Defect {
    /// Adverts never end.
    Endless,
    /// Only the first 20 bytes are sent.
    CutsSuffix,
    /// Two scans cannot run at once.
    OneScan,
    /// A wait that is cancelled takes a reception with it.
    Forgets,
}

struct BrokenGuard {
    advert: Option<Transmission>,
    defect: Defect,
}

impl Drop for BrokenGuard {
    fn drop(&mut self) {
        if self.defect == Defect::Endless {
            std::mem::forget(self.advert.take());
        }
    }
}

impl Advertisement for BrokenGuard {
    async fn stop(self) -> Result<(), Error> {
        Ok(())
    }
}

impl Advertiser for Broken {
    type Advertisement = BrokenGuard;

    async fn advertise(&self, advert: Outgoing<'_>) -> Result<BrokenGuard, Error> {
        let most = if self.defect == Defect::CutsSuffix { 20 } else { usize::MAX };
        let service_data = advert.service_data.get(..most).unwrap_or(advert.service_data);
        let advert = self.radio.advertise(Outgoing { service_data, ..advert }).await?;
        Ok(BrokenGuard { advert: Some(advert), defect: self.defect })
    }
}

struct BrokenScan {
    scan: MemoryScan,
    defect: Defect,
}

impl crate::ble::Scan for BrokenScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        let sighting = self.scan.next().await;
        if self.defect == Defect::Forgets {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sighting
    }
}

impl Scanner for Broken {
    type Scan = BrokenScan;

    async fn scan(&self) -> Result<BrokenScan, Error> {
        if self.defect == Defect::OneScan && self.radio.air.sender.receiver_count() > 0 {
            return Err(Error::NoAdapter);
        }
        Ok(BrokenScan { scan: self.radio.scan().await?, defect: self.defect })
    }
}

#[tokio::test(start_paused = true)]
async fn the_suite_finds_what_is_wrong() {
    let deaf = radio(Conditions { loss: 1.0, ..Conditions::default() });
    let verdict = Suite::new(&deaf, &deaf, Duration::from_secs(60), 1, 0).run().await;
    assert!(matches!(verdict, Err(Violation::Unheard { .. })), "{verdict:?}");

    for (defect, broken_rule) in [
        (Defect::Endless, "a dropped advert is silent: an advert was heard after its end"),
        (Defect::CutsSuffix, "all bytes arrive, under the service that they were sent under"),
        (Defect::OneScan, "two scans hear the same advert: the radio failed"),
        (Defect::Forgets, "a cancelled wait for the next sighting does no harm"),
    ] {
        let broken = Broken { radio: radio(Conditions::default()), defect };
        let suite = Suite::new(&broken, &broken, Duration::from_secs(60), 1, 0);
        let verdict = suite.run().await.unwrap_err().to_string();
        assert!(verdict.starts_with(broken_rule), "{verdict}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_sending_is_at_once_and_the_next_after_the_interval() {
    let radio = radio(Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    let start = Instant::now();
    let _advert = radio.advertise(Outgoing::new(&[7; 20])).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..3 {
        scan.next().await.unwrap();
        times.push(start.elapsed());
    }
    assert_eq!(times, [0, 20, 40].map(Duration::from_millis));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_next_loses_no_reception() {
    // Each advert is sent just once, so a reception that is lost stays lost.
    for delay in [Duration::ZERO, Duration::from_millis(5)] {
        let radio = radio(Conditions { interval: HOUR, delay, ..Conditions::default() });
        let mut scan = radio.scan().await.unwrap();
        for round in 0..100 {
            assert_eq!(glance(&mut scan).await, None);
            let _advert = radio.advertise(Outgoing::new(&[round; 20])).await.unwrap();
            let heard = match glance(&mut scan).await {
                Some(sighting) => sighting,
                None => timeout(delay * 2, scan.next()).await.expect("lost").unwrap(),
            };
            assert_eq!(heard.service_data, [round; 20]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_guard_is_gone() {
    let radio = radio(Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    let advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    assert_eq!(listen(&mut scan, Duration::from_millis(90)).await.len(), 5);
    drop(advert);
    assert_eq!(listen(&mut scan, HOUR).await, []);
    let advert = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    advert.stop().await.unwrap();
    assert_eq!(listen(&mut scan, HOUR).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_address_is_one_per_advertisement() {
    let radio = radio(Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    let _one = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    let _two = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    let heard = listen(&mut scan, Duration::from_secs(1)).await;
    let of = |data: u8| -> Vec<_> {
        let mine = heard.iter().filter(|sighting| sighting.service_data == [data; 20]);
        mine.map(|sighting| sighting.address).collect()
    };
    assert!(of(1).iter().all(|address| *address == of(1)[0]));
    assert!(of(2).iter().all(|address| *address == of(2)[0]));
    assert_ne!(of(1)[0], of(2)[0]);
}

#[tokio::test(start_paused = true)]
async fn losses_follow_the_probability_and_the_seed() {
    async fn heard(loss: f64, seed: u64) -> Vec<Sighting> {
        let conditions = Conditions { loss, seed: Some(seed), ..Conditions::default() };
        let radio = MemoryRadio::new(conditions).unwrap();
        let mut scan = radio.scan().await.unwrap();
        let mut adverts = Vec::new();
        for round in 0..200 {
            adverts.push(radio.advertise(Outgoing::new(&[round; 20])).await.unwrap());
        }
        listen(&mut scan, Duration::from_millis(90)).await
    }
    let some = heard(0.3, 1).await;
    assert!((620..780).contains(&some.len()), "{} of 1000 at a loss of 0.3", some.len());
    assert_eq!(some, heard(0.3, 1).await);
    assert_ne!(some, heard(0.3, 2).await);
    assert_eq!(heard(1.0, 1).await, []);
    assert_eq!(heard(0.0, 1).await.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_delay_shifts_every_reception() {
    let delay = Duration::from_millis(50);
    let radio = radio(Conditions { delay, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    let start = Instant::now();
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    for expected in [50, 70, 90] {
        scan.next().await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_are_heard_where_nobody_advertises() {
    let radio = radio(Conditions { foreign: 100, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    let heard = listen(&mut scan, Duration::from_millis(10_005)).await;
    assert_eq!(heard.len(), 1000);
    assert!(heard.iter().all(|sighting| sighting.service_data.len() == 20));
    assert!(heard.iter().any(|sighting| sighting.service == ServiceUuid::Google));
}

#[tokio::test(start_paused = true)]
async fn replay_repeats_ended_adverts_also_to_later_scans() {
    let good = radio(Conditions::default());
    let bad = good.with_conditions(Conditions { replay: true, ..Conditions::default() });
    let mut scan = bad.scan().await.unwrap();
    let advert = good.advertise(Outgoing::new(&[9; 20])).await.unwrap();
    let original = scan.next().await.unwrap();
    drop(advert);
    assert_eq!(scan.next().await.unwrap(), original);
    drop(scan);
    assert_eq!(bad.scan().await.unwrap().next().await.unwrap(), original);
    assert_eq!(listen(&mut good.scan().await.unwrap(), HOUR).await, []);
}

#[tokio::test(start_paused = true)]
async fn replay_forgets_the_oldest() {
    let radio = radio(Conditions { replay: true, interval: HOUR, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    for round in 0..100 {
        let _advert = radio.advertise(Outgoing::new(&[round; 20])).await.unwrap();
        while scan.next().await.unwrap().service_data != [round; 20] {}
    }
    assert_eq!(lock(&radio.air.recorded).len(), MAX_RECORDED);
    let mut replayed = listen(&mut scan, Duration::from_secs(10)).await;
    replayed.sort_by(|a, b| a.service_data.cmp(&b.service_data));
    replayed.dedup();
    assert_eq!(replayed.len(), MAX_RECORDED);
    assert_eq!(replayed[0].service_data, [84; 20]);
}

#[tokio::test(start_paused = true)]
async fn power_off_ends_scans_and_silences_adverts() {
    let radio = radio(Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    scan.next().await.unwrap();
    radio.set_powered(false);
    assert!(matches!(scan.next().await, Err(Error::PoweredOff)));
    assert!(matches!(radio.scan().await, Err(Error::PoweredOff)));
    let refused = radio.advertise(Outgoing::new(&[1; 20])).await;
    assert!(matches!(refused, Err(Error::PoweredOff)));
    radio.set_powered(true);
    radio.scan().await.unwrap().next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_right_advert_comes_through_a_storm_of_strangers() {
    let storm = radio(Conditions { foreign: 1_000_000, ..Conditions::default() });
    let mut scan = storm.scan().await.unwrap();
    for _ in 0..100_000 {
        assert_eq!(scan.next().await.unwrap().service_data.len(), 20);
    }
    let _advert = storm.advertise(Outgoing::new(&[5; 24])).await.unwrap();
    let right = async { while scan.next().await.unwrap().service_data != [5; 24] {} };
    timeout(HOUR, right).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_is_not_read_keeps_no_more_than_its_queue() {
    let radio = radio(Conditions::default());
    let mut scan = radio.scan().await.unwrap();
    let mut rng = Rng::seeded(1);
    for _ in 0..100_000 {
        let mut service_data = vec![0; 20];
        rng.fill(&mut service_data);
        let service = ServiceUuid::Fido;
        let stranger = Sighting { address: rng.address(), service, service_data, rssi: None };
        radio.air.transmit(&stranger);
    }
    assert_eq!(radio.air.sender.len(), QUEUE);
    let _advert = radio.advertise(Outgoing::new(&[5; 20])).await.unwrap();
    let mut heard = 1;
    while scan.next().await.unwrap().service_data != [5; 20] {
        heard += 1;
    }
    assert_eq!(heard, QUEUE, "the queue held the newest");
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_sleeps_through_a_storm_does_not_catch_up() {
    let delay = Duration::from_millis(1);
    let radio = radio(Conditions { foreign: 100_000, delay, ..Conditions::default() });
    let mut scan = radio.scan().await.unwrap();
    tokio::time::advance(HOUR).await;
    let start = Instant::now();
    let mut backlog = 0;
    while start.elapsed().is_zero() {
        scan.next().await.unwrap();
        backlog += 1;
    }
    assert!(backlog <= 20_000, "{backlog} sightings of the past");
}

#[tokio::test(start_paused = true)]
async fn extreme_conditions_do_no_harm() {
    for time in [Duration::ZERO, Duration::MAX] {
        let conditions = Conditions { interval: time, foreign: u32::MAX, ..Conditions::default() };
        let radio = radio(Conditions { delay: time, replay: true, ..conditions });
        let mut scan = radio.scan().await.unwrap();
        let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
        for _ in 0..1000 {
            scan.next().await.unwrap();
        }
    }
}

#[test]
fn without_a_runtime_there_is_an_error_not_a_panic() {
    let radio = radio(Conditions::default());
    let advert = [1; 20];
    let mut future = std::pin::pin!(radio.advertise(Outgoing::new(&advert)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let result = std::future::Future::poll(future.as_mut(), &mut context);
    assert!(matches!(result, std::task::Poll::Ready(Err(Error::NoRuntime(_)))));
}
