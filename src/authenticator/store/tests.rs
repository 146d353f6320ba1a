use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use zeroize::Zeroizing;

use super::*;
use crate::authenticator::passkey::{
    Backup, CredProtect, CredentialId, Origin, Passkey, PasskeyStore, PrfSeeds, State,
};
use crate::ctap::{RpEntity, UserEntity};

const WEAK: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_700_000_000);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

fn passkey(rng: &mut ChaCha20Rng, rp_id: &str, user: &str, created_at: u64) -> Passkey {
    Passkey {
        id: CredentialId::random(rng),
        rp: RpEntity { id: rp_id.to_owned(), name: Some("Example Corporation".to_owned()) },
        user: UserEntity {
            id: user.as_bytes().to_vec(),
            name: Some(format!("{user}@example.org")),
            display_name: None,
        },
        private_key: Secret::random(rng),
        discoverable: true,
        cred_protect: CredProtect::Required,
        prf_seeds: PrfSeeds { verified: Secret::random(rng), unverified: Secret::random(rng) },
        cred_blob: None,
        large_blob: None,
        large_blob_key: None,
        backup: Backup::NEVER,
        origin: Origin::Made,
        label: None,
        created_at: Timestamp(created_at),
        delivered_at: None,
        last_used_at: None,
        replaces: Vec::new(),
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    rng: ChaCha20Rng,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = rng();
        let store = Store::create_with_cost(dir.path(), &pin("1234"), WEAK, &mut rng).unwrap();
        Self { dir, rng, store }
    }

    fn add(&mut self, rp_id: &str, user: &str, created_at: u64) -> Passkey {
        let passkey = passkey(&mut self.rng, rp_id, user, created_at);
        self.store.save(&passkey, &mut self.rng).unwrap();
        passkey
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(file::FILE_NAME)
    }

    fn close(self) -> tempfile::TempDir {
        self.dir
    }
}

fn ids(passkeys: &[Passkey]) -> Vec<CredentialId> {
    passkeys.iter().map(|p| p.id.clone()).collect()
}

#[test]
fn saves_finds_and_reopens() {
    let mut f = Fixture::new();
    let b = f.add("b.example", "bob", 5);
    let a2 = f.add("a.example", "ann", 9);
    let a1 = f.add("a.example", "amy", 3);
    let dir = f.close();
    let (store, _) =
        Store::open(dir.path()).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    assert_eq!(store.list().unwrap(), [a1.clone(), a2.clone(), b.clone()]);
    assert_eq!(store.find_by_rp("a.example").unwrap(), [a1, a2]);
    assert_eq!(store.find_by_id(&b.id).unwrap(), Some(b));
    assert_eq!(store.find_by_rp("A.example").unwrap(), []);
    assert_eq!(store.find_by_rp("").unwrap(), []);
    let unknown = CredentialId::from_bytes(&[1]).unwrap();
    assert_eq!(store.find_by_id(&unknown).unwrap(), None);
}

#[test]
fn states_and_replacement() {
    let mut f = Fixture::new();
    let old = f.add("a.example", "ann", 1);
    let mut new = passkey(&mut f.rng, "a.example", "ann", 2);
    new.replaces = vec![old.id.clone()];
    f.store.save(&new, &mut f.rng).unwrap();
    assert_eq!(f.store.possibly_orphaned().unwrap().len(), 2);

    f.store.mark_used(&new.id, Timestamp(7), &mut f.rng).unwrap();
    let found = f.store.find_by_id(&new.id).unwrap().unwrap();
    assert_eq!((found.state(), found.replaces.len()), (State::Used, 1));
    assert!(f.store.find_by_id(&old.id).unwrap().is_some());

    f.store.mark_delivered(&new.id, Timestamp(8), &mut f.rng).unwrap();
    f.store.mark_delivered(&new.id, Timestamp(9), &mut f.rng).unwrap();
    let found = f.store.list().unwrap();
    assert_eq!(ids(&found), [new.id.clone()]);
    assert_eq!(found[0].delivered_at, Some(Timestamp(8)));
    assert_eq!(found[0].replaces, []);
    assert_eq!(f.store.find_by_rp("a.example").unwrap().len(), 1);
}

