//! Where the laptop's service is, and what to do when it refuses or is not there.
//!
//! Depends on the front end's client alone.

use std::path::PathBuf;

use clap::Args;
use tonic::{Code, Status as Refusal};

use crate::cli::failure::{Failure, Status};
use crate::cli::local::{self, cause};
use crate::frontend::SocketError;
use crate::frontend::control::{self, Client};

/// What to do where there is no keyring.
pub(crate) const PHONES_KEY: &str =
    "unlock or start the desktop's keyring, or name a file of your own with --phones-key";

/// The service's socket.
#[derive(Args, Clone, Debug)]
pub(crate) struct Socket {
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/cabled/laptop.sock]
    #[arg(long = "socket", value_name = "PATH", env = "CABLED_DAEMON_SOCKET", global = true)]
    path: Option<PathBuf>,
    /// Where to look for one that is not named, in place of the session's.
    #[arg(skip)]
    of_user: Option<PathBuf>,
}

impl Socket {
    /// The place.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        local::socket(self.path.as_ref().or(self.of_user.as_ref()), "laptop.sock")
    }

    /// That of the daemon of this user, unless one is named.
    pub(crate) fn of_user(&mut self, uid: u32) {
        self.of_user = Some(format!("/run/user/{uid}/cabled/laptop.sock").into());
    }

    /// Whether a service is named, and so meant.
    pub(crate) fn is_named(&self) -> bool {
        self.path.is_some()
    }

    /// A client of the service, which has to be there.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        control::connect(&self.path()?).await.map_err(|error| failed(&error))
    }

    /// A client of the service, unless none is named and none runs.
    pub(crate) async fn client_if_any(&self) -> Result<Option<Client>, Failure> {
        if self.is_named() {
            return self.client().await.map(Some);
        }
        let Ok(path) = self.path() else { return Ok(None) };
        match control::connect(&path).await {
            Ok(client) => Ok(Some(client)),
            Err(SocketError::Absent(_)) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// There is no service, or no socket for one.
pub(super) fn failed(error: &SocketError) -> Failure {
    local::failed(error, "cabled daemon")
}

/// The service's refusal, with an exit status by its cause.
pub(crate) fn refused(refusal: &Refusal) -> Failure {
    let (status, hint) = match cause(refusal) {
        Some("busy") => (Status::Failure, "wait until one of them is over"),
        Some("stopping") => (Status::Failure, "start it again with: cabled daemon"),
        Some("no-such-transaction") => (Status::Usage, "see: cabled watch"),
        Some("no-such-receipt") => (Status::Usage, "see: cabled receipts list"),
        Some("no-such-phone" | "phone-name") => (Status::Usage, "see: cabled phones list"),
        Some("phones-key") => (Status::Storage, PHONES_KEY),
        Some("options") => (Status::Usage, "pass what the relying party's server sends, unchanged"),
        Some("bad-request") => (Status::Usage, "use the same version of cabled for both"),
        Some("storage") => (Status::Storage, "see what the daemon itself tells, with -v"),
        _ => match refusal.code() {
            Code::Unavailable => (Status::Failure, "start it again with: cabled daemon"),
            Code::Cancelled | Code::DeadlineExceeded => {
                (Status::Failure, "it did not answer in time; look at what it does")
            }
            _ => (Status::Failure, "see what the daemon itself tells, with -v"),
        },
    };
    Failure::new(status, refusal.message(), hint)
}
