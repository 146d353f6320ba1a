//! Receipts: which passkeys this laptop carried to programs, and whether they took them.
//!
//! A passkey that the phone saved and no program took is an orphan: the phone lists it, the site does
//! not know it. A receipt is written before the answer is handed over, so that one is left behind
//! also by a program that was killed in between. The file is its owner's only and is opened for each
//! call, so that a daemon and a command may share it. It holds no secret, but it tells which sites one
//! has passkeys for. Depends on redb and serde only.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};

use super::webauthn::Base64Url;
use crate::ble::Proximity;
use crate::printable::printable_within;

/// Receipts that are kept; beyond them the oldest go.
pub const MAX_RECEIPTS: u64 = 10_000;

/// How long to wait for another program that has the file open.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of the file that are kept in memory while it is open.
const CACHE: usize = 1 << 20;
/// The longest name that is kept, in characters.
const MAX_NAME: usize = 256;

const RECEIPTS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("receipts");
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const SCHEMA: &str = "schema";
const NEXT: &str = "next";
/// The schema that this program writes.
const VERSION: u64 = 1;

/// Names a receipt, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber(pub u64);

/// A passkey that was made through this laptop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When the phone had made it, Unix time in seconds.
    pub at: u64,
    /// For which relying party.
    pub rp_id: String,
    /// The account's name there, as the program said.
    pub user_name: String,
    /// The passkey's ID.
    pub credential_id: Base64Url,
    /// The make of the phone: its AAGUID.
    pub aaguid: Base64Url,
    /// When the program took the answer, Unix time in seconds. `None`: it may be an orphan.
    pub taken_at: Option<u64>,
    /// To what being heard proved that the phone was near, by [name](crate::ble::Proximity::name). `None` of
    /// receipts that are older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximity: Option<String>,
}

impl Receipt {
    /// One that no program took yet. Names are made printable.
    #[must_use]
    pub fn new(at: u64, rp_id: &str, user_name: &str, id: &[u8], aaguid: [u8; 16]) -> Self {
        let short = |text: &str| printable_within(text, MAX_NAME);
        Self {
            at,
            rp_id: short(rp_id),
            user_name: short(user_name),
            credential_id: Base64Url::from(id),
            aaguid: Base64Url::from(&aaguid[..]),
            taken_at: None,
            proximity: None,
        }
    }

    /// The same, for a phone whose nearness was proved like this.
    #[must_use]
    pub fn heard(self, proximity: Proximity) -> Self {
        Self { proximity: Some(proximity.name().to_owned()), ..self }
    }

    /// Whether no program is known to have taken the passkey.
    #[must_use]
    pub fn may_be_orphaned(&self) -> bool {
        self.taken_at.is_none()
    }
}

/// Why the receipts could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program has the file, for longer than it should.
    #[error("another program uses the receipts")]
    InUse,
    /// A newer version of this program wrote it.
    #[error("a newer version of this program wrote the receipts")]
    NewerSchema,
    /// There is none of this number.
    #[error("there is no receipt of this number")]
    NoSuchReceipt,
    /// What is in the file makes no sense.
    #[error("the file of the receipts is damaged")]
    Damaged,
    /// The system refuses.
    #[error("the receipts cannot be read or written")]
    Io(#[from] io::Error),
    /// The database refuses.
    #[error("the receipts cannot be read or written")]
    Database(#[source] Box<redb::Error>),
}

fn database(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(error) => Error::Io(error),
        redb::Error::Corrupted(_) => Error::Damaged,
        error => Error::Database(Box::new(error)),
    }
}

/// The file of the receipts; there may be none yet. All calls block for as long as a disk takes.
#[derive(Clone, Debug)]
pub struct Receipts {
    path: PathBuf,
}