#[test]
fn rename_bounds_and_delete() {
    let mut f = Fixture::new();
    let id = f.add("a.example", "ann", 1).id;
    f.store.rename(&id, Some("work".to_owned()), &mut f.rng).unwrap();
    assert_eq!(f.store.list().unwrap()[0].label.as_deref(), Some("work"));
    let too_long = Some("x".repeat(MAX_LABEL + 1));
    assert!(matches!(f.store.rename(&id, too_long, &mut f.rng), Err(Error::TooLarge)));
    let mut huge = passkey(&mut f.rng, "a.example", "ann", 1);
    huge.rp.name = Some("x".repeat(1 << 16));
    assert!(matches!(f.store.save(&huge, &mut f.rng), Err(Error::TooLarge)));
    assert_eq!(f.store.list().unwrap().len(), 1);
    f.store.delete(&id, &mut f.rng).unwrap();
    assert!(matches!(f.store.delete(&id, &mut f.rng), Err(Error::NoSuchPasskey)));
    assert!(matches!(f.store.mark_used(&id, NOW, &mut f.rng), Err(Error::NoSuchPasskey)));
    assert_eq!(f.store.find_by_rp("a.example").unwrap(), []);
}

#[test]
fn pruning_spares_what_is_no_orphan_any_more() {
    let mut f = Fixture::new();
    let [orphan, taken, used] = ["ann", "bob", "cat"].map(|user| f.add("a.example", user, 1).id);
    f.store.mark_delivered(&taken, NOW, &mut f.rng).unwrap();
    f.store.mark_delivered(&used, NOW, &mut f.rng).unwrap();
    f.store.mark_used(&used, NOW, &mut f.rng).unwrap();
    let gone = CredentialId::from_bytes(&[1]).unwrap();
    let all = [gone, orphan.clone(), taken.clone(), used.clone()];
    assert_eq!(f.store.prune(&all, false, &mut f.rng).unwrap(), [orphan]);
    assert_eq!(ids(&f.store.list().unwrap()).len(), 2);
    assert_eq!(f.store.prune(&all, true, &mut f.rng).unwrap(), [taken]);
    assert_eq!(ids(&f.store.list().unwrap()), [used]);
    assert_eq!(f.store.check().unwrap().findings, []);
}

#[test]
fn an_unlock_key_opens_until_it_is_removed_and_verifies_nobody() {
    let mut f = Fixture::new();
    let kept = f.add("a.example", "ann", 1);
    let locked = f.store.locked();
    assert_eq!(locked.unlock_keys().unwrap(), []);
    let key = f.store.add_unlock_key("one", NOW, &mut f.rng).unwrap();
    let other = f.store.add_unlock_key("other", Timestamp(5), &mut f.rng).unwrap();
    let known = |name: &str, at| UnlockKey { name: name.to_owned(), created_at: at };
    assert_eq!(locked.unlock_keys().unwrap(), [known("one", NOW), known("other", Timestamp(5))]);
    // It outlives another PIN and the end of the program.
    f.store.change_pin(&pin("1234"), &pin("5678"), NOW, &mut f.rng).unwrap();
    drop(locked);
    let dir = f.close();
    let locked = Store::open(dir.path()).unwrap();
    let store = locked.unlock_with("one", &key, &mut rng()).unwrap();
    assert_eq!(store.list().unwrap(), [kept]);
    for (name, wrong) in [("one", &other), ("other", &key), ("none", &key)] {
        let refused = locked.unlock_with(name, wrong, &mut rng());
        assert!(matches!(refused, Err(Error::NoSuchKey)), "{name}");
    }
    // Opening with keys costs no tries of the PIN and gives none back.
    assert!(matches!(store.verify_pin(&pin("nope"), NOW), Err(Error::WrongPin { tries_left: 7 })));
    locked.unlock_with("one", &key, &mut rng()).unwrap();
    assert!(matches!(store.verify_pin(&pin("nope"), NOW), Err(Error::WrongPin { tries_left: 6 })));
    assert!(store.remove_unlock_key("one").unwrap() && !store.remove_unlock_key("one").unwrap());
    assert!(matches!(locked.unlock_with("one", &key, &mut rng()), Err(Error::NoSuchKey)));
    assert_eq!(locked.unlock_keys().unwrap(), [known("other", Timestamp(5))]);
    // One of the same name takes its place.
    let newer = store.add_unlock_key("other", NOW, &mut rng()).unwrap();
    assert!(matches!(locked.unlock_with("other", &other, &mut rng()), Err(Error::NoSuchKey)));
    locked.unlock_with("other", &newer, &mut rng()).unwrap();
    let long = "x".repeat(65);
    assert!(matches!(store.add_unlock_key(&long, NOW, &mut rng()), Err(Error::TooLarge)));
}

