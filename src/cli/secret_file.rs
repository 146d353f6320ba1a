//! Files with a key in them: nobody but their owner may read them.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::hex;
use crate::secret::Secret;

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Others may use it; with what to do about that.
    Open(String),
    System(io::Error),
}

/// Reads at most so many bytes of a file.
pub(super) fn bytes(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let file = File::open(path).map_err(Unusable::System)?;
    let metadata = file.metadata().map_err(Unusable::System)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Unusable::Open(format!(
            "keep it to yourself with: chmod 600 {}",
            path.display()
        )));
    }
    // With room for all of it from the start, so that no copy is left behind by growing. Its length says
    // nothing where it is a pipe.
    let room = usize::try_from(limit).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit).read_to_end(&mut bytes).map_err(Unusable::System)?;
    Ok(bytes)
}

/// Reads a text of at most so many bytes.
///
/// # Errors
///
/// Those of the system, and one of its own for a file that others may use.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<String>> {
    let mut bytes = bytes(path, limit).map_err(|why| match why {
        Unusable::Open(hint) => {
            let words = format!("it can be used by others; {hint}");
            io::Error::new(ErrorKind::PermissionDenied, words)
        }
        Unusable::System(error) => error,
    })?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        io::Error::new(ErrorKind::InvalidData, "it is no UTF-8")
    });
    text.map(Zeroizing::new)
}

/// The key that 64 hexadecimal digits are.
pub(super) fn key(digits: &str) -> Option<Secret<32>> {
    hex::array(digits).map(Zeroizing::new).map(|key| Secret::new(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "0123456789").unwrap();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
        };
        for open in [0o640, 0o604, 0o620] {
            mode(open);
            let error = read(&path, 100).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{open:o}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        mode(0o600);
        assert_eq!(*read(&path, 4).unwrap(), "0123");
        assert_eq!(*read(&path, 100).unwrap(), "0123456789");
    }

    #[test]
    fn keys_are_64_digits() {
        assert_eq!(key(&"aB".repeat(32)), Some(Secret::new([0xab; 32])));
        for bad in ["", "abc", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
            assert!(key(bad).is_none(), "{bad:?}");
        }
    }
}
