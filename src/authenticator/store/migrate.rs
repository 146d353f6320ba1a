//! A store of an older schema becomes one of this schema.
//!
//! Records are sealed, so this happens at the first unlocking: a copy of the store as it was is put
//! beside it, durable, then every record is sealed again in one transaction that also raises the
//! schema. Stopped at any point, the store is still whole and of the old schema, and the next
//! unlocking starts again; each start leaves a copy of its own, none is overwritten.
//!
//! Depends on redb and siblings only.

use std::path::PathBuf;

use redb::ReadableTable;

use super::error::{Error, database};
use super::file::{Db, META_SCHEMA, Tables, read_schema};
use super::seal::{Keys, RecordKey};
use super::{SCHEMA, record};
use crate::authenticator::Random;

/// Copies of one schema that are kept before the migration gives up: somebody has to look.
const MAX_COPIES: u32 = 99;

/// Brings the store to [`SCHEMA`] if it is older; where the copy from before is, if it was.
pub(super) fn run(db: &Db, keys: &Keys, rng: Random<'_>) -> Result<Option<PathBuf>, Error> {
    let found = db.schema()?;
    if found == SCHEMA {
        return Ok(None);
    }
    let copy = keep_copy(db, found)?;
    db.write(|tables| reseal(tables, keys, rng))?;
    Ok(Some(copy))
}

fn keep_copy(db: &Db, schema: u32) -> Result<PathBuf, Error> {
    for number in 1..=MAX_COPIES {
        let path = db.beside(&format!("schema-{schema}.backup-{number}"));
        match db.copy(&path) {
            Err(Error::AlreadyExists) => {}
            copied => return copied.map(|()| path),
        }
    }
    Err(Error::AlreadyExists)
}

pub(super) fn reseal(tables: &mut Tables<'_>, keys: &Keys, rng: Random<'_>) -> Result<(), Error> {
    let found = match tables.meta.get(META_SCHEMA).map_err(database)? {
        Some(bytes) => read_schema(bytes.value())?,
        None => return Err(Error::Corrupt),
    };
    // Another clone of the locked store may have come first.
    if found == SCHEMA {
        return Ok(());
    }
    for (key, sealed) in all_records(tables)? {
        let passkey = record::decode_schema_1(&keys.open_of(found, &key, &sealed)?)?;
        let sealed = keys.seal(&key, &record::encode(&passkey), rng)?;
        tables.records.insert(&key[..], &sealed[..]).map_err(database)?;
    }
    tables.put_meta(META_SCHEMA, &SCHEMA.to_be_bytes())
}

/// Their sealed bytes: the table cannot be read while it is written.
fn all_records(tables: &Tables<'_>) -> Result<Vec<(RecordKey, Vec<u8>)>, Error> {
    let entries = tables.records.iter().map_err(database)?;
    let owned = entries.map(|entry| {
        let (key, sealed) = entry.map_err(database)?;
        let key = key.value().try_into().map_err(|_| Error::Corrupt)?;
        Ok((key, sealed.value().to_vec()))
    });
    owned.collect()
}
