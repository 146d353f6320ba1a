//! Connections between processes: a port is a Unix socket `DIR/<4 hex digits>.l2cap`.
//!
//! The same rules as for scans: a folder of its owner's, sockets of mode 0600, and what a killed
//! process left behind is taken over by whoever comes to it. Depends on tokio and `folder`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::{AirRadio, failed, folder};
use crate::ble::link::{DYNAMIC_PSMS, Link, Linker, Listener};
use crate::ble::rng::Rng;
use crate::ble::{Address, Error};
use crate::hybrid::advert::Psm;

/// For a connection on this machine; what takes longer is a listener that does not take it.
const DEADLINE: Duration = Duration::from_secs(5);

impl Linker for AirRadio {
    type Listener = AirListener;

    /// The address is not looked at: a port is there once in the folder.
    async fn connect(&self, _peer: Address, psm: Psm) -> Result<Link, Error> {
        folder::prepare(&self.folder)?;
        let connecting = UnixStream::connect(path(&self.folder, psm.0));
        let connected = timeout(DEADLINE, connecting).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        stream.map(Link::over).map_err(Error::Unreachable)
    }

    async fn listen(&self) -> Result<AirListener, Error> {
        folder::prepare(&self.folder)?;
        let ports = DYNAMIC_PSMS.end() - DYNAMIC_PSMS.start() + 1;
        // Ports that are looked for from different ends meet seldom.
        let first = (Rng::new(None)?.word() % u64::from(ports)) as u16;
        for number in 0..ports {
            let psm = DYNAMIC_PSMS.start() + (first + number) % ports;
            if let Some(listener) = AirListener::bind(&self.folder, psm).await? {
                return Ok(listener);
            }
        }
        Err(Error::NoFreePort)
    }
}

fn path(folder: &Path, psm: u16) -> PathBuf {
    folder.join(format!("{psm:04x}.l2cap"))
}

/// A listener of an [`AirRadio`]; its socket is gone when it is dropped.
#[derive(Debug)]
#[must_use = "dropping a listener ends it"]
pub struct AirListener {
    socket: UnixListener,
    path: PathBuf,
    psm: u16,
}

impl AirListener {
    /// Takes the port, or gives `None` if somebody has it.
    async fn bind(folder: &Path, psm: u16) -> Result<Option<Self>, Error> {
        let path = path(folder, psm);
        let socket = match UnixListener::bind(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                if !is_dead(&path).await {
                    return Ok(None);
                }
                // If another takes it over at the same time, one of the two binds fails.
                let _ = std::fs::remove_file(&path);
                UnixListener::bind(&path)
            }
            other => other,
        };
        // From here on a failure drops the listener, which removes the socket.
        let socket = socket.map_err(|cause| failed(&path, cause))?;
        let listener = Self { socket, path, psm };
        folder::keep_private(&listener.path)?;
        Ok(Some(listener))
    }
}

/// Whether a socket was left behind by a process that is gone.
async fn is_dead(path: &Path) -> bool {
    let connected = timeout(DEADLINE, UnixStream::connect(path)).await;
    matches!(connected, Ok(Err(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused)
}

impl Listener for AirListener {
    fn psm(&self) -> Psm {
        Psm(self.psm)
    }

    async fn accept(&mut self) -> Result<Link, Error> {
        let accepted = self.socket.accept().await;
        let (stream, _) = accepted.map_err(|cause| failed(&self.path, cause))?;
        Ok(Link::over(stream))
    }
}

impl Drop for AirListener {
    fn drop(&mut self) {
        // If this fails the next listener finds the socket dead and takes its place.
        let _ = std::fs::remove_file(&self.path);
    }
}
