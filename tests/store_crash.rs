//! Kills a program that writes to the passkey store, 1,000 times, and looks each time whether all
//! that was acknowledged is there and nothing is there by half.
//!
//! The child says what it is about to do before it does it, and acknowledges it after. So the
//! store has to be what all acknowledged changes make of it, or that and the one change that was
//! under way, and nothing else.
#![cfg(feature = "authenticator")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cabled::authenticator::passkey::{Backup, CredProtect, Origin, PrfSeeds};
use cabled::authenticator::store::KdfCost;
use cabled::authenticator::{CredentialId, Passkey, PasskeyStore, Pin, Store, Timestamp};
use cabled::ctap::{RpEntity, UserEntity};
use cabled::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

const KILLS: usize = 1000;
const WEAK: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
const NOW: Timestamp = Timestamp(1_700_000_000);
/// Passkeys at which the child rather deletes than adds.
const MANY: usize = 12;

/// Which passkeys there are, by the number they were made from.
type Model = BTreeMap<u64, Passkey>;

fn pin() -> Pin {
    Pin::new("1234".to_owned()).unwrap()
}

fn open(dir: &Path) -> Store {
    let mut rng = ChaCha20Rng::from_entropy();
    Store::open(dir).unwrap().unlock(&pin(), NOW, &mut rng).unwrap().0
}

/// The same one for the same number, in the child and here. Every other replaces `replaced`.
fn passkey(number: u64, replaced: Option<&Passkey>) -> Passkey {
    let mut rng = ChaCha20Rng::seed_from_u64(number);
    let rp_id = replaced.map_or(format!("site-{}.example", number % 3), |old| old.rp.id.clone());
    Passkey {
        id: CredentialId::random(&mut rng),
        rp: RpEntity { id: rp_id, name: None },
        user: UserEntity { id: number.to_be_bytes().to_vec(), name: None, display_name: None },
        private_key: Secret::random(&mut rng),
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: PrfSeeds {
            verified: Secret::random(&mut rng),
            unverified: Secret::random(&mut rng),
        },
        cred_blob: None,
        large_blob: None,
        large_blob_key: None,
        backup: Backup::ELIGIBLE,
        origin: Origin::Made,
        label: None,
        created_at: NOW,
        delivered_at: None,
        last_used_at: None,
        replaces: replaced.map(|old| old.id.clone()).into_iter().collect(),
    }
}

/// One change, as the child announces it.
#[derive(Clone, Copy, Debug)]
struct Change {
    kind: char,
    number: u64,
    /// A passkey to replace, or what to take a name from.
    other: u64,
}

impl Change {
    fn draw(model: &Model, rng: &mut impl RngCore) -> Self {
        let known: Vec<_> = model.keys().copied().collect();
        let mut any = || known.get(rng.next_u32() as usize % known.len().max(1)).copied();
        let (one, other) = (any(), any().unwrap_or_default());
        let kind = match (one, known.len()) {
            (None, _) => 's',
            (_, MANY..) => ['x', 'd'][rng.next_u32() as usize % 2],
            _ => ['s', 's', 'r', 'd', 'u', 'x'][rng.next_u32() as usize % 6],
        };
        // No more than JSON-like digits travel, so that half a line is never taken for a whole one.
        let number = if kind == 's' { rng.next_u64() } else { one.unwrap_or_default() };
        Self { kind, number, other }
    }

    fn line(self) -> String {
        format!("do {} {} {} .", self.kind, self.number, self.other)
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let ["do", kind, number, other, "."] = words[..] else { return None };
        let kind = kind.chars().next()?;
        Some(Self { kind, number: number.parse().ok()?, other: other.parse().ok()? })
    }

    fn label(self) -> String {
        format!("name {}", self.other)
    }

    fn new_passkey(self, model: &Model) -> Passkey {
        passkey(self.number, model.get(&self.other).filter(|_| self.number.is_multiple_of(2)))
    }

