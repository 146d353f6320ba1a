//! The keys of pairings, in files of their owner's: the one that this machine made, and those that it took
//! from others.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::ble::remote::{PairingId, PairingKey};
use crate::cli::failure::{Failure, Status};
use crate::cli::whole_file::{Written, folder_of};
use crate::cli::{places, secret_file};
use crate::hex;

/// The most pairings that a machine takes from others.
pub(super) const MAX_TAKEN: usize = 64;
/// Bytes of a key in a file: 64 digits and the end of the line.
const LINE: usize = 65;

/// The files.
pub(super) struct Keys {
    own: PathBuf,
    taken: PathBuf,
}

impl Keys {
    /// Those of this user.
    pub(super) fn of_user() -> Result<Self, Failure> {
        let folder = places::state().ok_or_else(|| {
            let error = "there is no home folder to keep the key of a pairing in";
            Failure::new(Status::Usage, error, "set HOME, or XDG_STATE_HOME")
        })?;
        Ok(Self { own: folder.join("radio-own.key"), taken: folder.join("radio-others.keys") })
    }

    /// The key that this machine made.
    pub(super) fn own(&self) -> Result<Option<PairingKey>, Failure> {
        let mut keys = read(&self.own, 1).map_err(|error| failed(&self.own, &error))?;
        Ok(keys.pop())
    }

    /// Keeps the key that this machine made; `false` if there is one already.
    pub(super) fn make(&self, key: &PairingKey) -> Result<bool, Failure> {
        let made = write(&self.own, std::slice::from_ref(key)).and_then(Written::place);
        match made {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed(&self.own, &error)),
        }
    }

    /// The keys that other machines made.
    pub(super) fn taken(&self) -> Result<Vec<PairingKey>, Failure> {
        read(&self.taken, MAX_TAKEN).map_err(|error| failed(&self.taken, &error))
    }

    /// Keeps the key that another machine made.
    pub(super) fn take(&self, key: PairingKey) -> Result<(), Failure> {
        let mut keys = self.taken()?;
        if keys.contains(&key) {
            return Ok(());
        }
        if keys.len() >= MAX_TAKEN {
            let error = format!("this machine is paired with {MAX_TAKEN} others already");
            return Err(Failure::new(
                Status::Usage,
                error,
                "forget them with: cabled radio unpair",
            ));
        }
        keys.push(key);
        self.replace(&keys)
    }

    /// Forgets the pairing of this name, or all; gives those that are gone.
    pub(super) fn forget(&self, id: Option<&str>) -> Result<Vec<PairingId>, Failure> {
        let meant = |key: &PairingKey| id.is_none_or(|id| key.id().to_string() == id);
        let (mut gone, mut left) = (Vec::new(), Vec::new());
        for key in self.taken()? {
            if meant(&key) {
                gone.push(key.id());
            } else {
                left.push(key);
            }
        }
        if !gone.is_empty() {
            self.replace(&left)?;
        }
        if let Some(key) = self.own()?.filter(meant) {
            std::fs::remove_file(&self.own).map_err(|error| failed(&self.own, &error))?;
            gone.push(key.id());
        }
        Ok(gone)
    }

    fn replace(&self, keys: &[PairingKey]) -> Result<(), Failure> {
        let replaced = write(&self.taken, keys).and_then(Written::replace);
        replaced.map_err(|error| failed(&self.taken, &error))
    }
}

fn read(file: &Path, most: usize) -> io::Result<Vec<PairingKey>> {
    let limit = u64::try_from(LINE * most).unwrap_or_default();
    let text = match secret_file::read(file, limit) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let wrong = || io::Error::new(ErrorKind::InvalidData, "it has to hold 64 hexadecimal digits");
    let key = |line| secret_file::key(line).map(PairingKey::new).ok_or_else(wrong);
    text.lines().map(key).collect()
}

fn write(file: &Path, keys: &[PairingKey]) -> io::Result<Written> {
    let mut text = Zeroizing::new(String::with_capacity(LINE * keys.len()));
    for key in keys {
        let digits = Zeroizing::new(hex::lower(key.secret().expose()));
        text.push_str(&digits);
        text.push('\n');
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder_of(file))?;
    Written::new(file, &text, 0o600)
}

fn failed(file: &Path, error: &io::Error) -> Failure {
    let error = format!("the file of the pairing, {}, cannot be used: {error}", file.display());
    let hint = "mend or remove the file; then pair the machines again: cabled radio pair";
    Failure::new(Status::Storage, error, hint)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::secret::Secret;

    fn key(byte: u8) -> PairingKey {
        PairingKey::new(Secret::new([byte; 32]))
    }

    fn keys(folder: &Path) -> Keys {
        Keys { own: folder.join("new/own"), taken: folder.join("new/taken") }
    }

    #[test]
    fn keys_are_kept_for_their_owner_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        assert!(keys.own().unwrap().is_none() && keys.taken().unwrap().is_empty());
        assert!(keys.make(&key(1)).unwrap() && !keys.make(&key(2)).unwrap());
        for byte in [3, 4, 3] {
            keys.take(key(byte)).unwrap();
        }
        assert_eq!(keys.own().unwrap(), Some(key(1)));
        assert_eq!(keys.taken().unwrap(), [key(3), key(4)]);
        for file in [&keys.own, &keys.taken] {
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(keys.forget(Some("0000-0000")).unwrap().is_empty());
        assert_eq!(keys.forget(Some(&key(3).id().to_string())).unwrap(), [key(3).id()]);
        assert_eq!(keys.forget(None).unwrap(), [key(4).id(), key(1).id()]);
        assert!(keys.own().unwrap().is_none() && keys.taken().unwrap().is_empty());
    }

    #[test]
    fn files_of_others_and_damaged_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        keys.make(&key(1)).unwrap();
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&keys.own, open).unwrap();
        let failure = keys.own().unwrap_err();
        assert!(failure.error.contains("chmod 600"), "{failure:?}");
        std::fs::remove_file(&keys.own).unwrap();
        Written::new(&keys.own, "abc\n", 0o600).unwrap().place().unwrap();
        assert!(keys.own().is_err());
    }

    #[test]
    fn a_machine_takes_so_many_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        for byte in 0..64 {
            keys.take(key(byte)).unwrap();
        }
        assert_eq!(keys.taken().unwrap().len(), MAX_TAKEN);
        assert_eq!(keys.take(key(64)).unwrap_err().status, Status::Usage);
    }
}
