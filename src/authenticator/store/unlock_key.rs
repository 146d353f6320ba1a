//! Keys that open the store without the PIN, each kept in a place of its own outside of it.
//!
//! Such a key wraps the data key once more. It opens, and verifies nobody: approvals take the PIN as
//! before, and so does everything that leaves the phone. Depends on [`crate::cbor`], [`crate::secret`] and
//! siblings only.

use super::error::{Error, database};
use super::file::META;
use super::seal;
use super::{Locked, Store};
use crate::authenticator::{Random, Timestamp};
use crate::cbor::{self, Value};
use crate::secret::Secret;

/// Before the name of each, in the meta table.
const PREFIX: &[u8] = b"unlock-key:";

/// Bytes of the longest name.
const MAX_NAME: usize = 64;

/// A key that the store knows, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockKey {
    /// The place where it is kept.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Binds a wrap to its name: relabelled, it does not open.
fn context(name: &str) -> Vec<u8> {
    [b"cabled unlock key", name.as_bytes()].concat()
}

fn meta_key(name: &str) -> Vec<u8> {
    [PREFIX, name.as_bytes()].concat()
}

fn decode(bytes: &[u8]) -> Result<(Timestamp, Vec<u8>), Error> {
    let map = cbor::decode(bytes).map_err(|_| Error::Corrupt)?;
    let created_at = map.get(1).and_then(Value::as_uint).ok_or(Error::Corrupt)?;
    let sealed = map.get(2).and_then(Value::as_bytes).ok_or(Error::Corrupt)?;
    Ok((Timestamp(created_at), sealed.to_vec()))
}

impl Locked {
    /// Those that were added and not removed, by name.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn unlock_keys(&self) -> Result<Vec<UnlockKey>, Error> {
        let table = self.db.read()?.open_table(META).map_err(database)?;
        let mut keys = Vec::new();
        for entry in table.range(PREFIX..).map_err(database)? {
            let (name, value) = entry.map_err(database)?;
            let Some(name) = name.value().strip_prefix(PREFIX) else { break };
            let name = std::str::from_utf8(name).map_err(|_| Error::Corrupt)?.to_owned();
            keys.push(UnlockKey { name, created_at: decode(value.value())?.0 });
        }
        Ok(keys)
    }

    /// Opens the store with a key that [`Store::add_unlock_key`] gave. Counts as no try of the PIN.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchKey`] if there is none of that name, or this is not it; those of the file.
    pub fn unlock_with(
        &self,
        name: &str,
        key: &Secret<32>,
        rng: Random<'_>,
    ) -> Result<Store, Error> {
        let table = self.db.read()?.open_table(META).map_err(database)?;
        let entry = table.get(&meta_key(name)[..]).map_err(database)?.ok_or(Error::NoSuchKey)?;
        let (_, sealed) = decode(entry.value())?;
        let data_key = seal::open(key, &context(name), &sealed).map_err(|_| Error::NoSuchKey)?;
        let data_key = Secret::try_from(&data_key[..]).map_err(|_| Error::Corrupt)?;
        self.opened(&data_key, rng)
    }
}

impl Store {
    /// Makes a key that opens this store without the PIN, in the place of an earlier one of that name.
    /// Whoever has it and the file has the passkeys. Changing the PIN leaves it as it is.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] for a name beyond 64 bytes, and those of the file.
    pub fn add_unlock_key(
        &self,
        name: &str,
        now: Timestamp,
        mut rng: Random<'_>,
    ) -> Result<Secret<32>, Error> {
        if name.len() > MAX_NAME {
            return Err(Error::TooLarge);
        }
        let key = Secret::random(&mut rng);
        let sealed = seal::seal(&key, &context(name), self.keys.data().expose(), rng)?;
        let entry = cbor::encode(&Value::int_map([
            (1, Value::Uint(now.0)),
            (2, Value::from(sealed.as_slice())),
        ]));
        self.db.write(|tables| tables.put_meta(&meta_key(name), &entry))?;
        Ok(key)
    }

    /// Makes the key of that name useless for this file; false if there is none.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn remove_unlock_key(&self, name: &str) -> Result<bool, Error> {
        self.db.write(|tables| {
            let removed = tables.meta.remove(&meta_key(name)[..]).map_err(database)?;
            Ok(removed.is_some())
        })
    }
}
