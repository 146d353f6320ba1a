//! Copies of the whole store, and a store from such a copy.
//!
//! A copy is sealed as the store is, and opens with the PIN that the store had when it was made.
//! Depends on siblings only.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use super::file::{Db, FILE_NAME, Unfinished, beside, folder_of, make_private_dir, place};
use super::{Locked, Store};

/// Stores that are kept aside before restoring is refused: somebody has to look.
const MAX_ASIDE: u32 = 99;

impl Locked {
    /// Copies the store to a new file that only its owner may read: all of one moment, durable on
    /// return. Others may go on writing. Needs no PIN, for what is sealed stays sealed.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] if there is a file of that name, and those of the file system.
    pub fn backup(&self, to: &Path) -> Result<(), Error> {
        self.db.copy(to)
    }
}

impl Store {
    /// See [`Locked::backup`].
    ///
    /// # Errors
    ///
    /// As [`Locked::backup`].
    pub fn backup(&self, to: &Path) -> Result<(), Error> {
        self.db.copy(to)
    }
}

/// A copy that was taken in but not put in the place of the store yet. Dropped, nothing changed.
#[derive(Debug)]
pub struct Restoration {
    taken_in: Unfinished,
    place: PathBuf,
    locked: Locked,
    /// Keeps other processes out of the store that is there.
    _current: Option<Locked>,
}

impl Restoration {
    /// Takes in the copy `from` beside the store of `dir`, which may be missing or damaged, and
    /// checks the database. `from` is only read.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if another program has the store open, [`Error::NotFound`] without a file
    /// `from`, [`Error::Corrupt`] and [`Error::NewerSchema`] for what it holds, and those of the
    /// file system.
    pub fn prepare(dir: &Path, from: &Path) -> Result<Self, Error> {
        let mut source = File::open(from)?;
        if !source.metadata()?.is_file() {
            return Err(Error::Corrupt);
        }
        let current = match Locked::open(dir) {
            Ok(current) => Some(current),
            Err(Error::NotFound | Error::Corrupt | Error::NewerSchema { .. }) => None,
            Err(error) => return Err(error),
        };
        make_private_dir(dir)?;
        let place = dir.join(FILE_NAME);
        let taken_in = Unfinished::new(&place)?;
        let mut copy = taken_in.open()?;
        io::copy(&mut source, &mut copy)?;
        copy.sync_all()?;
        drop(copy);
        let db = Db::open_at(&taken_in.0)?;
        // The file it came from is the copy of an older schema that one would keep.
        let locked = Locked { db: Arc::new(db), keep_copy: false };
        Ok(Self { taken_in, place, locked, _current: current })
    }

    /// The copy, to be unlocked with its PIN, and looked at.
    #[must_use]
    pub fn locked(&self) -> &Locked {
        &self.locked
    }

    /// Puts it in the place of the store, in one step that is durable on return; where the store
    /// that was there is now, if there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if `unlocked` is not this copy, or [`Store::check`] finds something in
    /// it; those of the file system. The store is as it was then.
    pub fn finish(self, unlocked: &Store) -> Result<Option<PathBuf>, Error> {
        let sound = unlocked.check()?.findings.is_empty();
        if !sound || !Arc::ptr_eq(&unlocked.db, &self.locked.db) {
            return Err(Error::Corrupt);
        }
        let folder = File::open(folder_of(&self.place))?;
        let aside = match self.place.try_exists()? {
            true => Some(put_aside(&self.place)?),
            false => None,
        };
        folder.sync_all()?;
        fs::rename(&self.taken_in.0, &self.place)?;
        folder.sync_all()?;
        Ok(aside)
    }
}

/// A second name for the store, so that there is one at each moment.
fn put_aside(store: &Path) -> Result<PathBuf, Error> {
    for number in 1..=MAX_ASIDE {
        let aside = beside(store, &format!("before-restore-{number}"));
        if aside.try_exists()? {
            continue;
        }
        if fs::hard_link(store, &aside).is_err() {
            // No links on this file system: a copy.
            let unfinished = Unfinished::new(&aside)?;
            let mut copy = unfinished.open()?;
            io::copy(&mut File::open(store)?, &mut copy)?;
            copy.sync_all()?;
            place(&unfinished.0, &aside)?;
        }
        return Ok(aside);
    }
    Err(Error::AlreadyExists)
}
