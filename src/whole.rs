//! Files that are the old one or the new one, also after a crash. Depends on the file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Puts these bytes in the place of a file, its owner's alone and safe on the disk. Until then they are `beside` it, in the
/// same folder: what somebody who was killed left there goes, and nothing stays there on any way out.
///
/// # Errors
///
/// Those of the file system; the old file is there still.
pub(crate) fn replace(place: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(beside, place)) {
        let _already_gone = fs::remove_file(beside);
        return Err(error);
    }
    place.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_one_stays_where_the_new_one_cannot_be_placed() {
        let folder = tempfile::tempdir().unwrap();
        let (place, beside) = (folder.path().join("file"), folder.path().join("file.new"));
        fs::write(&beside, "half").unwrap();
        replace(&place, &beside, b"one").unwrap();
        replace(&place, &beside, b"two").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
        // A folder with something in it cannot be replaced by a file.
        let full = folder.path().join("folder");
        fs::create_dir(&full).unwrap();
        fs::write(full.join("inside"), "kept").unwrap();
        replace(&full, &beside, b"three").unwrap_err();
        assert_eq!(fs::read(full.join("inside")).unwrap(), b"kept");
        assert!(!beside.exists());
    }
}