/// An index entry of the relying party and a record that does not open.
fn put_garbage(store: &Store, rp_id: &str) {
    let key = [7; 32];
    let index = [store.keys.rp_key(rp_id), key].concat();
    let put = |tables: &mut Tables<'_>| {
        tables.by_rp.insert(&index[..], &[][..]).map_err(database)?;
        tables.records.insert(&key[..], &[0; 99][..]).map(drop).map_err(database)
    };
    store.db.write(put).unwrap();
}

#[test]
fn finding_by_rp_opens_no_other_record() {
    let mut f = Fixture::new();
    let a = f.add("a.example", "ann", 1);
    put_garbage(&f.store, "b.example");
    assert_eq!(f.store.find_by_rp("a.example").unwrap(), [a]);
    assert!(matches!(f.store.list(), Err(Error::Corrupt)));
    assert!(matches!(f.store.find_by_rp("b.example"), Err(Error::Corrupt)));
}

#[test]
fn create_and_open_say_what_is_wrong() {
    let f = Fixture::new();
    let again = Store::create_with_cost(f.dir.path(), &pin("1234"), WEAK, &mut rng());
    assert!(matches!(again, Err(Error::AlreadyExists)));
    assert!(matches!(Store::open(f.dir.path()), Err(Error::InUse)));
    assert!(matches!(Store::open(&f.dir.path().join("no")), Err(Error::NotFound)));
    fs::create_dir(f.dir.path().join("empty")).unwrap();
    assert!(matches!(Store::open(&f.dir.path().join("empty")), Err(Error::NotFound)));
    assert_eq!(fs::read_dir(f.dir.path()).unwrap().count(), 2, "no unfinished file is left");
}

#[test]
fn permissions_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    drop(Store::create_with_cost(&path, &pin("1234"), WEAK, &mut rng()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = path.join(file::FILE_NAME);
    assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(&path).unwrap());
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn newer_schema_is_refused() {
    let f = Fixture::new();
    let newer = (SCHEMA + 1).to_be_bytes();
    f.store.db.write(|tables| tables.put_meta(file::META_SCHEMA, &newer)).unwrap();
    let dir = f.close();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found, supported: SCHEMA } if found > SCHEMA));
}

