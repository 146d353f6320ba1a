use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::ble::conformance::Suite;
use crate::ble::memory::{MemoryRadio, MemoryScan};
use crate::ble::{Advertiser as _, Conditions, Outgoing};

const HOUR: Duration = Duration::from_secs(3600);

/// Counts the scans of a radio.
#[derive(Clone, Debug)]
struct Counted {
    radio: MemoryRadio,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    started: AtomicUsize,
    running: AtomicUsize,
}

struct CountedScan(MemoryScan, Arc<Counts>);

impl Drop for CountedScan {
    fn drop(&mut self) {
        self.1.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scan for CountedScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        self.0.next().await
    }
}

impl Scanner for Counted {
    type Scan = CountedScan;

    async fn scan(&self) -> Result<CountedScan, Error> {
        self.counts.started.fetch_add(1, Ordering::SeqCst);
        // As a real one, so that others come while it starts.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let scan = self.radio.scan().await?;
        let before = self.counts.running.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two scans at a time");
        Ok(CountedScan(scan, Arc::clone(&self.counts)))
    }
}

fn shared() -> (SharedScanner<Counted>, MemoryRadio, Arc<Counts>) {
    let radio = MemoryRadio::new(Conditions { seed: Some(1), ..Conditions::default() }).unwrap();
    let counts = Arc::new(Counts::default());
    let counted = Counted { radio: radio.clone(), counts: Arc::clone(&counts) };
    (SharedScanner::new(counted), radio, counts)
}

async fn find(scan: &mut SharedScan, data: &[u8]) {
    let found = async { while scan.next().await.unwrap().service_data != data {} };
    timeout(HOUR, found).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn conforms_as_the_radio_below_does() {
    let (shared, radio, counts) = shared();
    Suite::new(&shared, &radio, HOUR, 1000, 0).run().await.unwrap();
    assert!(counts.started.load(Ordering::SeqCst) > 1);
}

#[tokio::test(start_paused = true)]
async fn twenty_at_once_find_their_own_phone_with_one_scan() {
    let (shared, radio, counts) = shared();
    let laptops: Vec<_> = (0..20_u8)
        .map(|number| {
            let shared = shared.clone();
            tokio::spawn(async move {
                let mut scan = shared.scan().await.unwrap();
                find(&mut scan, &[number; 20]).await;
            })
        })
        .collect();
    let mut adverts = Vec::new();
    for number in 0..20_u8 {
        adverts.push(radio.advertise(Outgoing::new(&[number; 20])).await.unwrap());
    }
    for laptop in laptops {
        laptop.await.unwrap();
    }
    assert_eq!(counts.started.load(Ordering::SeqCst), 1);
    stopped(&counts).await;
}

async fn stopped(counts: &Counts) {
    let stopped = async {
        while counts.running.load(Ordering::SeqCst) != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(HOUR, stopped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_runs_until_the_last_has_gone_and_starts_again() {
    let (shared, radio, counts) = shared();
    let advert = radio.advertise(Outgoing::new(&[7; 20])).await.unwrap();
    let first = shared.scan().await.unwrap();
    let mut second = shared.scan().await.unwrap();
    drop(first);
    find(&mut second, &[7; 20]).await;
    assert_eq!(counts.running.load(Ordering::SeqCst), 1);
    drop(second);
    stopped(&counts).await;
    find(&mut shared.scan().await.unwrap(), &[7; 20]).await;
    assert_eq!(counts.started.load(Ordering::SeqCst), 2);
    drop(advert);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_loses_the_oldest_and_holds_up_nobody() {
    let (shared, radio, _) = shared();
    let mut slow = shared.scan().await.unwrap();
    let mut quick = shared.scan().await.unwrap();
    let early = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    find(&mut quick, &[1; 20]).await;
    drop(early);
    let _late = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    for _ in 0..2 * QUEUE {
        find(&mut quick, &[2; 20]).await;
    }
    for _ in 0..QUEUE {
        assert_eq!(slow.next().await.unwrap().service_data, [2; 20]);
    }
}

#[tokio::test(start_paused = true)]
async fn all_hear_of_its_end_and_the_next_scan_is_a_new_one() {
    let (shared, radio, counts) = shared();
    let mut scans = [shared.scan().await.unwrap(), shared.scan().await.unwrap()];
    radio.set_powered(false);
    for scan in &mut scans {
        let ended = timeout(HOUR, scan.next()).await.unwrap();
        assert!(matches!(ended, Err(Error::PoweredOff)), "{ended:?}");
    }
    assert!(matches!(shared.scan().await, Err(Error::PoweredOff)));
    radio.set_powered(true);
    // While parts of the one that ended are still held.
    let mut scan = shared.scan().await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[3; 20])).await.unwrap();
    find(&mut scan, &[3; 20]).await;
    assert_eq!(counts.started.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_attempt_that_fails_fails_with_it() {
    let (shared, radio, counts) = shared();
    radio.set_powered(false);
    let (one, two, three) = tokio::join!(shared.scan(), shared.scan(), shared.scan());
    for failed in [one, two, three] {
        assert!(matches!(failed, Err(Error::PoweredOff)), "{failed:?}");
    }
    assert_eq!(counts.started.load(Ordering::SeqCst), 1);
}
