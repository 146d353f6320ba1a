//! Files that are written as a whole or not at all: a temporary file beside, fsync, then the name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rand_core::RngCore as _;

use super::system;

/// A file that is complete on the disk, and has no name yet; removed unless it gets one.
pub(crate) struct Written {
    temporary: PathBuf,
    place: PathBuf,
}

impl Written {
    /// Writes it beside its place, with this mode.
    pub(crate) fn new(place: &Path, text: &str, mode: u32) -> io::Result<Self> {
        Self::with(place, text, |file| file.set_permissions(fs::Permissions::from_mode(mode)))
    }

    /// Writes what is to take the place of a file, with mode and owner of that one.
    pub(crate) fn like(old: &fs::Metadata, place: &Path, text: &str) -> io::Result<Self> {
        Self::with(place, text, |file| {
            let new = file.metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                fchown(file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
        })
    }

    fn with(
        place: &Path,
        text: &str,
        furnish: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".{:016x}.tmp", system::random().next_u64()));
        let temporary = PathBuf::from(name);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        // From here on it is removed on every way out.
        let written = Self { temporary, place: place.to_owned() };
        file.write_all(text.as_bytes())?;
        furnish(&file)?;
        file.sync_all()?;
        Ok(written)
    }

    /// Gives it its name, over whatever has it.
    pub(crate) fn replace(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.place)?;
        self.settle()
    }

    /// Gives it its name unless something has it. A link, unlike a rename, takes nothing away from who
    /// was quicker; where there are no links, a look has to do.
    pub(crate) fn place(self) -> io::Result<()> {
        match fs::hard_link(&self.temporary, &self.place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
            Err(_) if self.place.symlink_metadata().is_ok() => {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Err(_) => fs::rename(&self.temporary, &self.place)?,
            Ok(()) => {}
        }
        self.settle()
    }

    fn settle(&self) -> io::Result<()> {
        File::open(folder_of(&self.place))?.sync_all()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // After a rename there is none.
        let _gone = fs::remove_file(&self.temporary);
    }
}

/// The folder that has the file; a bare name is in the current one.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        Written::new(&file, "one", 0o644).unwrap().place().unwrap();
        let error = Written::new(&file, "two", 0o600).unwrap().place().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        let old = file.metadata().unwrap();
        Written::like(&old, &file, "two").unwrap().replace().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o644);
        drop(Written::new(&file, "three", 0o600).unwrap());
        assert_eq!(names(folder.path()), 1);
    }
}
