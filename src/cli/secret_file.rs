//! Files with a key in them: nobody but their owner may read them.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Reads a file of at most so many bytes.
///
/// # Errors
///
/// Those of the system, and one of its own for a file that others may use.
pub(super) fn read(path: &Path, limit: u64) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let words = format!(
            "it can be used by others; keep it to yourself with: chmod 600 {}",
            path.display()
        );
        return Err(io::Error::new(ErrorKind::PermissionDenied, words));
    }
    // With room for all of it from the start, so that no copy is left behind by growing.
    let room = usize::try_from(metadata.len().min(limit)).unwrap_or_default().saturating_add(1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// The key that 64 hexadecimal digits are.
pub(super) fn key(digits: &str) -> Option<Secret<32>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut key = Zeroizing::new([0; 32]);
    let read = pairs.len() == 32
        && rest.is_empty()
        && key.iter_mut().zip(pairs).all(|(byte, [high, low])| {
            let value = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
            *byte = value.unwrap_or_default();
            value.is_some()
        });
    read.then(|| Secret::new(*key))
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
