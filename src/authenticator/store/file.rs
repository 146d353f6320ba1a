//! The database file: where it is, who may read it, its schema, its transactions.
//!
//! Depends on redb and the sibling `error` only; knows no keys.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

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

/// An open database of a schema that this program knows, and its path.
pub(super) struct Db {
    database: Database,
    path: PathBuf,
}

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
        Self::create_at(&path, |tables| {
            tables.put_meta(META_SCHEMA, &SCHEMA.to_be_bytes())?;
            fill(tables)
        })
    }

    fn create_at(
        path: &Path,
        fill: impl FnOnce(&mut Tables<'_>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let unfinished = Unfinished::new(path)?;
        let db = Self { database: builder(unfinished.open()?)?, path: path.to_owned() };
        db.write(fill)?;
        place(&unfinished.0, path)?;
        drop(unfinished);
        File::open(folder_of(path))?.sync_all()?;
        Ok(db)
    }

    pub(super) fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_at(&dir.join(FILE_NAME))
    }

    pub(super) fn open_at(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let metadata = file.metadata()?;
        // redb takes an empty file for a new database; ours is complete from its first moment.
        if metadata.len() == 0 {
            return Err(Error::Corrupt);
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let db = Self { database: builder(file)?, path: path.to_owned() };
        db.schema()?;
        Ok(db)
    }

    /// The schema of the file; older ones are read only to be migrated.
    pub(super) fn schema(&self) -> Result<u32, Error> {
        read_schema(&self.meta(META_SCHEMA)?)
    }

    /// A path beside the file, with that ending after its name.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        beside(&self.path, ending)
    }

    /// Copies what one moment has to a new private file, durable on return, while others may write.
    /// [`Error::AlreadyExists`] if there is one of that name.
    pub(super) fn copy(&self, to: &Path) -> Result<(), Error> {
        if to.try_exists()? {
            return Err(Error::AlreadyExists);
        }
        let from = self.read()?;
        Self::create_at(to, |tables| {
            copy_table(&from, META, &mut tables.meta)?;
            copy_table(&from, RECORDS, &mut tables.records)?;
            copy_table(&from, BY_RP, &mut tables.by_rp)
        })
        .map(drop)
    }

    /// A member of the meta table; a store without one is damaged.
    pub(super) fn meta(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        let table = self.read()?.open_table(META).map_err(database)?;
        let value = table.get(key).map_err(database)?.ok_or(Error::Corrupt)?;
        Ok(value.value().to_vec())
    }

    /// The members of the meta table whose key begins so: what follows in the key, and the value.
    pub(super) fn meta_under(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let table = self.read()?.open_table(META).map_err(database)?;
        let mut found = BTreeMap::new();
        for entry in table.range(prefix..).map_err(database)? {
            let (key, value) = entry.map_err(database)?;
            let Some(rest) = key.value().strip_prefix(prefix) else { break };
            found.insert(rest.to_vec(), value.value().to_vec());
        }
        Ok(found)
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, Error> {
        self.database.begin_read().map_err(database)
    }

    /// One durable transaction: on an error nothing of it happened.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.database.begin_write().map_err(database)?;
        let result = change(&mut Tables::open(&transaction)?)?;
        transaction.commit().map_err(database)?;
        Ok(result)
    }
}

fn copy_table(
    from: &ReadTransaction,
    definition: Bytes,
    to: &mut Table<'_, &'static [u8], &'static [u8]>,
) -> Result<(), Error> {
    let table = from.open_table(definition).map_err(database)?;
    for entry in table.iter().map_err(database)? {
        let (key, value) = entry.map_err(database)?;
        to.insert(key.value(), value.value()).map_err(database)?;
    }
    Ok(())
}

/// A schema number that this program reads.
pub(super) fn read_schema(bytes: &[u8]) -> Result<u32, Error> {
    match bytes.try_into().map(u32::from_be_bytes).map_err(|_| Error::Corrupt)? {
        0 => Err(Error::Corrupt),
        found if found <= SCHEMA => Ok(found),
        found => Err(Error::NewerSchema { found, supported: SCHEMA }),
    }
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// The folder that has the file; a bare name is in the current one.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a complete file its name. A link, unlike a rename, does not overwrite what another process
/// made meanwhile; where the file system has no links, that it was not there a moment ago must do.
pub(super) fn place(from: &Path, to: &Path) -> std::io::Result<()> {
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

pub(super) fn make_private_dir(dir: &Path) -> Result<(), Error> {
    // An existing directory keeps its mode: it may be one the user shares; the file is private.
    if dir.is_dir() {
        return Ok(());
    }
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(dir)?)
}

/// A file under a name of this process, removed when dropped.
#[derive(Debug)]
pub(super) struct Unfinished(pub(super) PathBuf);

impl Unfinished {
    pub(super) fn new(finished: &Path) -> Result<Self, Error> {
        let path = beside(finished, &format!("{}.new", std::process::id()));
        // Left by a crashed process that had the same number.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(Self(path)),
        }
    }

    pub(super) fn open(&self) -> Result<File, Error> {
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
