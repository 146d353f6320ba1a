//! The Unix socket of a daemon: its place, and who may connect.
//!
//! The folder is its owner's only (0700), the socket too (0600), and whoever connects is looked at
//! once more: the same user, or root. What is spoken over it is each daemon's own. Depends on tokio,
//! tonic and the sibling `dial`.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::Server;

use super::dial::{CONNECT, SocketError};
use super::serving::{self, Entrance, Peer};

/// How long a call may take until its answer begins.
const CALL: Duration = Duration::from_secs(30);

/// A server within the bounds of one owner's needs.
pub(super) fn server() -> Server {
    serving::server(CALL)
}

/// A socket on which clients are awaited. The file goes when this is dropped, if this made it.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: Option<Made>,
    own: u32,
}

#[derive(Debug)]
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        let _gone_before = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Makes the socket, and its folder for its owner only if there is none. One that a service
    /// left behind is replaced. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`SocketError`].
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Io(path.to_owned(), error);
        folder(path)?;
        vacate(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let made = Made(path.to_owned());
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Self::over(listener, Some(made)).map_err(failed)
    }

    /// Over a socket that somebody else made, such as systemd. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn inherited(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::over(UnixListener::from_std(listener)?, None)
    }

    fn over(listener: UnixListener, path: Option<Made>) -> io::Result<Self> {
        // The kernel says who one is oneself in the same terms as it does of others.
        let own = UnixStream::pair()?.0.peer_cred()?.uid();
        Ok(Self { listener, path, own })
    }

    /// The next client who may use the service, for one that speaks something of its own.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.next().await
    }

    /// Connections of those who may, without end.
    pub(super) fn incoming(self) -> BoxStream<'static, io::Result<Peer<UnixStream>>> {
        serving::incoming(self)
    }

    /// Where it is, if this made it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref().map(|made| made.0.as_path())
    }
}

/// Only the owner and root come in.
impl Entrance for Listener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if allowed(peer.uid(), self.own) => return Ok(stream),
                _ => tracing::warn!("another user tried to connect to the service"),
            }
        }
    }
}

/// Whether a user may speak to the service of another.
fn allowed(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

fn folder(path: &Path) -> Result<(), SocketError> {
    let failed = |error| SocketError::Io(path.to_owned(), error);
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = std::fs::metadata(folder).map_err(failed)?.permissions().mode();
    // In a folder that others can write to they could put a socket of theirs in the place of ours.
    match mode & 0o022 != 0 {
        true => Err(SocketError::OpenFolder(path.to_owned())),
        false => Ok(()),
    }
}

/// Removes a socket that nobody listens on.
async fn vacate(path: &Path) -> Result<(), SocketError> {
    let failed = |error| SocketError::Io(path.to_owned(), error);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match tokio::time::timeout(CONNECT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok(_)) | Err(_) => Err(SocketError::InUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::dial::connect;
    use super::*;

    #[test]
    fn other_users_are_refused() {
        assert!(allowed(1000, 1000) && allowed(0, 1000));
        assert!(!allowed(1001, 1000) && !allowed(1000, 0));
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_and_a_second_service_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cabled/phone.sock");
        let first = Listener::bind(&path).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(Listener::bind(&path).await, Err(SocketError::InUse(_))));
        drop(first);
        assert!(matches!(connect(&path).await, Err(SocketError::Absent(_))));
        // One that was killed leaves its file behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        Listener::bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_stays_and_open_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phone.sock");
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(Listener::bind(&path).await, Err(SocketError::NoSocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let path = folder.path().join("other.sock");
        assert!(matches!(Listener::bind(&path).await, Err(SocketError::OpenFolder(_))));
    }
}
