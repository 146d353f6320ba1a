//! Memory stays flat under a storm of foreign adverts. Alone in its process, because it reads the
//! process's resident size.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and takes its first instant from the clock"
)]

use std::time::Instant;

use cabled::hybrid::client::{Deadlines, Input, Output, QrOffer, Sender, Transaction};
use cabled::hybrid::qr::Hint;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_foreign_adverts_cost_no_memory() {
    let now = Instant::now();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let offer = QrOffer::new(&mut rng, Hint::MakeCredential, 0, false, false);
    let mut laptop = Transaction::qr(offer, Deadlines::default(), now);
    assert_eq!(laptop.poll_output(), Some(Output::StartScan));
    let sender = Sender { address: [0; 6], random: true };
    let mut data = [0; 20];
    let mut storm = |adverts: u64| {
        for _ in 0..adverts {
            rng.fill_bytes(&mut data);
            laptop.handle(Input::Sighting { service_data: &data, sender }, now).unwrap();
            assert_eq!(laptop.poll_output(), None);
        }
        laptop.heard().unwrap().foreign
    };
    storm(1_000);
    let before = resident_kib();
    assert_eq!(storm(99_000), 100_000);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 512, "{grown} KiB more after 99,000 foreign adverts");
}