impl Receipts {
    /// Those in this file.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one; it is durable on return.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn add(&self, receipt: &Receipt) -> Result<ReceiptNumber, Error> {
        let bytes = serde_json::to_vec(receipt).map_err(|_| Error::Damaged)?;
        let db = self.open()?;
        let write = db.begin_write().map_err(database)?;
        let number = {
            let mut meta = write.open_table(META).map_err(database)?;
            let number = meta.get(NEXT).map_err(database)?.map_or(1, |next| next.value());
            meta.insert(NEXT, number.saturating_add(1)).map_err(database)?;
            let mut table = write.open_table(RECEIPTS).map_err(database)?;
            table.insert(number, bytes.as_slice()).map_err(database)?;
            let oldest = number.saturating_sub(MAX_RECEIPTS);
            table.retain(|number, _| number > oldest).map_err(database)?;
            number
        };
        write.commit().map_err(database)?;
        Ok(ReceiptNumber(number))
    }

    /// Notes that the program took the passkey.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchReceipt`], and see [`Error`].
    pub fn taken(&self, number: ReceiptNumber, at: u64) -> Result<(), Error> {
        let db = self.existing()?.ok_or(Error::NoSuchReceipt)?;
        let write = db.begin_write().map_err(database)?;
        {
            let mut table = write.open_table(RECEIPTS).map_err(database)?;
            let found = table.get(number.0).map_err(database)?.map(|bytes| read(bytes.value()));
            let mut receipt = found.ok_or(Error::NoSuchReceipt)??;
            receipt.taken_at = Some(at);
            let bytes = serde_json::to_vec(&receipt).map_err(|_| Error::Damaged)?;
            table.insert(number.0, bytes.as_slice()).map_err(database)?;
        }
        write.commit().map_err(database)
    }

    /// Removes one. The passkey stays on the phone.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchReceipt`], and see [`Error`].
    pub fn forget(&self, number: ReceiptNumber) -> Result<(), Error> {
        let db = self.existing()?.ok_or(Error::NoSuchReceipt)?;
        let write = db.begin_write().map_err(database)?;
        let known = {
            let mut table = write.open_table(RECEIPTS).map_err(database)?;
            table.remove(number.0).map_err(database)?.is_some()
        };
        write.commit().map_err(database)?;
        if known { Ok(()) } else { Err(Error::NoSuchReceipt) }
    }

    /// All, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn list(&self) -> Result<Vec<(ReceiptNumber, Receipt)>, Error> {
        let Some(db) = self.existing()? else { return Ok(Vec::new()) };
        let table = db.begin_read().map_err(database)?.open_table(RECEIPTS).map_err(database)?;
        let all = table.iter().map_err(database)?.map(|row| {
            let (number, bytes) = row.map_err(database)?;
            Ok((ReceiptNumber(number.value()), read(bytes.value())?))
        });
        all.collect()
    }

    /// The IDs of the passkeys that were made for this relying party.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn carried(&self, rp_id: &str) -> Result<Vec<Vec<u8>>, Error> {
        let rp_id = printable_within(rp_id, MAX_NAME);
        let of_it = self.list()?.into_iter().filter(|(_, receipt)| receipt.rp_id == rp_id);
        Ok(of_it.map(|(_, receipt)| receipt.credential_id.0).collect())
    }

    fn existing(&self) -> Result<Option<Database>, Error> {
        match self.path.try_exists()? {
            true => self.open().map(Some),
            false => Ok(None),
        }
    }

    /// Opens the file, and makes it if there is none.
    fn open(&self) -> Result<Database, Error> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut waited = Duration::ZERO;
        let db = loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let backend = FileBackend::new(options.open(&self.path)?);
            let mut builder = Database::builder();
            // A file that was altered may panic inside redb later.
            builder.set_check_integrity_on_open(true).set_cache_size(CACHE);
            match backend.and_then(|backend| builder.create_with_backend(backend)) {
                Ok(db) => break db,
                Err(DatabaseError::DatabaseAlreadyOpen) if waited < PATIENCE => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                Err(DatabaseError::DatabaseAlreadyOpen) => return Err(Error::InUse),
                Err(error) => return Err(database(error)),
            }
        };
        schema(&db)?;
        Ok(db)
    }
}

/// Writes the schema into a new file, and refuses one of a newer program.
fn schema(db: &Database) -> Result<(), Error> {
    let read = db.begin_read().map_err(database)?;
    let found = match read.open_table(META) {
        Ok(table) => table.get(SCHEMA).map_err(database)?.map(|version| version.value()),
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(database(error)),
    };
    match found {
        Some(VERSION) => Ok(()),
        Some(0) => Err(Error::Damaged),
        Some(_) => Err(Error::NewerSchema),
        None => {
            let write = db.begin_write().map_err(database)?;
            write.open_table(META).map_err(database)?.insert(SCHEMA, VERSION).map_err(database)?;
            write.open_table(RECEIPTS).map_err(database)?;
            write.commit().map_err(database)
        }
    }
}

