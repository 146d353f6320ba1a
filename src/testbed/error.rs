//! Errors of the test tools.

use std::io;
use std::time::Duration;

use super::MAX_PHONES;
use crate::authenticator::Pin;
use crate::authenticator::engine::ForeignAaguid;
use crate::authenticator::service;
use crate::ble;
use crate::relay;

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
    /// `dbus-daemon` did not give its address in time.
    #[error("dbus-daemon did not answer within {} seconds", .0.as_secs())]
    Silent(Duration),
    /// `dbus-daemon` did not end in time, or the files of the bench take so long to remove.
    #[error("the private bus and its files were not gone within {} seconds", .0.as_secs())]
    Lingering(Duration),
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
    /// The virtual display did not come up, or Xvfb is not installed.
    #[error("no virtual display came up")]
    NoDisplay,
    /// The tunnel service did not start.
    #[error("the tunnel service of the test bed did not start")]
    Relay(#[from] relay::Error),
    /// The simulated radio cannot be used.
    #[error("the simulated radio cannot be used")]
    Radio(#[source] ble::Error),
    /// A phone did not do what it was asked.
    #[error("the phone did not do it")]
    Phone(#[source] service::Error),
    /// There is a phone of this name.
    #[error("there is a phone {0:?} already")]
    PhoneExists(String),
    /// There is no phone of this name.
    #[error("there is no phone {0:?}")]
    NoSuchPhone(String),
    /// There are as many phones as a bench may have.
    #[error("there are {MAX_PHONES} phones already")]
    TooManyPhones,
    /// The PIN of a phone is too short or too long.
    #[error("a PIN has from {} characters to {} bytes", Pin::MIN_CHARS, Pin::MAX_BYTES)]
    BadPin,
    /// The make is known to be another vendor's.
    #[error(transparent)]
    ForeignAaguid(#[from] ForeignAaguid),
    /// A passkey cannot be given to a phone as it is.
    #[error("a passkey needs an rp id of 1 to 255 and a user id of 1 to 64 bytes")]
    BadPasskey,
    /// There is no such ceremony, or it is not kept any more.
    #[error("there is no ceremony {0}")]
    NoSuchCeremony(u64),
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