#[test]
fn wrong_pins_are_counted_across_reopening() {
    let dir = Fixture::new().close();
    for left in (0..8).rev() {
        let error =
            Store::open(dir.path()).unwrap().unlock(&pin("4321"), NOW, &mut rng()).unwrap_err();
        assert!(matches!(error, Error::WrongPin { tries_left } if tries_left == left), "{error}");
    }
    let locked = Store::open(dir.path()).unwrap();
    let until = Timestamp(NOW.0 + 30);
    let right = locked.unlock(&pin("1234"), NOW, &mut rng());
    assert!(matches!(right, Err(Error::LockedOut { until: u }) if u == until));
    assert_eq!(locked.locked_out_until(NOW).unwrap(), Some(until));
    let late = locked.unlock(&pin("4321"), until, &mut rng()).unwrap_err();
    assert!(matches!(late, Error::WrongPin { tries_left: 0 }));
    assert!(matches!(locked.unlock(&pin("1234"), until, &mut rng()), Err(Error::LockedOut { .. })));
    let (store, _) = locked.unlock(&pin("1234"), Timestamp(until.0 + 60), &mut rng()).unwrap();
    assert_eq!(store.list().unwrap(), []);
    let again = store.verify_pin(&pin("4321"), NOW).unwrap_err();
    assert!(matches!(again, Error::WrongPin { tries_left: 7 }), "a right PIN resets the count");
}

#[test]
fn the_pin_changes_and_the_passkeys_stay() {
    let mut f = Fixture::new();
    let passkey = f.add("a.example", "ann", 1);
    let wrong = f.store.change_pin(&pin("4321"), &pin("0000"), NOW, &mut f.rng);
    assert!(matches!(wrong, Err(Error::WrongPin { .. })));
    f.store.change_pin(&pin("1234"), &pin("98765"), NOW, &mut f.rng).unwrap();
    let dir = f.close();
    let locked = Store::open(dir.path()).unwrap();
    assert!(matches!(locked.unlock(&pin("1234"), NOW, &mut rng()), Err(Error::WrongPin { .. })));
    let (store, _) = locked.unlock(&pin("98765"), NOW, &mut rng()).unwrap();
    assert_eq!(store.list().unwrap(), [passkey]);
}

#[test]
fn nothing_is_in_clear_in_the_file_or_in_debug() {
    let mut f = Fixture::new();
    let passkey = f.add("telling.example", "ann-the-user", 1);
    let file = fs::read(f.file()).unwrap();
    let rp_hash = <sha2::Sha256 as sha2::Digest>::digest("telling.example");
    let needles: [&[u8]; 9] = [
        b"telling.example",
        b"ann-the-user",
        b"Example Corporation",
        b"1234",
        &rp_hash,
        passkey.id.as_bytes(),
        passkey.private_key.expose(),
        passkey.prf_seeds.verified.expose(),
        passkey.prf_seeds.unverified.expose(),
    ];
    for needle in needles {
        assert!(!file.windows(needle.len()).any(|window| window == needle));
    }
    let debug = format!("{passkey:?} {:?} {:?}", f.store, pin("1234"));
    assert!(!debug.contains("telling") && !debug.contains("ann") && !debug.contains("1234"));
}

#[test]
fn records_do_not_open_in_another_place() {
    let mut f = Fixture::new();
    let (a, b) = (f.add("a.example", "ann", 1), f.add("a.example", "bob", 2));
    let (key_a, key_b) = (f.store.keys.record_key(&a.id), f.store.keys.record_key(&b.id));
    let swap = |tables: &mut Tables<'_>| {
        let sealed = tables.records.get(&key_a[..]).unwrap().unwrap().value().to_vec();
        tables.records.insert(&key_b[..], &sealed[..]).map(drop).map_err(database)
    };
    f.store.db.write(swap).unwrap();
    assert!(matches!(f.store.find_by_id(&b.id), Err(Error::Corrupt)));
    assert_eq!(f.store.find_by_id(&a.id).unwrap(), Some(a));
}

/// Opens, unlocks and lists an altered file; an error is fine, a panic or a lie is not.
fn probe(dir: &Path, expected: &[Passkey]) -> Result<(), Error> {
    let (store, _) = Store::open(dir)?.unlock(&pin("1234"), NOW, &mut rng())?;
    assert_eq!(store.list()?, expected);
    for passkey in expected {
        assert!(store.find_by_rp(&passkey.rp.id)?.contains(passkey));
    }
    Ok(())
}

