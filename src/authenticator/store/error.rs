//! Why the store did not do what it was asked.
//!
//! Depends on the sibling modules of the role only.

use std::io::{self, ErrorKind};

use crate::authenticator::Timestamp;

/// Why the store did not do what it was asked. The file is as it was before, unless said otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no store in that directory yet.
    #[error("there is no passkey store yet")]
    NotFound,
    /// There is one, so none can be created.
    #[error("there already is a passkey store")]
    AlreadyExists,
    /// Another process has it open.
    #[error("the passkey store is open in another program")]
    InUse,
    /// The PIN is wrong; this try was counted.
    #[error("the PIN is wrong, {tries_left} more tries before a waiting time")]
    WrongPin {
        /// Tries left before the first waiting time; 0: from now on each failure means a wait.
        tries_left: u32,
    },
    /// Too many wrong PINs. Nothing is lost and no PIN was tried.
    #[error("too many wrong PINs, the passkey store is locked for a while")]
    LockedOut {
        /// When the next try is taken.
        until: Timestamp,
    },
    /// A newer version of this program wrote the store.
    #[error("the passkey store has schema {found}, this program knows up to {supported}")]
    NewerSchema {
        /// The file's schema.
        found: u32,
        /// The newest that this program reads.
        supported: u32,
    },
    /// The file is damaged, or was altered: a checksum, a seal or a shape does not fit.
    #[error("the passkey store is damaged")]
    Corrupt,
    /// The disk, or the quota on it, is full.
    #[error("the disk is full")]
    DiskFull(#[source] io::Error),
    /// The operating system denies access to the file.
    #[error("access to the passkey store is denied")]
    Permission(#[source] io::Error),
    /// Another failure of the file system.
    #[error("the passkey store cannot be read or written")]
    Io(#[source] io::Error),
    /// An earlier write failed half-way; the file is sound, and has to be opened again.
    #[error("an earlier write to the passkey store failed, it has to be opened again")]
    NeedsReopen,
    /// No unlock key has that name, or what was given is not that key.
    #[error("that key does not open the passkey store")]
    NoSuchKey,
    /// No passkey has that id, or not any more.
    #[error("there is no such passkey")]
    NoSuchPasskey,
    /// A text of the passkey, or all of it, is longer than the store takes.
    #[error("the passkey is too large for the store")]
    TooLarge,
    /// The database refused in a way that has nothing to do with the above.
    #[error("the passkey database failed")]
    Database(#[source] Box<redb::Error>),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull(error)
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Permission(error),
            // What redb says of a file that is not one of its own, or is cut short.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Corrupt,
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        use redb::Error as E;
        match error {
            E::Io(error) => error.into(),
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => Self::InUse,
            E::PreviousIo | E::DatabaseClosed => Self::NeedsReopen,
            E::Corrupted(_) | E::UpgradeRequired(_) | E::TableDoesNotExist(_) => Self::Corrupt,
            E::TableTypeMismatch { .. } | E::TableIsMultimap(_) => Self::Corrupt,
            E::TypeDefinitionChanged { .. } => Self::Corrupt,
            other => Self::Database(Box::new(other)),
        }
    }
}

/// For `map_err`: each redb call has an error type of its own.
pub(super) fn database(error: impl Into<redb::Error>) -> Error {
    error.into().into()
}
