//! The passkey store with 10,000 passkeys beside its floor: the bare database with the same rows,
//! opened without checks. `docs/benchmarks.md` explains and reports.
//!
//! Prints medians itself: opening a store of this size needs no thousands of rounds.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, prints, and reads the clock"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use cabled::authenticator::passkey::{Backup, CredProtect, Origin, PrfSeeds};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{CredentialId, Passkey, PasskeyStore, Pin, Store, Timestamp};
use cabled::ctap::{RpEntity, UserEntity};
use cabled::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use redb::{Database, ReadableDatabase, TableDefinition};

const PASSKEYS: usize = 10_000;
/// Two passkeys a site.
const SITES: usize = PASSKEYS / 2;
const LOOKUPS: usize = 2_000;
const OPENS: usize = 21;
/// Argon2id is slow on purpose and not what is measured: next to nothing of it here.
const WEAK: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_700_000_000);
/// Bytes of a sealed record as this bench makes them, for the floor.
const ROW: usize = 360;
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

fn pin() -> Pin {
    Pin::new("1234".to_owned()).unwrap()
}

fn site(number: usize) -> String {
    format!("site-{:05}.example", number % SITES)
}

fn passkey(number: usize, rng: &mut ChaCha20Rng) -> Passkey {
    Passkey {
        id: CredentialId::random(rng),
        rp: RpEntity { id: site(number), name: Some("Example Corporation".to_owned()) },
        user: UserEntity {
            id: number.to_be_bytes().to_vec(),
            name: Some(format!("user-{number}@example.org")),
            display_name: Some(format!("User {number}")),
        },
        private_key: Secret::random(rng),
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: PrfSeeds { verified: Secret::random(rng), unverified: Secret::random(rng) },
        cred_blob: None,
        large_blob: None,
        large_blob_key: None,
        backup: Backup::ELIGIBLE,
        origin: Origin::Made,
        label: None,
        created_at: NOW,
        delivered_at: Some(NOW),
        last_used_at: None,
        replaces: Vec::new(),
    }
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let result = work();
    (begin.elapsed(), result)
}

fn fill(dir: &Path, rng: &mut ChaCha20Rng) -> Duration {
    let store = Store::create_with_cost(dir, &pin(), WEAK, rng).unwrap();
    let (time, ()) = timed(|| {
        for number in 0..PASSKEYS {
            store.save(&passkey(number, rng), rng).unwrap();
        }
    });
    time / u32::try_from(PASSKEYS).unwrap()
}

/// The same number of rows in one plain table, keyed by 32 bytes, each sealed with a kept key.
fn fill_floor(file: &Path, cipher: &Aes256Gcm, rng: &mut ChaCha20Rng) -> Vec<[u8; 32]> {
    let database = Database::create(file).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut keys = Vec::new();
    let mut table = transaction.open_table(ROWS).unwrap();
    for _ in 0..PASSKEYS {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let sealed = cipher.encrypt(&Nonce::default(), &[0; ROW][..]).unwrap();
        table.insert(&key[..], &sealed[..]).unwrap();
        keys.push(key);
    }
    drop(table);
    transaction.commit().unwrap();
    keys
}

fn lookups(store: &Store, rng: &mut ChaCha20Rng) -> Vec<Duration> {
    let mut look = || {
        let rp_id = site(rng.next_u32() as usize);
        let (time, found) = timed(|| store.find_by_rp(&rp_id).unwrap());
        assert_eq!(found.len(), PASSKEYS / SITES);
        time
    };
    (0..LOOKUPS).map(|_| look()).collect()
}

fn floor_lookups(file: &Path, cipher: &Aes256Gcm, keys: &[[u8; 32]]) -> Vec<Duration> {
    let database = Database::open(file).unwrap();
    let look = |pair: &[[u8; 32]]| {
        let (time, bytes) = timed(|| {
            let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
            let open = |key: &[u8; 32]| {
                let sealed = table.get(&key[..]).unwrap().unwrap();
                cipher.decrypt(&Nonce::default(), sealed.value()).unwrap().len()
            };
            pair.iter().map(open).sum::<usize>()
        });
        assert_eq!(bytes, 2 * ROW);
        time
    };
    keys.chunks_exact(PASSKEYS / SITES).take(LOOKUPS).map(look).collect()
}

fn report(what: &str, times: Vec<Duration>, floor: Option<Duration>) -> Duration {
    let (median, most) = median(times);
    let ratio = floor.map(|floor| median.as_secs_f64() / floor.as_secs_f64());
    let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2} times the floor"));
    println!("{what:52} {median:>10.1?}  at most {most:>10.1?}  {ratio}");
    median
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, plain) = (dir.path().join("store"), dir.path().join("plain.redb"));
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from([7; 32]));
    let save = fill(&folder, &mut rng);
    let keys = fill_floor(&plain, &cipher, &mut rng);
    let size = fs::metadata(folder.join("passkeys.redb")).unwrap().len();
    println!("{PASSKEYS} passkeys at {SITES} sites, {size} bytes; saving one took {save:.1?}");

    let floor: Vec<_> =
        (0..OPENS).map(|_| timed(|| black_box(Database::open(&plain).unwrap())).0).collect();
    let floor = report("floor: the bare database, opened without checks", floor, None);
    let checked = || {
        let mut builder = Database::builder();
        let builder = builder.set_check_integrity_on_open(true);
        timed(|| black_box(builder.open(&plain).unwrap())).0
    };
    let verified = (0..OPENS).map(|_| checked()).collect();
    report("floor: the same with all its checksums", verified, Some(floor));
    let mut start = || {
        let (time, store) =
            timed(|| Store::open(&folder).unwrap().unlock(&pin(), NOW, &mut rng).unwrap().0);
        drop(store);
        time
    };
    let starts = (0..OPENS).map(|_| start()).collect();
    report("start: open and unlock, without Argon2id", starts, Some(floor));
    let store = Store::open(&folder).unwrap().unlock(&pin(), NOW, &mut rng).unwrap().0;
    let key = store.add_unlock_key("bench", NOW, &mut rng).unwrap();
    drop(store);
    let mut start = || {
        let (time, store) =
            timed(|| Store::open(&folder).unwrap().unlock_with("bench", &key, &mut rng).unwrap());
        drop(store);
        time
    };
    let starts = (0..OPENS).map(|_| start()).collect();
    report("start: with an unlock key, without the PIN", starts, Some(floor));

    let floor = floor_lookups(&plain, &cipher, &keys);
    let floor = report("floor: two rows fetched and opened", floor, None);
    let store = Store::open(&folder).unwrap().unlock(&pin(), NOW, &mut rng).unwrap().0;
    let found = lookups(&store, &mut rng);
    report("lookup by rp id, two passkeys each", found, Some(floor));
    let (check, checkup) = timed(|| store.check().unwrap());
    assert_eq!((checkup.passkeys, checkup.findings.len()), (PASSKEYS, 0));
    report("phone store check", vec![check], None);
}