#[test]
fn a_damaged_file_is_an_error() {
    let mut f = Fixture::new();
    let mut expected = vec![f.add("a.example", "ann", 1), f.add("b.example", "bob", 2)];
    expected.push(f.add("c.example", "eve", 3));
    let path = f.file();
    let mut rng = f.rng.clone();
    let dir = f.close();
    let sound = fs::read(&path).unwrap();
    probe(dir.path(), &expected).unwrap();
    let mut refused = 0;
    for round in 0..60 {
        let mut bytes = sound.clone();
        match round {
            0 => bytes.clear(),
            1..20 => bytes.truncate(rng.next_u32() as usize % sound.len()),
            // Most of a small database is empty space: aim at the bytes that are used.
            _ => {
                let used: Vec<_> = (0..sound.len()).filter(|i| sound[*i] != 0).collect();
                let at = used[rng.next_u32() as usize % used.len()];
                bytes[at] ^= 1 << (round % 8);
            }
        }
        fs::write(&path, &bytes).unwrap();
        refused += u32::from(probe(dir.path(), &expected).is_err());
    }
    assert!(refused >= 20, "truncated files at least are refused, {refused} were");
}

#[test]
#[ignore = "the child of survives_kill_9"]
fn kill_9_child() {
    let dir = PathBuf::from(std::env::var_os("CABLED_KILL_DIR").unwrap());
    let (store, _) = Store::open(&dir).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    let mut rng = ChaCha20Rng::from_entropy();
    loop {
        let passkey = passkey(&mut rng, "a.example", "ann", 1);
        store.save(&passkey, &mut rng).unwrap();
        let id: String = passkey.id.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nsaved {id}").unwrap();
        out.flush().unwrap();
    }
}

/// Lets a child save until it acknowledged `count` passkeys, kills it, and gives what it
/// acknowledged, also after that.
fn killed_after(dir: &Path, count: usize) -> Vec<CredentialId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("authenticator::store::tests::kill_9_child")
        .env("CABLED_KILL_DIR", dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut saved = Vec::new();
    for line in lines {
        let Some(id) = line.strip_prefix("saved ").filter(|id| id.len() == 64) else { continue };
        let byte = |i| u8::from_str_radix(&id[i..i + 2], 16).unwrap();
        let bytes: Vec<_> = (0..64).step_by(2).map(byte).collect();
        saved.push(CredentialId::from_bytes(&bytes).unwrap());
        if saved.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    saved
}

#[test]
fn survives_kill_9() {
    let dir = Fixture::new().close();
    let mut saved = Vec::new();
    for round in 0..20 {
        let more = killed_after(dir.path(), 1 + round * 7 % 5);
        assert!(!more.is_empty());
        saved.extend(more);
        let (store, _) =
            Store::open(dir.path()).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
        let present = ids(&store.list().unwrap());
        assert!(saved.iter().all(|id| present.contains(id)), "an acknowledged passkey is lost");
        assert_eq!(store.find_by_rp("a.example").unwrap().len(), present.len());
    }
}

#[test]
fn failures_of_the_file_system_are_told_apart() {
    use std::io::{Error as Io, ErrorKind};
    let of = |kind| database(redb::StorageError::Io(Io::from(kind)));
    assert!(matches!(of(ErrorKind::StorageFull), Error::DiskFull(_)));
    assert!(matches!(of(ErrorKind::QuotaExceeded), Error::DiskFull(_)));
    assert!(matches!(of(ErrorKind::PermissionDenied), Error::Permission(_)));
    assert!(matches!(of(ErrorKind::ReadOnlyFilesystem), Error::Permission(_)));
    assert!(matches!(of(ErrorKind::InvalidData), Error::Corrupt));
    assert!(matches!(of(ErrorKind::TimedOut), Error::Io(_)));
    assert!(matches!(database(redb::StorageError::PreviousIo), Error::NeedsReopen));
}

/// What no seal protects: an index entry that leads nowhere would hide a passkey.
#[test]
fn an_altered_index_is_noticed_on_opening() {
    let mut f = Fixture::new();
    f.add("a.example", "ann", 1);
    let entry = f.store.keys.rp_key("a.example");
    let path = f.file();
    let dir = f.close();
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<_> = (0..bytes.len() - 32).filter(|i| bytes[*i..i + 32] == entry).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(Error::Corrupt)));
}

