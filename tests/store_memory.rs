//! Keys that the store had in its hands are not in the program's memory any more when it is dropped.
//!
//! What is searched is all writable memory but stacks: a value that is moved may leave a copy on
//! the stack, as `docs/passkey-store.md` says. Alone in its program, so that no other test's keys
//! are there. The needles are kept in disguise, or the search would find itself.
#![cfg(all(feature = "authenticator", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use cabled::authenticator::passkey::{Backup, CredProtect, Origin, PrfSeeds};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{CredentialId, Passkey, PasskeyStore, Pin, Store, Timestamp};
use cabled::ctap::{RpEntity, UserEntity};
use cabled::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use zeroize::Zeroizing;

const WEAK: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_700_000_000);
const PASSKEYS: usize = 64;
const MASK: u8 = 0x5a;
const PAGE: usize = 4096;

/// Thirty-two bytes that no text or number is, the same for the same seed, made on the spot.
fn secret(seed: u8) -> Secret<32> {
    Secret::new(std::array::from_fn(|i| mix(seed, i)))
}

fn disguised(seed: u8) -> [u8; 32] {
    std::array::from_fn(|i| mix(seed, i) ^ MASK)
}

fn mix(seed: u8, i: usize) -> u8 {
    (u32::from(seed).wrapping_mul(2_654_435_761) ^ (i as u32 + 7).wrapping_mul(40_503))
        .wrapping_mul(2_246_822_519)
        .to_be_bytes()[0]
}

fn passkey(number: u8, rng: &mut ChaCha20Rng) -> Passkey {
    Passkey {
        id: CredentialId::random(rng),
        rp: RpEntity { id: "a.example".to_owned(), name: None },
        user: UserEntity { id: vec![number], name: None, display_name: None },
        private_key: secret(0),
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: PrfSeeds { verified: secret(1), unverified: secret(2) },
        cred_blob: Some(Zeroizing::new(secret(3).expose().to_vec())),
        large_blob: Some(Zeroizing::new(secret(4).expose().to_vec())),
        large_blob_key: Some(secret(5)),
        backup: Backup::ELIGIBLE,
        origin: Origin::Made,
        label: None,
        created_at: Timestamp(u64::from(number) * 7919 % 64),
        delivered_at: None,
        last_used_at: None,
        replaces: Vec::new(),
    }
}

/// How often each secret is in memory now.
fn found() -> Vec<usize> {
    let mut counts = vec![0; 6];
    let needles: Vec<_> = (0..6).map(disguised).collect();
    let memory = File::open("/proc/self/mem").unwrap();
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") || line.ends_with("[stack]") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = Zeroizing::new(vec![0; (address(to) - address(from)) as usize]);
        // A mapping may be gone meanwhile, or be a guard that cannot be read.
        if memory.read_exact_at(&mut bytes, address(from)).is_err() {
            continue;
        }
        for begin in (0..bytes.len()).step_by(PAGE) {
            let page = &bytes[begin..bytes.len().min(begin + PAGE)];
            if page == &[0; PAGE][..page.len()] {
                continue;
            }
            // With what a secret that begins here has on the next page.
            let mut page =
                Zeroizing::new(bytes[begin..bytes.len().min(begin + PAGE + 31)].to_vec());
            page.iter_mut().for_each(|byte| *byte ^= MASK);
            for (count, needle) in counts.iter_mut().zip(&needles) {
                *count += page.windows(32).filter(|window| window == needle).count();
            }
        }
    }
    counts
}

fn use_the_store(dir: &Path, held: impl FnOnce()) {
    let pin = || Pin::new("1234".to_owned()).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let store = Store::create_with_cost(dir, &pin(), WEAK, &mut rng).unwrap();
    for number in 0..PASSKEYS {
        store.save(&passkey(number as u8, &mut rng), &mut rng).unwrap();
    }
    drop(store);
    let store = Store::open(dir).unwrap().unlock(&pin(), NOW, &mut rng).unwrap().0;
    assert_eq!(store.check().unwrap().findings, []);
    assert_eq!(store.find_by_rp("a.example").unwrap().len(), PASSKEYS);
    let all = store.list().unwrap();
    let id = &all[rng.next_u32() as usize % PASSKEYS].id;
    store.rename(id, Some("work".to_owned()), &mut rng).unwrap();
    store.mark_used(id, NOW, &mut rng).unwrap();
    store.mark_delivered(id, NOW, &mut rng).unwrap();
    store.delete(id, &mut rng).unwrap();
    held();
}

#[test]
fn no_key_stays_on_the_heap() {
    let dir = tempfile::tempdir().unwrap();
    // The search runs on another thread than the store, whose stack is given back before the
    // second search.
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let path = dir.path().to_owned();
    let worker = thread::Builder::new().stack_size(64 << 20);
    let worker = worker.spawn(move || {
        use_the_store(&path, || {
            ask.send(()).unwrap();
            answered.recv().unwrap()
        });
    });
    let worker = worker.unwrap();
    asked.recv().unwrap();
    let held = found();
    answer.send(()).unwrap();
    worker.join().unwrap();
    assert!(held.iter().all(|count| *count >= PASSKEYS), "the search finds what is held: {held:?}");
    assert_eq!(found(), [0; 6], "of what was held, {held:?}");
}
