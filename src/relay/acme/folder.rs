//! What is kept between starts: account, certificate with its key, and the times of the last tries.
//!
//! Each server has a folder of its own, so that what one gave for a trial is not taken for another's. Each file is
//! replaced as a whole, and certificate and key are one file: whoever is killed in between leaves the old pair.
//! Depends on the file system.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::relay::config::AcmeConfig;
use crate::relay::error::Error;
use crate::whole;

/// How long a file may be.
const LONGEST: u64 = 256 << 10;

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Where the account is at its server, and its key.
    Account,
    /// The chain, and the key of its first certificate.
    Certificate,
    /// When was tried.
    Tries,
}

impl Kept {
    const ALL: [Self; 3] = [Self::Account, Self::Certificate, Self::Tries];

    fn name(self) -> &'static str {
        match self {
            Self::Account => "account.json",
            Self::Certificate => "certificate.pem",
            Self::Tries => "tries",
        }
    }
}

/// Where they are.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Looks whether what there is can be used; writes nothing.
    pub(super) fn new(config: &AcmeConfig) -> Result<Self, Error> {
        let folder = Self(config.folder.join(named_after(&config.directory)));
        for place in [&config.folder, &folder.0] {
            check(place).map_err(|source| Error::AcmeFile { path: place.clone(), source })?;
        }
        for kept in Kept::ALL {
            let failed = |source| Error::AcmeFile { path: folder.path(kept), source };
            folder.read(kept).map_err(failed)?;
        }
        Ok(folder)
    }

    /// Makes it, and sees whether it can be written to.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        let failed = |source| Error::AcmeFile { path: self.0.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        let tries = self.read(Kept::Tries).map_err(failed)?.unwrap_or_default();
        self.write(Kept::Tries, &tries).map_err(failed)
    }

    pub(super) fn path(&self, kept: Kept) -> PathBuf {
        self.0.join(kept.name())
    }

    /// What is in a file, if it is there.
    pub(super) fn read(&self, kept: Kept) -> io::Result<Option<Zeroizing<String>>> {
        let file = match File::open(self.path(kept)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            let words = "it can be used by others; if none of them has read it, keep it to yourself with chmod 600, \
                otherwise remove it, and another is made";
            return Err(io::Error::new(ErrorKind::PermissionDenied, words));
        }
        let mut text = Zeroizing::new(String::new());
        if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 256 KiB"));
        }
        Ok(Some(text))
    }

    /// Puts a text in a file's place. Until it has its name it has always the same other one, so that one who is
    /// killed leaves at most one behind, which the next takes away.
    pub(super) fn write(&self, kept: Kept, text: &str) -> io::Result<()> {
        let place = self.path(kept);
        whole::replace(&place, &place.with_extension("new"), text.as_bytes())
    }

    /// The same beside the tasks of the runtime: a disk may be slow.
    pub(super) async fn keep(&self, kept: Kept, text: Zeroizing<String>) -> io::Result<()> {
        let folder = self.clone();
        let written = tokio::task::spawn_blocking(move || folder.write(kept, &text)).await;
        written.unwrap_or_else(|defect| Err(io::Error::other(defect)))
    }

    /// Forgets a file.
    pub(super) fn forget(&self, kept: Kept) -> io::Result<()> {
        fs::remove_file(self.path(kept))
    }
}

/// A folder in which others may not put files, or none.
fn check(folder: &Path) -> io::Result<()> {
    let metadata = match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is no folder"));
    }
    match metadata.permissions().mode() & 0o022 {
        0 => Ok(()),
        _ => Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "others may write there: chmod go-w, or choose another folder",
        )),
    }
}

/// A name for the folder of a server, from its URL.
fn named_after(directory: &str) -> String {
    let place = directory.strip_prefix("https://").unwrap_or(directory);
    let legal = |at, c: char| c.is_ascii_alphanumeric() || c == '-' || (c == '.' && at > 0);
    // 255 is the longest that file systems take; the account says whose it is.
    let letters = place.chars().take(200).enumerate();
    letters.map(|(at, c)| if legal(at, c) { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> AcmeConfig {
        AcmeConfig {
            domains: vec!["relay.example".to_owned()],
            contact: None,
            folder: folder.to_owned(),
            directory: "https://localhost:14000/dir".to_owned(),
            authority: None,
            terms_agreed: true,
        }
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_are_their_owners_and_replaced_as_a_whole() {
        let place = tempfile::tempdir().unwrap();
        let config = config(&place.path().join("acme"));
        let folder = Folder::new(&config).unwrap();
        assert!(!config.folder.exists(), "looking writes nothing");
        folder.prepare().unwrap();
        assert_eq!((mode(&config.folder), mode(&folder.0)), (0o700, 0o700));
        assert_eq!(folder.0, config.folder.join("localhost_14000_dir"));
        assert_eq!(folder.read(Kept::Account).unwrap(), None);
        // What one who was killed left is in nobody's way.
        fs::write(folder.0.join("certificate.new"), "half").unwrap();
        for text in ["one", "two"] {
            folder.write(Kept::Certificate, text).unwrap();
            assert_eq!(*folder.read(Kept::Certificate).unwrap().unwrap(), text);
        }
        assert_eq!(mode(&folder.path(Kept::Certificate)), 0o600);
        let mut names: Vec<_> =
            fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["certificate.pem", "tries"]);
        folder.forget(Kept::Certificate).unwrap();
        assert_eq!(folder.read(Kept::Certificate).unwrap(), None);
    }

    #[test]
    fn what_others_may_use_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let config = config(&place.path().join("acme"));
        let folder = Folder::new(&config).unwrap();
        folder.prepare().unwrap();
        for kept in Kept::ALL {
            folder.write(kept, "text").unwrap();
            let path = folder.path(kept);
            for open in [0o640, 0o604, 0o620] {
                chmod(&path, open);
                let error = Folder::new(&config).unwrap_err();
                assert!(
                    matches!(&error, Error::AcmeFile { path: named, source }
                    if *named == path && source.to_string().contains("chmod 600")),
                    "{error:?}"
                );
            }
            chmod(&path, 0o600);
        }
        assert!(Folder::new(&config).is_ok());
        for open in [0o770, 0o702] {
            chmod(&config.folder, open);
            let error = Folder::new(&config).unwrap_err();
            assert!(matches!(error, Error::AcmeFile { path, .. } if path == config.folder));
        }
        // Others may see what is there, as in systemd's state directories.
        chmod(&config.folder, 0o755);
        assert!(Folder::new(&config).is_ok());
        folder.write(Kept::Account, &"x".repeat(LONGEST as usize + 1)).unwrap();
        assert!(Folder::new(&config).is_err());
    }

    #[test]
    fn a_servers_folder_has_a_name_that_a_file_can_have() {
        for (url, name) in [
            (AcmeConfig::LETS_ENCRYPT, "acme-v02.api.letsencrypt.org_directory"),
            ("https://[::1]:1/../..", "___1__1_.._.."),
            ("https://A.example/x?y=z", "a.example_x_y_z"),
            ("https://..", "_."),
        ] {
            assert_eq!(named_after(url), name);
        }
        assert_eq!(named_after(&format!("https://{}", "a".repeat(999))).len(), 200);
    }
}
