//! The store as clients on the same machine see it: the PIN by its hash, the large blobs, wiping.
//!
//! The PIN wraps the data key through Argon2id, but CTAP sends LEFT(SHA-256(PIN), 16) in its place. A
//! MAC of that hash, under a key from the data key, is kept in the meta table: whoever has only the
//! file has to guess the PIN through Argon2id as before, and whoever has the data key needs no PIN.
//! Tries count in the same counter as those that unlock. Depends on redb and siblings only.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::{Error, database};
use super::file::{META, META_ATTEMPTS, META_WRAP, Tables};
use super::pin::{Attempts, Pin, Wrap};
use super::{Db, Store, count_attempt, links, seal};
use crate::authenticator::mac::hmac_sha256;
use crate::authenticator::passkey::{CredentialId, Passkey, Timestamp};
use crate::authenticator::upkeep::{PinHash, PinTries, Upkeep};
use crate::authenticator::{Random, Verification};
use crate::ctap::UserEntity;
use crate::secret::Secret;

const META_PIN_HASH: &[u8] = b"client-pin";
const META_LARGE_BLOBS: &[u8] = b"large-blobs";

/// Keeps the MAC of the PIN's hash, for whoever writes the wrap or found the PIN right.
pub(super) fn put_pin_hash(
    tables: &mut Tables<'_>,
    data_key: &Secret<32>,
    pin: &Pin,
) -> Result<(), Error> {
    let hash = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(pin.as_bytes())));
    let (half, _) = hash.split_at(16);
    tables.put_meta(META_PIN_HASH, &mac(data_key, half))
}

fn mac(data_key: &Secret<32>, half: &[u8]) -> [u8; 32] {
    hmac_sha256(&meta_key(data_key, META_PIN_HASH), &[half])
}

fn meta_key(data_key: &Secret<32>, name: &[u8]) -> Secret<32> {
    Secret::new(hmac_sha256(data_key, &[b"cabled meta ", name]))
}

pub(super) fn optional_meta(db: &Db, name: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let table = db.read()?.open_table(META).map_err(database)?;
    Ok(table.get(name).map_err(database)?.map(|value| value.value().to_vec()))
}

impl Store {
    pub(super) fn open_meta(&self, name: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let key = meta_key(self.keys.data(), name);
        let sealed = optional_meta(&self.db, name)?;
        sealed.map(|sealed| seal::open(&key, name, &sealed)).transpose()
    }

    pub(super) fn seal_meta(
        &self,
        name: &[u8],
        content: &[u8],
        rng: Random<'_>,
    ) -> Result<Vec<u8>, Error> {
        seal::seal(&meta_key(self.keys.data(), name), name, content, rng)
    }
}

impl Upkeep for Store {
    fn all(&self) -> Result<Vec<Passkey>, Error> {
        self.list()
    }

    fn remove(&self, id: &CredentialId, rng: Random<'_>) -> Result<(), Error> {
        self.delete(id, rng)
    }

    fn set_user(&self, id: &CredentialId, user: &UserEntity, rng: Random<'_>) -> Result<(), Error> {
        self.modify(id, rng, |passkey| {
            passkey.user.name.clone_from(&user.name);
            passkey.user.display_name.clone_from(&user.display_name);
            Vec::new()
        })
    }

    fn wipe(&self) -> Result<(), Error> {
        self.db.write(|tables| {
            tables.records.retain(|_, _| false).map_err(database)?;
            tables.by_rp.retain(|_, _| false).map_err(database)?;
            tables.meta.remove(META_LARGE_BLOBS).map(drop).map_err(database)?;
            links::wipe(tables)
        })
    }

    fn knows_pin_hash(&self) -> Result<bool, Error> {
        Ok(optional_meta(&self.db, META_PIN_HASH)?.is_some())
    }

    fn pin_tries(&self, now: Timestamp) -> Result<PinTries, Error> {
        let attempts = Attempts::decode(&self.db.meta(META_ATTEMPTS)?)?;
        let waiting = attempts.locked_until(now).is_some();
        Ok(PinTries { left: attempts.tries_left(), waiting })
    }

    fn try_pin_hash(&self, hash: &PinHash, now: Timestamp) -> Result<Verification, Error> {
        let known = optional_meta(&self.db, META_PIN_HASH)?.ok_or(Error::NotFound)?;
        let attempts = self.db.write(|tables| count_attempt(tables, now))?;
        if !bool::from(known.ct_eq(&mac(self.keys.data(), hash)[..])) {
            return Err(Error::WrongPin { tries_left: attempts.tries_left() });
        }
        self.db.write(|tables| tables.put_meta(META_ATTEMPTS, &Attempts::default().encode()))?;
        Ok(Verification::by_pin())
    }

    fn replace_pin(
        &self,
        old: &PinHash,
        new: &Pin,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), Error> {
        self.try_pin_hash(old, now)?;
        let cost = Wrap::decode(&self.db.meta(META_WRAP)?)?.cost();
        let wrap = Wrap::seal(self.keys.data(), new, cost, rng)?.encode();
        self.db.write(|tables| {
            tables.put_meta(META_WRAP, &wrap)?;
            put_pin_hash(tables, self.keys.data(), new)
        })
    }

