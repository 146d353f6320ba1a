//! Errors of the radio layer. Depends on nothing of this crate.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(all(feature = "bluetooth", target_os = "linux"))]
use super::bluez::Capabilities;

/// Why the radio cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Bluetooth adapter, or not the one asked for.
    #[error("no Bluetooth adapter was found")]
    NoAdapter,
    /// The adapter is there but switched off, or was switched off meanwhile.
    #[error("the Bluetooth adapter is switched off")]
    PoweredOff,
    /// The operating system does not let this user use the radio.
    #[error("no permission to use Bluetooth")]
    PermissionDenied,
    /// The service data does not fit into one advertisement.
    #[error("the advert has {len} bytes of service data, but only {max} fit")]
    TooLong {
        /// Bytes asked for.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// A real radio was asked for, but only the simulated one was built in.
    #[error("this build has only the simulated radio (air:DIR), no Bluetooth")]
    SimulatedOnly,
    /// The folder of the simulated radio cannot be trusted.
    #[error("the folder of the simulated radio, {}, {problem}", path.display())]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: FolderProblem,
    },
    /// The folder's path leaves no room for the name of a socket in it.
    #[error(
        "the path of the simulated radio's folder, {}, has {len} bytes, but at most {max} work",
        path.display()
    )]
    PathTooLong {
        /// The folder.
        path: PathBuf,
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The simulated radio between processes is made of Unix sockets.
    #[cfg(not(unix))]
    #[error("this system has no simulated radio between processes")]
    NoAir,
    /// The folder or a socket of the simulated radio failed.
    #[error("the simulated radio cannot use {}", path.display())]
    Air {
        /// The folder or the socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gave no randomness for an address or a name.
    #[error("the system gave no random bytes")]
    NoEntropy(#[source] rand_core::Error),
    /// The radio was used outside of a tokio runtime.
    #[error("the radio needs a tokio runtime")]
    NoRuntime(#[source] tokio::runtime::TryCurrentError),
    /// The adapter was there, and was pulled out.
    #[error("the Bluetooth adapter was removed")]
    AdapterGone,
    /// The Bluetooth service was there, and ended or was restarted: what was on is off.
    #[error("the Bluetooth service ended or was restarted")]
    ServiceGone,
    /// What ended or prevented a scan that several shared.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// The task of a scan that several shared is gone, with its runtime.
    #[error("the scan of the radio has ended")]
    ScanEnded,
    /// There is nobody to ask for Bluetooth: no D-Bus, or no bluetoothd.
    #[error("the Bluetooth service cannot be reached")]
    NoService(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The Bluetooth service is there but silent.
    #[error("the Bluetooth service did not answer within {} seconds", .0.as_secs())]
    NoAnswer(Duration),
    /// The controller sends as many adverts as it can.
    #[cfg(all(feature = "bluetooth", target_os = "linux"))]
    #[error("the Bluetooth adapter has no room for another advert ({capabilities})")]
    NoFreeSlot {
        /// What the controller says of itself.
        capabilities: Capabilities,
    },
    /// The controller refused the advert, also in its simplest form.
    #[cfg(all(feature = "bluetooth", target_os = "linux"))]
    #[error("the Bluetooth adapter refused the advert ({capabilities})")]
    Refused {
        /// What the controller says of itself.
        capabilities: Capabilities,
        /// What BlueZ said to the last attempt.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// This system has no way to send adverts.
    #[error("adverts can be sent on Linux only")]
    CannotSend,
    /// This system has no connections over Bluetooth.
    #[error("connections over Bluetooth are possible on Linux only")]
    CannotLink,
    /// All ports for connections are taken.
    #[error("no port for a connection over Bluetooth is free")]
    NoFreePort,
    /// The system refuses to make or take connections over Bluetooth.
    #[error("no connection can be made over Bluetooth")]
    Link(#[source] io::Error),
    /// The other device did not take the connection.
    #[error("the other device did not take a connection over Bluetooth")]
    Unreachable(#[source] io::Error),
    /// The adapter cannot send adverts.
    #[error("this Bluetooth adapter cannot send adverts")]
    ReceivesOnly,
    /// The radio of another machine carries nothing but what it hears.
    #[error("a shared radio only hears: it can neither send nor connect")]
    SharedOnlyHears,
    /// Nobody said where the socket of the shared radio is.
    #[error("there is no folder for the socket of the shared radio")]
    NoShareSocket,
    /// No other machine shares its radio with this one now.
    #[error("no other machine shares its radio with this one, at {}", .0.display())]
    NobodyShares(PathBuf),
    /// Somebody else listens on the socket.
    #[error("the socket of the shared radio, {}, belongs to another user", .0.display())]
    ForeignShare(PathBuf),
    /// The other machine did not say that it scans.
    #[error("the machine that shares its radio did not answer within {} seconds", .0.as_secs())]
    ShareSilent(Duration),
    /// The other machine cannot use its radio.
    #[cfg(unix)]
    #[error("the machine that shares its radio cannot use it")]
    ShareFailed(#[source] super::remote::Trouble),
    /// The other machine shares a simulated radio, which proves nothing.
    #[error("the radio that another machine shares with this one is simulated")]
    SimulatedShare,
    /// The socket failed.
    #[error("the socket of the shared radio, {}, cannot be used", socket.display())]
    Share {
        /// Where it is.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The backend failed in a way of its own.
    #[error("the Bluetooth backend failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a discovery that ran is over.
#[cfg(feature = "bluetooth")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The adapter was switched off.
    Power,
    /// The adapter was removed.
    #[cfg(target_os = "linux")]
    Adapter,
    /// BlueZ ended, perhaps to start anew, or the bus ended.
    #[cfg(target_os = "linux")]
    Service,
}

#[cfg(feature = "bluetooth")]
impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Power => Self::PoweredOff,
            #[cfg(target_os = "linux")]
            Lost::Adapter => Self::AdapterGone,
            #[cfg(target_os = "linux")]
            Lost::Service => Self::ServiceGone,
        }
    }
}

#[cfg(all(feature = "bluetooth", target_os = "linux"))]
impl Error {
    /// Finds what a D-Bus error stands for, by its name.
    pub(super) fn from_dbus(
        name: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let bus = name.strip_prefix("org.freedesktop.DBus.Error.");
        match (bus, name.strip_prefix("org.bluez.Error.")) {
            (Some("AccessDenied" | "AuthFailed"), _) => Self::PermissionDenied,
            (_, Some("NotAuthorized")) => Self::PermissionDenied,
            (_, Some("NotReady")) => Self::PoweredOff,
            (Some("UnknownObject"), _) => Self::NoAdapter,
            (Some(missing), _) if is_missing(missing) => Self::NoService(cause.into()),
            _ => Self::Backend(cause.into()),
        }
    }
}

/// How buses and their libraries say that nobody is there.
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
fn is_missing(name: &str) -> bool {
    matches!(
        name,
        "BadAddress"
            | "Disconnected"
            | "FileNotFound"
            | "IOError"
            | "NameHasNoOwner"
            | "NoServer"
            | "ServiceUnknown"
    ) || name.starts_with("Spawn.")
}

/// What makes a folder unfit for the simulated radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderProblem {
    /// It is a file, or a link to somewhere else.
    #[error("is not a folder")]
    NotAFolder,
    /// Its owner could read and forge what is on the air.
    #[error("belongs to another user")]
    ForeignOwner,
    /// Others could put forged sockets and adverts there.
    #[error("can be written by other users")]
    WritableByOthers,
}