fn read(bytes: &[u8]) -> Result<Receipt, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::Damaged)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place() -> (tempfile::TempDir, Receipts) {
        let folder = tempfile::tempdir().unwrap();
        let receipts = Receipts::at(folder.path().join("state/receipts.redb"));
        (folder, receipts)
    }

    fn receipt(id: u8) -> Receipt {
        Receipt::new(5, "contoso.com", "anna", &[id; 16], [7; 16])
    }

    #[test]
    fn a_receipt_is_there_until_it_is_forgotten() {
        let (_folder, receipts) = place();
        assert_eq!(receipts.list().unwrap(), []);
        assert!(!receipts.path().exists(), "to look is no reason to write");
        let first = receipts.add(&receipt(1)).unwrap();
        let second = receipts.add(&receipt(2)).unwrap();
        receipts.taken(second, 9).unwrap();
        let taken = Receipt { taken_at: Some(9), ..receipt(2) };
        assert_eq!(receipts.list().unwrap(), [(first, receipt(1)), (second, taken)]);
        assert!(receipt(1).may_be_orphaned());
        receipts.forget(first).unwrap();
        assert!(matches!(receipts.forget(first), Err(Error::NoSuchReceipt)));
        assert!(matches!(receipts.taken(first, 9), Err(Error::NoSuchReceipt)));
        // Numbers are not used again: another receipt is never taken for this one.
        assert_eq!(receipts.add(&receipt(3)).unwrap(), ReceiptNumber(3));
        let mode = std::fs::metadata(receipts.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_who_has_it_open_for_a_moment_is_waited_for() {
        let (_folder, receipts) = place();
        receipts.add(&receipt(1)).unwrap();
        let held = receipts.open().unwrap();
        let other = receipts.clone();
        let waiting = std::thread::spawn(move || other.add(&receipt(2)));
        std::thread::sleep(5 * PAUSE);
        drop(held);
        waiting.join().unwrap().unwrap();
        assert_eq!(receipts.list().unwrap().len(), 2);
        let _held = receipts.open().unwrap();
        assert!(matches!(receipts.list(), Err(Error::InUse)));
    }

    #[test]
    fn a_newer_file_and_one_that_is_something_else_are_refused() {
        let (_folder, receipts) = place();
        let db = receipts.open().unwrap();
        let write = db.begin_write().unwrap();
        write.open_table(META).unwrap().insert(SCHEMA, VERSION + 1).unwrap();
        write.commit().unwrap();
        drop(db);
        assert!(matches!(receipts.add(&receipt(1)), Err(Error::NewerSchema)));
        std::fs::write(receipts.path(), "mine, and no database at all").unwrap();
        assert!(receipts.add(&receipt(1)).is_err());
        assert_eq!(std::fs::read(receipts.path()).unwrap(), b"mine, and no database at all");
    }

    #[test]
    fn names_are_cut_and_the_oldest_go() {
        let long = "x".repeat(5000);
        let cut = Receipt::new(1, &long, &long, &[1], [0; 16]);
        assert_eq!((cut.rp_id.len(), cut.user_name.len()), (MAX_NAME, MAX_NAME));
        let (_folder, receipts) = place();
        let db = receipts.open().unwrap();
        let write = db.begin_write().unwrap();
        write.open_table(META).unwrap().insert(NEXT, MAX_RECEIPTS + 1).unwrap();
        let bytes = serde_json::to_vec(&receipt(1)).unwrap();
        for number in [1, 2] {
            write.open_table(RECEIPTS).unwrap().insert(number, bytes.as_slice()).unwrap();
        }
        write.commit().unwrap();
        drop(db);
        receipts.add(&receipt(2)).unwrap();
        let numbers: Vec<u64> = receipts.list().unwrap().iter().map(|row| row.0.0).collect();
        assert_eq!(numbers, [2, MAX_RECEIPTS + 1]);
    }
}
