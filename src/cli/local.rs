//! A service of cabled on this machine: where its socket is, and what to do when it is not there.
//!
//! Depends on the front ends' clients alone.

use std::path::PathBuf;

use tonic::Status as Refusal;

use super::failure::{Failure, Status};
use super::places;
use crate::frontend::{CAUSE, SocketError};

/// The socket that is named, or the one of this name where sockets usually are.
pub(super) fn socket(named: Option<&PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    let usual = || Some(places::runtime()?.join(name));
    named.cloned().or_else(usual).ok_or_else(|| {
        let error = "there is no folder for sockets: XDG_RUNTIME_DIR is not set";
        Failure::new(Status::Usage, error, "name a place with --socket")
    })
}

/// There is no service, or no socket for one; `start` is the command that starts it.
pub(super) fn failed(error: &SocketError, start: &str) -> Failure {
    let (status, hint) = match error {
        SocketError::InUse(_) => (Status::Usage, "stop that one, or name another --socket"),
        SocketError::Absent(_) => {
            return Failure::because(Status::Usage, error, format!("start it with: {start}"));
        }
        SocketError::NoSocket(_) => (Status::Storage, "move it away, or name another --socket"),
        SocketError::OpenFolder(_) => (Status::Storage, "name a folder of your own with --socket"),
        _ => (Status::Storage, "name a place that you may use with --socket"),
    };
    Failure::because(status, error, hint)
}

/// The cause that a service names for a refusal.
pub(super) fn cause(refusal: &Refusal) -> Option<&str> {
    refusal.metadata().get(CAUSE)?.to_str().ok()
}
