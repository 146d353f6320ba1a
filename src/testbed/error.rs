//! Errors of the test tools.

use std::io;
use std::time::Duration;

/// Why a test tool cannot do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program that carries a private bus is not installed.
    #[error("dbus-daemon was not found")]
    NoDaemon,
    /// `dbus-daemon` could not be started, or ended before it gave its address.
    #[error("dbus-daemon did not start")]
    Daemon(#[source] io::Error),
    /// `dbus-daemon` did not give its address, or did not end, in time.
    #[error("dbus-daemon did not answer within {} seconds", .0.as_secs())]
    Silent(Duration),
    /// The folder for the bus's socket could not be made.
    #[error("the folder of the private bus cannot be used")]
    Folder(#[source] io::Error),
    /// Adapters are called `hci` and a number below 65,536.
    #[error("{0:?} is no Bluetooth adapter: write hci0, hci1, ...")]
    BadAdapter(String),
    /// The fake has no such adapter.
    #[error("the fake BlueZ has no adapter {0:?}")]
    NoSuchAdapter(String),
    /// The fake has an adapter of this name.
    #[error("the fake BlueZ has an adapter {0:?} already")]
    AdapterExists(String),
    /// Another program is `org.bluez` on this bus.
    #[error("there is a BlueZ on this bus already")]
    NameTaken,
    /// The bus cannot be reached, or hung up.
    #[error("the D-Bus failed")]
    Bus(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::NameTaken => Self::NameTaken,
            other => Self::Bus(Box::new(other)),
        }
    }
}
