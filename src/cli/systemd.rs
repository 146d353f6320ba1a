//! What a daemon and systemd tell each other: a socket that is handed over, and how far one is.
//!
//! Depends on the front end's listener, for the sockets that are not TCP.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use listenfd::ListenFd;

use crate::cli::failure::{Failure, Status};
use crate::frontend::grpc::Listener;

/// The socket of `LISTEN_FDS`, if there is one; `unit` is the one to look at if it is no good.
///
/// # Errors
///
/// What was handed over is no listening Unix socket.
pub(super) fn inherited(unit: &str) -> Result<Option<Listener>, Failure> {
    let taken = ListenFd::from_env().take_unix_listener(0);
    taken.and_then(|listener| listener.map(Listener::inherited).transpose()).map_err(|error| {
        let error = format!("the socket that systemd hands over cannot be used: {error}");
        let hint = format!("see: systemctl --user status {unit}");
        Failure::new(Status::Failure, error, hint)
    })
}

/// As [`inherited`], of a service of the system that listens on TCP.
///
/// # Errors
///
/// What was handed over is no listening TCP socket.
pub(super) fn inherited_tcp(unit: &str) -> Result<Option<TcpListener>, Failure> {
    ListenFd::from_env().take_tcp_listener(0).map_err(|error| {
        let error = format!("the socket that systemd hands over cannot be used: {error}");
        Failure::new(Status::Failure, error, format!("see: systemctl status {unit}"))
    })
}

/// Tells systemd, where it listens. Nobody else does, and what it misses stops nothing.
pub(super) fn notify(state: &str) {
    if let Err(error) = tell(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

fn tell(state: &str) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}