#[test]
fn a_try_is_counted_before_the_pin_is_looked_at() {
    let f = Fixture::new();
    f.store.db.write(|tables| tables.put_meta(META_WRAP, b"no wrap")).unwrap();
    assert!(matches!(f.store.verify_pin(&pin("1234"), NOW), Err(Error::Corrupt)));
    let attempts = Attempts::decode(&f.store.db.meta(META_ATTEMPTS).unwrap()).unwrap();
    assert_eq!(attempts, Attempts::default().counted(NOW));
}

/// A copy of the store that the last release of schema 1 wrote.
fn schema_1_store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-1.redb");
    fs::copy(fixture, dir.path().join(file::FILE_NAME)).unwrap();
    dir
}

fn copies(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut copies: Vec<_> = paths.filter(|p| !p.ends_with(file::FILE_NAME)).collect();
    copies.sort();
    copies
}

fn by_id(mut passkeys: Vec<Passkey>) -> Vec<Passkey> {
    passkeys.sort_by(|a, b| a.id.cmp(&b.id));
    passkeys
}

#[test]
fn a_store_of_schema_1_is_migrated_whole_and_a_copy_is_kept() {
    let dir = schema_1_store();
    let locked = Store::open(dir.path()).unwrap();
    assert_eq!(locked.db.schema().unwrap(), 1);
    assert!(matches!(locked.unlock(&pin("4321"), NOW, &mut rng()), Err(Error::WrongPin { .. })));
    assert_eq!(copies(dir.path()), [] as [PathBuf; 0], "a wrong PIN changes nothing");
    let (store, _) = locked.unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    assert_eq!(store.db.schema().unwrap(), SCHEMA);
    let expected = by_id(schema_1_passkeys());
    assert_eq!(by_id(store.list().unwrap()), expected);
    for passkey in &expected {
        assert!(store.find_by_rp(&passkey.rp.id).unwrap().contains(passkey));
    }
    drop((store, locked));

    let copies = copies(dir.path());
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    assert!(copy.ends_with("passkeys.redb.schema-1.backup-1"), "{copy:?}");
    assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    let other = tempfile::tempdir().unwrap();
    fs::copy(copy, other.path().join(file::FILE_NAME)).unwrap();
    let locked = Store::open(other.path()).unwrap();
    assert_eq!(locked.db.schema().unwrap(), 1, "the copy is what it was");
    let (store, _) = locked.unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    assert_eq!(by_id(store.list().unwrap()), expected);
}

#[test]
fn an_interrupted_migration_starts_again() {
    let dir = schema_1_store();
    let locked = Store::open(dir.path()).unwrap();
    let (data_key, _) = unwrap_key(&locked.db, &pin("1234"), NOW).unwrap();
    let keys = Keys::derive(&data_key);
    // Half of the records are sealed anew when it stops: the transaction takes that back.
    let stopped = locked.db.write(|tables| {
        migrate::reseal(tables, &keys, &mut rng())?;
        Err::<(), _>(Error::NeedsReopen)
    });
    assert!(matches!(stopped, Err(Error::NeedsReopen)));
    locked.db.copy(&locked.db.beside("schema-1.backup-1")).unwrap();
    assert_eq!(locked.db.schema().unwrap(), 1);
    drop(locked);
    let (store, _) =
        Store::open(dir.path()).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    assert_eq!(by_id(store.list().unwrap()), by_id(schema_1_passkeys()));
    assert_eq!(copies(dir.path()).len(), 2, "no copy is overwritten");
    drop(store);
    let (store, _) =
        Store::open(dir.path()).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    assert_eq!(copies(dir.path()).len(), 2, "nothing is left to migrate");
    assert_eq!(store.list().unwrap().len(), 5);
}

