//! The folder that is the air: who may own it, what lies in it. File system calls only.
//!
//! | name | what |
//! |---|---|
//! | `<16 hex digits>.scan` | socket of a running scan |
//! | `<4 hex digits>.l2cap` | socket that takes connections, named by its port |
//! | `<12 hex digits>.heard` | an advert that a scan with `replay` has heard, for later scans |

use std::fs::{self, DirBuilder, DirEntry, File, Metadata, Permissions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use super::failed;
use crate::ble::frame::{self, MAX_FRAME};
use crate::ble::hearing::MAX_RECORDED;
use crate::ble::rng::Rng;
use crate::ble::{Error, FolderProblem, Sighting, peer};
use crate::hex;

/// Bytes of a socket's path that every Unix accepts: Linux has 107 and the BSDs 103.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Slash, 16 digits, `.scan`.
const NAME: usize = 22;
/// Entries of the folder that are looked at; more than any honest air has.
const MAX_ENTRIES: usize = 4096;

/// Makes the folder if it is missing; refuses one that others could tamper with.
pub(super) fn prepare(folder: &Path) -> Result<(), Error> {
    let len = folder.as_os_str().as_bytes().len();
    let max = MAX_PATH - NAME;
    if len > max {
        return Err(Error::PathTooLong { path: folder.to_owned(), len, max });
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.or_else(|cause| if folder.exists() { Ok(()) } else { Err(cause) })
        .map_err(|cause| failed(folder, cause))?;
    let metadata = fs::symlink_metadata(folder).map_err(|cause| failed(folder, cause))?;
    judge(&metadata, own_user(folder)?)
        .map_err(|problem| Error::UnsafeFolder { path: folder.to_owned(), problem })
}

fn judge(metadata: &Metadata, user: u32) -> Result<(), FolderProblem> {
    if !metadata.is_dir() {
        Err(FolderProblem::NotAFolder)
    } else if metadata.uid() != user {
        Err(FolderProblem::ForeignOwner)
    } else if metadata.mode() & 0o022 != 0 {
        Err(FolderProblem::WritableByOthers)
    } else {
        Ok(())
    }
}

fn own_user(folder: &Path) -> Result<u32, Error> {
    Handle::try_current().map_err(Error::NoRuntime)?;
    peer::own_user().map_err(|cause| failed(folder, cause))
}

pub(super) fn socket_name(rng: &mut Rng) -> String {
    format!("{:016x}.scan", rng.word())
}

pub(super) fn keep_private(socket: &Path) -> Result<(), Error> {
    fs::set_permissions(socket, Permissions::from_mode(0o600))
        .map_err(|cause| failed(socket, cause))
}

/// Lists the sockets of scans, dead ones too. A folder that has vanished has none.
pub(super) fn sockets(folder: &Path) -> Vec<PathBuf> {
    // The type must be asked: sending to a plain file is refused like sending to a dead socket.
    let is_socket = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_socket());
    named(folder, "scan").filter(is_socket).map(|entry| entry.path()).collect()
}

/// Keeps an advert for replay. An advert that cannot be kept is one that nobody recorded.
pub(super) fn record(folder: &Path, sighting: &Sighting) {
    let name = hex::lower(&sighting.address.bytes);
    let path = folder.join(format!("{name}.heard"));
    let _ = fs::write(path, frame::encode(sighting));
    let files = records(folder);
    let excess = files.len().saturating_sub(MAX_RECORDED);
    for path in files.iter().take(excess) {
        let _ = fs::remove_file(path);
    }
}

/// Reads what was recorded, oldest first.
pub(super) fn recorded(folder: &Path) -> Vec<Sighting> {
    let files = records(folder);
    let excess = files.len().saturating_sub(MAX_RECORDED);
    let bytes = files.iter().skip(excess).filter_map(|path| read(path).ok());
    bytes.filter_map(|bytes| frame::decode(&bytes)).collect()
}

fn records(folder: &Path) -> Vec<PathBuf> {
    let is_file = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    let dated = |entry: DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut files: Vec<_> = named(folder, "heard").filter(is_file).filter_map(dated).collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FRAME).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn named(folder: &Path, extension: &'static str) -> impl Iterator<Item = DirEntry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_ENTRIES);
    entries.filter(move |entry| entry.path().extension().is_some_and(|found| found == extension))
}
