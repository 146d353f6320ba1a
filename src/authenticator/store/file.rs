//! The database file: where it is, who may read it, its schema, its transactions.
//!
//! Depends on redb and the sibling `error` only; knows no keys.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadTransaction, ReadableDatabase, Table, TableDefinition, WriteTransaction};

use super::SCHEMA;
use super::error::{Error, database};

/// Name of the file inside the store's directory.
pub(super) const FILE_NAME: &str = "passkeys.redb";

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Schema, wrapped data key, wrong PINs.
pub(super) const META: Bytes = TableDefinition::new("meta");
/// Record key to sealed record.
pub(super) const RECORDS: Bytes = TableDefinition::new("records");
/// Blinded rp id, then record key; no values.
pub(super) const BY_RP: Bytes = TableDefinition::new("by-rp");

pub(super) const META_SCHEMA: &[u8] = b"schema";
pub(super) const META_WRAP: &[u8] = b"wrap";
pub(super) const META_ATTEMPTS: &[u8] = b"attempts";

/// The tables inside one write transaction.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) records: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) by_rp: Table<'t, &'static [u8], &'static [u8]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            meta: transaction.open_table(META).map_err(database)?,
            records: transaction.open_table(RECORDS).map_err(database)?,
            by_rp: transaction.open_table(BY_RP).map_err(database)?,
        })
    }

    pub(super) fn put_meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.meta.insert(key, value).map(drop).map_err(database)
    }
}

/// An open database of a schema that this program knows.
pub(super) struct Db(Database);

impl Db {
    /// Makes the file in one step: it is either not there or complete, also after a crash.
    pub(super) fn create(
        dir: &Path,
        fill: impl FnOnce(&mut Tables<'_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        make_private_dir(dir)?;
        let path = dir.join(FILE_NAME);
        if path.try_exists()? {
            return Err(Error::AlreadyExists);
        }
        let unfinished = Unfinished::new(dir)?;
        let db = Self(builder(unfinished.open()?)?);
        db.write(|tables| {
            tables.put_meta(META_SCHEMA, &SCHEMA.to_be_bytes())?;
            fill(tables)
        })?;
        place(&unfinished.0, &path)?;
        drop(unfinished);
        File::open(dir)?.sync_all()?;
        Ok(db)
    }

    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE_NAME);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let metadata = file.metadata()?;
        // redb takes an empty file for a new database; ours is complete from its first moment.
        if metadata.len() == 0 {
            return Err(Error::Corrupt);
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let db = Self(builder(file)?);
        db.check_schema()?;
        Ok(db)
    }

    fn check_schema(&self) -> Result<(), Error> {
        let bytes = self.meta(META_SCHEMA)?;
        let found = bytes.try_into().map(u32::from_be_bytes).map_err(|_| Error::Corrupt)?;
        match found {
            0 => Err(Error::Corrupt),
            SCHEMA => Ok(()),
            newer => Err(Error::NewerSchema { found: newer, supported: SCHEMA }),
        }
    }

    /// A member of the meta table; a store without one is damaged.
    pub(super) fn meta(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        let table = self.read()?.open_table(META).map_err(database)?;
        let value = table.get(key).map_err(database)?.ok_or(Error::Corrupt)?;
        Ok(value.value().to_vec())
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, Error> {
        self.0.begin_read().map_err(database)
    }

    /// One durable transaction: on an error nothing of it happened.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.0.begin_write().map_err(database)?;
        let result = change(&mut Tables::open(&transaction)?)?;
        transaction.commit().map_err(database)?;
        Ok(result)
    }
}

/// Gives a complete file its name. A link, unlike a rename, does not overwrite what another process
/// made meanwhile; where the file system has no links, that it was not there a moment ago must do.
fn place(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => fs::rename(from, to),
        placed => placed,
    }
}

/// Opens with every checksum verified: a plain open of an altered file may panic inside redb.
fn builder(file: File) -> Result<Database, Error> {
    let backend = FileBackend::new(file).map_err(database)?;
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true).set_cache_size(16 << 20);
    builder.create_with_backend(backend).map_err(database)
}

fn make_private_dir(dir: &Path) -> Result<(), Error> {
    // An existing directory keeps its mode: it may be one the user shares; the file is private.
    if dir.is_dir() {
        return Ok(());
    }
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(dir)?)
}

/// A file under a name of this process, removed when dropped.
struct Unfinished(PathBuf);

impl Unfinished {
    fn new(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(format!("{FILE_NAME}.{}.new", std::process::id()));
        // Left by a crashed process that had the same number.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(Self(path)),
        }
    }

    fn open(&self) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        Ok(options.read(true).write(true).create_new(true).mode(0o600).open(&self.0)?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing to do about a failure, and nothing depends on it.
        let _ = fs::remove_file(&self.0);
    }
}