#[test]
fn what_schema_2_adds_comes_back() {
    let mut f = Fixture::new();
    let mut full = passkey(&mut f.rng, "a.example", "ann", 1);
    full.cred_blob = Some(Zeroizing::new(Vec::new()));
    full.large_blob = Some(Zeroizing::new(vec![5; 16 << 10]));
    full.large_blob_key = Some(Secret::random(&mut f.rng));
    full.backup = Backup::DONE;
    full.origin = Origin::Imported { at: NOW };
    f.store.save(&full, &mut f.rng).unwrap();
    assert_eq!(f.store.find_by_id(&full.id).unwrap(), Some(full));
}

/// What the fixture of schema 1 holds: each member set and unset, ids of other lengths than ours.
fn schema_1_passkeys() -> Vec<Passkey> {
    let mut rng = ChaCha20Rng::seed_from_u64(0x5c4e);
    let mut passkeys = vec![
        passkey(&mut rng, "a.example", "ann", 1_600_000_000),
        passkey(&mut rng, "a.example", "bob", 1_600_000_001),
        passkey(&mut rng, "b.example", "eve", 1_600_000_002),
        passkey(&mut rng, "c.example", "zoë", 1_600_000_003),
        passkey(&mut rng, "d.example", "kim", 1_600_000_004),
    ];
    passkeys[1].replaces = vec![passkeys[0].id.clone()];
    passkeys[2].delivered_at = Some(Timestamp(1_600_000_005));
    passkeys[2].last_used_at = Some(Timestamp(1_600_000_006));
    passkeys[2].label = Some("work".to_owned());
    passkeys[3].discoverable = false;
    passkeys[3].cred_protect = CredProtect::Optional;
    passkeys[3].id = CredentialId::from_bytes(&[7; 1023]).unwrap();
    passkeys[3].user.display_name = Some("Zoë".to_owned());
    passkeys[4].id = CredentialId::from_bytes(&[9]).unwrap();
    passkeys[4].user.name = None;
    passkeys[4].rp.name = None;
    passkeys
}

#[test]
fn deleting_leaves_nobody_waiting_to_replace_it() {
    let mut f = Fixture::new();
    let a = f.add("a.example", "ann", 1);
    let (mut b, mut c) = (a.clone(), a.clone());
    b.id = CredentialId::random(&mut f.rng);
    b.replaces = vec![a.id.clone()];
    c.id = CredentialId::random(&mut f.rng);
    c.replaces = vec![a.id.clone(), b.id.clone()];
    f.store.save(&b, &mut f.rng).unwrap();
    f.store.save(&c, &mut f.rng).unwrap();
    f.store.mark_delivered(&b.id, NOW, &mut f.rng).unwrap();
    assert_eq!(f.store.find_by_id(&c.id).unwrap().unwrap().replaces, [b.id.clone()]);
    f.store.delete(&b.id, &mut f.rng).unwrap();
    assert_eq!(f.store.find_by_id(&c.id).unwrap().unwrap().replaces, []);
    let sound = Checkup { schema: SCHEMA, passkeys: 1, findings: vec![] };
    assert_eq!(f.store.check().unwrap(), sound);
}