    /// What it does to a store, said a second time, in a few lines.
    fn on_model(self, model: &mut Model) {
        let remove = |model: &mut Model, gone: &[CredentialId]| {
            model.retain(|_, passkey| !gone.contains(&passkey.id));
            model.values_mut().for_each(|p| p.replaces.retain(|id| !gone.contains(id)));
        };
        match self.kind {
            's' => drop(model.insert(self.number, self.new_passkey(model))),
            'x' => {
                let id = model[&self.number].id.clone();
                remove(model, &[id]);
            }
            'r' => model.get_mut(&self.number).unwrap().label = Some(self.label()),
            'u' => model.get_mut(&self.number).unwrap().last_used_at = Some(NOW),
            _ => {
                let passkey = model.get_mut(&self.number).unwrap();
                passkey.delivered_at = Some(NOW);
                let gone = std::mem::take(&mut passkey.replaces);
                remove(model, &gone);
            }
        }
    }

    fn on_store(self, store: &Store, model: &Model, rng: &mut ChaCha20Rng) {
        let id = || &model[&self.number].id;
        let done = match self.kind {
            's' => store.save(&self.new_passkey(model), rng),
            'x' => store.delete(id(), rng),
            'r' => store.rename(id(), Some(self.label()), rng),
            'u' => store.mark_used(id(), NOW, rng),
            _ => store.mark_delivered(id(), NOW, rng),
        };
        done.unwrap();
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "the child of nothing_acknowledged_is_lost"]
fn child() {
    let dir = PathBuf::from(std::env::var_os("CABLED_CRASH_DIR").unwrap());
    let known = std::env::var("CABLED_CRASH_MODEL").unwrap();
    say("started");
    let store = open(&dir);
    let listed = store.list().unwrap();
    let number = |passkey: &Passkey| u64::from_be_bytes(passkey.user.id[..].try_into().unwrap());
    let mut model: Model = listed.into_iter().map(|passkey| (number(&passkey), passkey)).collect();
    assert_eq!(model.len(), known.parse::<usize>().unwrap());
    let mut rng = ChaCha20Rng::from_entropy();
    loop {
        let change = Change::draw(&model, &mut rng);
        say(&change.line());
        change.on_store(&store, &model, &mut rng);
        change.on_model(&mut model);
        say("done");
    }
}

/// Lets a child work until it said `lines` lines and for `spins` more, kills it, applies what it
/// acknowledged to the model, and gives what was under way.
fn killed(dir: &Path, model: &mut Model, lines: usize, spins: u32) -> Option<Change> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "child"])
        .env("CABLED_CRASH_DIR", dir)
        .env("CABLED_CRASH_MODEL", model.len().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (mut count, mut under_way) = (0, None);
    for line in said {
        match (line.as_str(), Change::parse(&line)) {
            (_, Some(change)) => under_way = Some(change),
            ("done", _) => under_way.take().unwrap().on_model(model),
            ("started", _) => {}
            _ => continue,
        }
        count += 1;
        if count == lines {
            (0..spins).for_each(|_| spin_loop());
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= lines, "the child ended by itself");
    under_way
}

#[test]
fn nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    drop(Store::create_with_cost(dir.path(), &pin(), WEAK, &mut rng).unwrap());
    let mut model = Model::new();
    let (mut happened, mut taken_back) = (0, 0);
    for round in 0..KILLS {
        let (lines, spins) = (1 + rng.next_u32() as usize % 6, rng.next_u32() % 300_000);
        let under_way = killed(dir.path(), &mut model, lines, spins);
        let store = open(dir.path());
        let checkup = store.check().unwrap();
        assert_eq!(checkup.findings, [], "round {round}");
        let found = sorted(store.list().unwrap());
        let mut after = model.clone();
        if let Some(change) = under_way {
            change.on_model(&mut after);
            match found == sorted(after.values().cloned().collect()) {
                true => (model, happened) = (after, happened + 1),
                false => taken_back += 1,
            }
        }
        let expected = sorted(model.values().cloned().collect());
        assert!(found == expected, "round {round}, with {under_way:?} under way");
        for passkey in &expected {
            assert!(store.find_by_rp(&passkey.rp.id).unwrap().contains(passkey));
        }
    }
    // Both, or the kills all fell between the changes.
    assert!(happened > 0 && taken_back > 0, "{happened} changes happened, {taken_back} did not");
}

fn sorted(mut passkeys: Vec<Passkey>) -> Vec<Passkey> {
    passkeys.sort_by(|a, b| a.id.cmp(&b.id));
    passkeys
}