    fn large_blobs(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.open_meta(META_LARGE_BLOBS)?.map(|array| array.to_vec()))
    }

    fn set_large_blobs(&self, array: &[u8], rng: Random<'_>) -> Result<(), Error> {
        let sealed = self.seal_meta(META_LARGE_BLOBS, array, rng)?;
        self.db.write(|tables| tables.put_meta(META_LARGE_BLOBS, &sealed))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::super::KdfCost;
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn pin(text: &str) -> Pin {
        Pin::new(text.to_owned()).unwrap()
    }

    fn hash(text: &str) -> PinHash {
        Sha256::digest(text)[..16].try_into().unwrap()
    }

    fn store(dir: &std::path::Path, rng: &mut ChaCha20Rng) -> Store {
        let weak = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        Store::create_with_cost(dir, &pin("1234"), weak, rng).unwrap()
    }

    #[test]
    fn the_hash_is_tried_on_the_same_counter_as_the_pin() {
        let (dir, mut rng) = (tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(1));
        let store = store(dir.path(), &mut rng);
        assert!(store.knows_pin_hash().unwrap());
        store.try_pin_hash(&hash("1234"), NOW).unwrap();
        for left in (4..8).rev() {
            let wrong = store.try_pin_hash(&hash("4321"), NOW);
            assert!(matches!(wrong, Err(Error::WrongPin { tries_left }) if tries_left == left));
        }
        assert_eq!(store.pin_tries(NOW).unwrap(), PinTries { left: 4, waiting: false });
        for _ in 0..4 {
            assert!(matches!(store.verify_pin(&pin("4321"), NOW), Err(Error::WrongPin { .. })));
        }
        assert_eq!(store.pin_tries(NOW).unwrap(), PinTries { left: 0, waiting: true });
        let locked = store.try_pin_hash(&hash("1234"), NOW);
        assert!(matches!(locked, Err(Error::LockedOut { .. })));
        drop(store);
        let locked = Store::open(dir.path()).unwrap();
        assert!(matches!(locked.unlock(&pin("1234"), NOW, &mut rng), Err(Error::LockedOut { .. })));
        let later = Timestamp(NOW.0 + 1000);
        let (store, _) = locked.unlock(&pin("1234"), later, &mut rng).unwrap();
        assert_eq!(store.pin_tries(later).unwrap(), PinTries { left: 8, waiting: false });
    }

    #[test]
    fn another_pin_unlocks_afterwards_and_the_old_one_does_not() {
        let (dir, mut rng) = (tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(1));
        let store = store(dir.path(), &mut rng);
        let wrong = store.replace_pin(&hash("0000"), &pin("5678"), NOW, &mut rng);
        assert!(matches!(wrong, Err(Error::WrongPin { .. })));
        store.replace_pin(&hash("1234"), &pin("5678"), NOW, &mut rng).unwrap();
        store.change_pin(&pin("5678"), &pin("9999"), NOW, &mut rng).unwrap();
        store.try_pin_hash(&hash("9999"), NOW).unwrap();
        drop(store);
        let locked = Store::open(dir.path()).unwrap();
        assert!(matches!(locked.unlock(&pin("5678"), NOW, &mut rng), Err(Error::WrongPin { .. })));
        locked.unlock(&pin("9999"), NOW, &mut rng).unwrap();
    }

    #[test]
    fn a_store_of_before_learns_the_hash_when_the_pin_was_right() {
        let (dir, mut rng) = (tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(1));
        let store = store(dir.path(), &mut rng);
        store.db.write(|t| t.meta.remove(META_PIN_HASH).map(drop).map_err(database)).unwrap();
        assert!(!store.knows_pin_hash().unwrap());
        assert!(matches!(store.try_pin_hash(&hash("1234"), NOW), Err(Error::NotFound)));
        store.verify_pin(&pin("1234"), NOW).unwrap();
        store.try_pin_hash(&hash("1234"), NOW).unwrap();
    }

    #[test]
    fn large_blobs_are_sealed_and_wiped() {
        let (dir, mut rng) = (tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(1));
        let store = store(dir.path(), &mut rng);
        assert_eq!(store.large_blobs().unwrap(), None);
        let array = b"an array that nobody should find in the file";
        store.set_large_blobs(array, &mut rng).unwrap();
        assert_eq!(store.large_blobs().unwrap().as_deref(), Some(&array[..]));
        let file = std::fs::read(dir.path().join("passkeys.redb")).unwrap();
        assert!(!file.windows(array.len()).any(|window| window == array));
        store.wipe().unwrap();
        assert_eq!((store.large_blobs().unwrap(), store.all().unwrap()), (None, vec![]));
        store.try_pin_hash(&hash("1234"), NOW).unwrap();
    }
}