#[test]
fn the_checkup_finds_each_kind_of_damage() {
    let mut f = Fixture::new();
    let a = f.add("a.example", "ann", 1);
    let mut b = passkey(&mut f.rng, "b.example", "bob", 1);
    b.replaces = vec![CredentialId::from_bytes(&[1]).unwrap()];
    f.store.save(&b, &mut f.rng).unwrap();
    put_garbage(&f.store, "c.example");
    let entry = f.store.index_key("a.example", &f.store.keys.record_key(&a.id));
    let spoil = |tables: &mut Tables<'_>| {
        tables.by_rp.remove(&entry[..]).map_err(database)?;
        tables.by_rp.insert(&[3; 64][..], &[][..]).map_err(database)?;
        tables.put_meta(META_WRAP, b"no wrap")
    };
    f.store.db.write(spoil).unwrap();
    let checkup = f.store.check().unwrap();
    let expected = [
        Finding::Unreadable,
        Finding::DanglingIndex,
        Finding::NotIndexed(a.id),
        Finding::DanglingReplaces(b.id),
        Finding::Keys,
    ];
    assert_eq!((checkup.passkeys, &checkup.findings[..]), (2, &expected[..]));
}

#[test]
fn a_backup_is_private_whole_and_never_overwrites() {
    let mut f = Fixture::new();
    let a = f.add("a.example", "ann", 1);
    let away = tempfile::tempdir().unwrap();
    let file = away.path().join("copy");
    f.store.backup(&file).unwrap();
    assert!(matches!(f.store.backup(&file), Err(Error::AlreadyExists)));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(away.path()).unwrap().count(), 1, "nothing unfinished is left");
    let before = fs::read(&file).unwrap();
    let b = f.add("b.example", "bob", 2);

    let dir = f.dir.path().to_owned();
    let in_use = Restoration::prepare(&dir, &file);
    assert!(matches!(in_use, Err(Error::InUse)));
    let kept = f.close();
    let restoration = Restoration::prepare(&dir, &file).unwrap();
    let (store, _) = restoration.locked().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    let aside = restoration.finish(&store).unwrap().unwrap();
    drop(store);
    assert!(fs::read(&file).unwrap() == before, "the copy is only read");
    let list = |dir: &Path| {
        let locked = Store::open(dir).unwrap();
        locked.unlock(&pin("1234"), NOW, &mut rng()).unwrap().0.list().unwrap()
    };
    assert_eq!(list(&dir), std::slice::from_ref(&a));
    let other = tempfile::tempdir().unwrap();
    fs::copy(aside, other.path().join(file::FILE_NAME)).unwrap();
    assert_eq!(list(other.path()), [a, b]);
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 2);
}

#[test]
fn restoring_what_is_not_sound_changes_nothing() {
    let mut f = Fixture::new();
    f.add("a.example", "ann", 1);
    let away = tempfile::tempdir().unwrap();
    let (sound, unsound) = (away.path().join("sound"), away.path().join("unsound"));
    f.store.backup(&sound).unwrap();
    put_garbage(&f.store, "a.example");
    f.store.backup(&unsound).unwrap();
    let dir = f.close();
    fs::write(away.path().join("text"), "no store").unwrap();
    for nothing in ["text", "missing"] {
        Restoration::prepare(dir.path(), &away.path().join(nothing)).unwrap_err();
    }
    let unlocked = |restoration: &Restoration| {
        restoration.locked().unlock(&pin("1234"), NOW, &mut rng()).unwrap().0
    };
    let restoration = Restoration::prepare(dir.path(), &unsound).unwrap();
    let store = unlocked(&restoration);
    assert!(matches!(restoration.finish(&store), Err(Error::Corrupt)));
    assert_eq!(copies(dir.path()), [] as [PathBuf; 0]);
    drop(store);
    let (still, _) =
        Store::open(dir.path()).unwrap().unlock(&pin("1234"), NOW, &mut rng()).unwrap();
    let there = Checkup { schema: SCHEMA, passkeys: 1, findings: vec![Finding::Unreadable] };
    assert_eq!(still.check().unwrap(), there);
    drop(still);

    // A damaged store is no reason not to restore one, and is kept too.
    fs::write(dir.path().join(file::FILE_NAME), "damaged").unwrap();
    let restoration = Restoration::prepare(dir.path(), &sound).unwrap();
    let store = unlocked(&restoration);
    let aside = restoration.finish(&store).unwrap().unwrap();
    assert!(fs::read(aside).unwrap() == b"damaged");
}
