//! Why there is no virtual device.
//!
//! Depends on nothing of this crate.

use std::io;

/// What went wrong with `/dev/uhid`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no uhid, or its module is not loaded.
    #[error("the kernel's uhid module is not there")]
    NoModule(#[source] io::Error),
    /// This user may not make virtual devices.
    #[error("this user may not use /dev/uhid")]
    NotAllowed(#[source] io::Error),
    /// Anything else about opening it or making the device.
    #[error("cannot make a virtual key")]
    Create(#[source] io::Error),
    /// Reports can no longer be exchanged.
    #[error("the virtual key broke")]
    Broken(#[source] io::Error),
}

impl Error {
    /// Sorts what opening `/dev/uhid` said.
    pub(super) fn opening(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NoModule(error),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(error),
            _ => match error.raw_os_error() {
                // The node is there before the module, which opening it should have loaded.
                Some(libc::ENODEV | libc::ENXIO) => Self::NoModule(error),
                _ => Self::Create(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_about_it_stays_apart() {
        let of = |code| Error::opening(io::Error::from_raw_os_error(code));
        assert!(matches!(of(libc::ENOENT), Error::NoModule(_)));
        assert!(matches!(of(libc::ENODEV), Error::NoModule(_)));
        assert!(matches!(of(libc::EACCES), Error::NotAllowed(_)));
        assert!(matches!(of(libc::EPERM), Error::NotAllowed(_)));
        assert!(matches!(of(libc::EMFILE), Error::Create(_)));
    }
}
