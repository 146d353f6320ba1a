//! Both machines: as state machines with a clock of their own, and driven over pipes with a simulated radio.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::hello::{MAGIC, VERSION};
use super::receiver::{self, Receiver};
use super::sharer::{self, Sharer};
use super::wire::Report;
use super::{Error, PairingKey, Trouble};
use crate::ble::{Address, AddressType, MAX_SERVICE_DATA, ServiceUuid, Sighting};
use crate::hybrid::PrivateKey;
use crate::secret::Secret;

mod driven;

fn key(byte: u8) -> PairingKey {
    PairingKey::new(Secret::new([byte; 32]))
}

fn ephemeral(seed: u64) -> PrivateKey {
    PrivateKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn sighting(number: u8) -> Sighting {
    let address = Address { bytes: [number; 6], kind: AddressType::Random };
    let service_data = vec![number; 20];
    Sighting { address, service: ServiceUuid::Fido, service_data, rssi: Some(-60) }
}

/// Two machines and what lies between them.
struct Pair {
    sharer: Sharer,
    receiver: Receiver,
    now: Instant,
    told: Vec<sharer::Output>,
    reports: Vec<receiver::Output>,
}

#[allow(clippy::disallowed_methods, reason = "some instant to begin with")]
fn begin() -> Instant {
    Instant::now()
}

impl Pair {
    fn new(there: PairingKey, here: Vec<PairingKey>) -> Self {
        let now = begin();
        let sharer = Sharer::new(here, ephemeral(1), false, now);
        let receiver = Receiver::new(there, ephemeral(2), now);
        Self { sharer, receiver, now, told: Vec::new(), reports: Vec::new() }
    }

    fn paired() -> Self {
        let mut pair = Self::new(key(7), vec![key(3), key(7)]);
        pair.exchange().unwrap();
        assert_eq!(pair.told, [sharer::Output::Paired(key(7).id())]);
        assert_eq!(pair.reports, [receiver::Output::Paired]);
        pair.told.clear();
        pair.reports.clear();
        pair
    }

    /// Carries bytes both ways until nobody has any; the errors of both.
    fn exchange(&mut self) -> Result<(), (Option<Error>, Option<Error>)> {
        let (mut here, mut there) = (None, None);
        loop {
            let mut to_there = Vec::new();
            while let Some(output) = self.sharer.poll_output() {
                match output {
                    sharer::Output::Write(bytes) => to_there.extend(bytes),
                    other => self.told.push(other),
                }
            }
            while let Some(bytes) = self.sharer.poll_sighting().unwrap() {
                to_there.extend(bytes);
            }
            let mut to_here = Vec::new();
            while let Some(output) = self.receiver.poll_output() {
                match output {
                    receiver::Output::Write(bytes) => to_here.extend(bytes),
                    other => self.reports.push(other),
                }
            }
            if to_here.is_empty() && to_there.is_empty() {
                break;
            }
            if there.is_none() && !to_there.is_empty() {
                let input = receiver::Input::Bytes(&to_there);
                there = self.receiver.handle(input, self.now).err();
            }
            if here.is_none() && !to_here.is_empty() {
                here = self.sharer.handle(sharer::Input::Bytes(&to_here), self.now).err();
            }
        }
        if here.is_none() && there.is_none() { Ok(()) } else { Err((here, there)) }
    }

    fn want(&mut self, wanted: bool) {
        self.receiver.handle(receiver::Input::Wanted(wanted), self.now).unwrap();
        self.exchange().unwrap();
    }

    fn here(&mut self, input: sharer::Input<'_>) {
        self.sharer.handle(input, self.now).unwrap();
        self.exchange().unwrap();
    }

    fn wait(&mut self, time: Duration) -> Result<(), Error> {
        self.now += time;
        self.sharer.handle(sharer::Input::Timeout, self.now)?;
        self.receiver.handle(receiver::Input::Timeout, self.now)
    }
}

#[test]
fn the_radio_scans_as_long_as_somebody_listens() {
    let mut pair = Pair::paired();
    pair.here(sharer::Input::Sighting(&sighting(1)));
    assert!(pair.told.is_empty() && pair.reports.is_empty(), "nobody listens yet");
    pair.want(true);
    assert_eq!(pair.told, [sharer::Output::Scan]);
    assert!(pair.receiver.standing().is_none(), "it does not scan yet");
    pair.here(sharer::Input::Scanning);
    let listening = Report::Listening { round: 1, simulated: false };
    assert_eq!(pair.receiver.standing(), Some(listening.clone()));
    pair.here(sharer::Input::Sighting(&sighting(2)));
    let heard = Report::Heard(sighting(2));
    assert_eq!(pair.reports, [listening, heard].map(receiver::Output::Report));
    pair.want(true);
    pair.want(false);
    assert_eq!(pair.told, [sharer::Output::Scan, sharer::Output::StopScan]);
    pair.here(sharer::Input::Sighting(&sighting(3)));
    assert_eq!(pair.reports.len(), 2, "nobody listens any more");
}

#[test]
fn a_radio_that_fails_is_tried_again_by_the_next_one() {
    let mut pair = Pair::paired();
    pair.want(true);
    pair.here(sharer::Input::Failed(Trouble::PoweredOff));
    let failed = Report::Failed { round: 1, why: Trouble::PoweredOff };
    assert_eq!(pair.reports, [receiver::Output::Report(failed)]);
    pair.want(true);
    assert_eq!(pair.told, [sharer::Output::Scan, sharer::Output::Scan]);
    pair.here(sharer::Input::Scanning);
    assert!(pair.receiver.standing().is_some());
}

/// What was said of the scan before counts for nothing in the next.
#[test]
fn an_answer_that_comes_late_is_no_answer() {
    let mut pair = Pair::paired();
    pair.want(true);
    pair.sharer.handle(sharer::Input::Scanning, pair.now).unwrap();
    pair.sharer.handle(sharer::Input::Sighting(&sighting(1)), pair.now).unwrap();
    pair.receiver.handle(receiver::Input::Wanted(false), pair.now).unwrap();
    pair.receiver.handle(receiver::Input::Wanted(true), pair.now).unwrap();
    pair.exchange().unwrap();
    assert!(pair.reports.is_empty() && pair.receiver.standing().is_none());
    pair.here(sharer::Input::Scanning);
    let listening = Report::Listening { round: 2, simulated: false };
    assert_eq!(pair.reports, [receiver::Output::Report(listening)]);
}

#[test]
fn who_listened_before_the_other_machine_came_is_served() {
    let mut pair = Pair::new(key(7), vec![key(7)]);
    pair.receiver.handle(receiver::Input::Wanted(true), pair.now).unwrap();
    pair.exchange().unwrap();
    assert_eq!(pair.told, [sharer::Output::Paired(key(7).id()), sharer::Output::Scan]);
}

#[test]
fn machines_that_are_not_paired_part_in_words() {
    let mut pair = Pair::new(key(7), vec![key(3)]);
    let (here, there) = pair.exchange().unwrap_err();
    assert!(matches!(here, Some(Error::NotPaired)) && matches!(there, Some(Error::Refused)));
    for error in [here, there].into_iter().flatten() {
        assert!(error.is_refusal());
    }
}

/// The same name over another key: only somebody in between could make that up.
#[test]
fn another_key_under_the_same_name_is_refused() {
    let mut pair = Pair::new(key(7), vec![key(7)]);
    let Some(receiver::Output::Write(hello)) = pair.receiver.poll_output() else { panic!() };
    pair.sharer.handle(sharer::Input::Bytes(&hello), pair.now).unwrap();
    pair.receiver = Receiver::new(key(8), ephemeral(2), pair.now);
    let _its_own_hello = pair.receiver.poll_output();
    let (here, there) = pair.exchange().unwrap_err();
    assert!(matches!(here, Some(Error::Refused)) && matches!(there, Some(Error::WrongKey)));
}

#[test]
fn another_version_is_refused() {
    let mut pair = Pair::new(key(7), vec![key(7)]);
    let Some(receiver::Output::Write(mut hello)) = pair.receiver.poll_output() else { panic!() };
    hello[MAGIC.len()] = VERSION + 1;
    let error = pair.sharer.handle(sharer::Input::Bytes(&hello), pair.now).unwrap_err();
    assert!(matches!(error, Error::OtherVersion) && error.is_refusal());
    let (_, there) = pair.exchange().unwrap_err();
    assert!(matches!(there, Some(Error::OtherVersion)));
}

#[test]
fn what_a_login_prints_is_skipped() {
    for noise in ["", "Welcome!\n", "\0cabled", "\0cabled radi\0cabled \0"] {
        let mut pair = Pair::new(key(7), vec![key(7)]);
        for byte in noise.as_bytes() {
            pair.sharer.handle(sharer::Input::Bytes(&[*byte]), pair.now).unwrap();
        }
        pair.exchange().unwrap();
        assert_eq!(pair.told, [sharer::Output::Paired(key(7).id())], "{noise:?}");
    }
    let mut pair = Pair::new(key(7), vec![key(7)]);
    let endless = std::iter::repeat_with(|| {
        pair.sharer.handle(sharer::Input::Bytes(&[b'x'; 4096]), pair.now)
    });
    assert!(matches!(endless.take(100).find_map(Result::err), Some(Error::NoHello)));
}

/// Bytes one by one, and a first message that somebody kept from an earlier time.
#[test]
fn an_old_first_message_proves_nothing() {
    let mut pair = Pair::new(key(7), vec![key(7)]);
    pair.receiver.handle(receiver::Input::Wanted(true), pair.now).unwrap();
    let Some(receiver::Output::Write(hello)) = pair.receiver.poll_output() else { panic!() };
    for byte in hello {
        pair.sharer.handle(sharer::Input::Bytes(&[byte]), pair.now).unwrap();
    }
    let Some(sharer::Output::Write(first)) = pair.sharer.poll_output() else { panic!() };
    let mut other = Receiver::new(key(7), ephemeral(9), pair.now);
    other.handle(receiver::Input::Wanted(true), pair.now).unwrap();
    for byte in &first {
        other.handle(receiver::Input::Bytes(&[*byte]), pair.now).unwrap();
    }
    let outputs: Vec<_> = std::iter::from_fn(|| other.poll_output()).collect();
    let wrote = |output: &receiver::Output| matches!(output, receiver::Output::Write(_));
    assert!(outputs.len() == 2 && outputs.iter().all(wrote), "hello and answer: {outputs:?}");
    // Nor does what that one had sealed then.
    pair.receiver.handle(receiver::Input::Bytes(&first), pair.now).unwrap();
    pair.exchange().unwrap();
    pair.here(sharer::Input::Scanning);
    pair.sharer.handle(sharer::Input::Sighting(&sighting(1)), pair.now).unwrap();
    let sealed = pair.sharer.poll_sighting().unwrap().unwrap();
    let error = other.handle(receiver::Input::Bytes(&sealed), pair.now).unwrap_err();
    assert!(matches!(error, Error::NotAuthentic));
}

#[test]
fn a_message_that_comes_twice_or_changed_ends_it() {
    for change in [None, Some(0), Some(1), Some(40)] {
        let mut pair = Pair::paired();
        pair.want(true);
        pair.here(sharer::Input::Scanning);
        pair.sharer.handle(sharer::Input::Sighting(&sighting(1)), pair.now).unwrap();
        let mut sealed = pair.sharer.poll_sighting().unwrap().unwrap();
        match change {
            None => pair.receiver.handle(receiver::Input::Bytes(&sealed), pair.now).unwrap(),
            Some(at) => sealed[at] ^= 1,
        }
        // One byte of length less, and what follows makes up for it.
        sealed.push(0);
        let ended = pair.receiver.handle(receiver::Input::Bytes(&sealed), pair.now);
        assert!(matches!(ended, Err(Error::NotAuthentic)), "{change:?}: {ended:?}");
        assert!(pair.receiver.handle(receiver::Input::Bytes(&[0; 300]), pair.now).is_ok(), "over");
    }
}

#[test]
fn both_ends_say_that_they_are_alive_and_notice_when_the_other_is_not() {
    let mut pair = Pair::paired();
    for _ in 0..20 {
        pair.wait(Duration::from_secs(10)).unwrap();
        pair.exchange().unwrap();
    }
    pair.wait(Duration::from_secs(10)).unwrap();
    pair.wait(Duration::from_secs(10)).unwrap();
    assert!(matches!(pair.wait(Duration::from_secs(10)), Err(Error::Silent)));
    let gone = pair.receiver.handle(receiver::Input::Timeout, pair.now);
    assert!(matches!(gone, Err(Error::Silent)));
}

#[test]
fn every_wait_has_an_end() {
    let now = begin();
    let mut sharer = Sharer::new(vec![key(1)], ephemeral(1), false, now);
    let late = sharer.poll_timeout();
    assert!(late > now && sharer.handle(sharer::Input::Timeout, now).is_ok());
    assert!(matches!(sharer.handle(sharer::Input::Timeout, late), Err(Error::NoHello)));
    let mut receiver = Receiver::new(key(1), ephemeral(1), now);
    let late = receiver.poll_timeout();
    assert!(late > now && receiver.handle(receiver::Input::Timeout, now).is_ok());
    assert!(matches!(receiver.handle(receiver::Input::Timeout, late), Err(Error::Silent)));
}

/// Ten thousand adverts in a second, for a minute.
#[test]
fn a_storm_does_not_fill_the_line() {
    let mut pair = Pair::paired();
    pair.want(true);
    pair.here(sharer::Input::Scanning);
    let (mut bytes, mut frames) = (0, 0);
    for tick in 0..600_000_u32 {
        let now = pair.now + Duration::from_micros(100) * tick;
        let input = sharer::Input::Sighting(&sighting(tick.to_le_bytes()[0]));
        pair.sharer.handle(input, now).unwrap();
        while let Some(sent) = pair.sharer.poll_sighting().unwrap() {
            (bytes, frames) = (bytes + sent.len(), frames + 1);
        }
    }
    assert!((14_900..15_200).contains(&frames), "{frames} frames");
    assert!(bytes / frames <= 81, "{} bytes each", bytes / frames);
}

#[test]
fn what_is_longer_than_an_advert_is_not_passed_on() {
    let mut pair = Pair::paired();
    pair.want(true);
    pair.here(sharer::Input::Scanning);
    let long = Sighting { service_data: vec![0; MAX_SERVICE_DATA + 1], ..sighting(1) };
    pair.here(sharer::Input::Sighting(&long));
    assert_eq!(pair.reports.len(), 1);
    let longest = Sighting { service_data: vec![0; MAX_SERVICE_DATA], ..sighting(1) };
    pair.here(sharer::Input::Sighting(&longest));
    assert_eq!(pair.reports.last(), Some(&receiver::Output::Report(Report::Heard(longest))));
}

#[test]
fn debug_shows_no_key_and_no_advert() {
    let mut pair = Pair::paired();
    pair.want(true);
    pair.here(sharer::Input::Scanning);
    let heard = Sighting { service_data: vec![0xab; 20], ..sighting(1) };
    pair.sharer.handle(sharer::Input::Sighting(&heard), pair.now).unwrap();
    let report = Report::Heard(heard);
    let shown = format!("{:?} {:?} {report:?}", pair.sharer, pair.receiver);
    assert!(!shown.contains("171, 171") && !shown.contains("7, 7, 7"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a stranger sends, both end in order or wait, and say nothing that they should not.
    #[test]
    fn strange_bytes_open_nothing(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
        with_hello: bool,
    ) {
        let mut pair = Pair::new(key(7), vec![key(7)]);
        pair.receiver.handle(receiver::Input::Wanted(true), pair.now).unwrap();
        if with_hello {
            let Some(receiver::Output::Write(hello)) = pair.receiver.poll_output() else { panic!() };
            pair.sharer.handle(sharer::Input::Bytes(&hello), pair.now).unwrap();
        }
        for chunk in &chunks {
            let _ended_or_not = pair.sharer.handle(sharer::Input::Bytes(chunk), pair.now);
            let _ended_or_not = pair.receiver.handle(receiver::Input::Bytes(chunk), pair.now);
        }
        while let Some(output) = pair.sharer.poll_output() {
            prop_assert!(matches!(output, sharer::Output::Write(_)), "{output:?}");
        }
        while let Some(output) = pair.receiver.poll_output() {
            prop_assert!(matches!(output, receiver::Output::Write(_)), "{output:?}");
        }
    }

    /// Wishes and what the radio does, in any order.
    #[test]
    fn no_order_of_events_is_too_strange(asks in prop::collection::vec(0_u8..5, 0..60)) {
        let mut pair = Pair::paired();
        for ask in asks {
            match ask {
                0 => pair.want(true),
                1 => pair.want(false),
                2 => pair.here(sharer::Input::Scanning),
                3 => pair.here(sharer::Input::Failed(Trouble::Other)),
                _ => pair.here(sharer::Input::Sighting(&sighting(1))),
            }
        }
        let scans = pair.told.iter().filter(|told| matches!(told, sharer::Output::Scan)).count();
        let stops = pair.told.iter().filter(|told| matches!(told, sharer::Output::StopScan)).count();
        prop_assert!(stops <= scans);
    }
}
