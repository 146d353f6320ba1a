//! The radio: who hears adverts, who sends them, and what that looks like to the roles.
//!
//! A laptop holds a [`Scanner`], a phone an [`Advertiser`]; [`Radio`] is both, for whichever backend
//! the user chose with a [`RadioSpec`]. What a backend starts is held by a guard ([`Scan`],
//! [`Advertisement`]) and ends when the guard is dropped.
//!
//! ```text
//!   client ──> Scanner::scan() ──> Scan::next() ──> Sighting
//!   authenticator ──> Advertiser::advertise(Outgoing) ──> Advertisement ──> drop | stop()
//!   client ──> Linker::connect() ──> Link <── Listener::accept() <── Linker::listen() <── authenticator
//! ```
//!
//! Two backends are simulated: [`memory`] inside a process, [`air`] between processes of one user
//! on one machine. They carry no proof of nearness: see [`Radio::is_simulated`]. With the feature
//! `bluetooth` there is `bluetooth` as well, the real one. `remote` is a scanner alone: the radio of
//! another machine. Every backend obeys `conformance`. Depends on tokio, and of what is above it on
//! `hybrid`'s type of a port and, in `remote`, its handshake and frames.

use std::fmt;
use std::future::Future;

#[cfg(unix)]
pub mod air;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
pub mod bluer;
#[cfg(feature = "bluetooth")]
pub mod bluetooth;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
pub mod bluez;
#[cfg(feature = "bluetooth")]
pub mod btleplug;
#[doc(hidden)]
pub mod conformance;
mod error;
#[cfg(unix)]
mod frame;
mod hearing;
mod link;
pub mod memory;
#[cfg(unix)]
mod peer;
mod radio;
#[cfg(unix)]
pub mod remote;
mod rng;
mod shared;
mod spec;
mod transmission;

pub use error::{Error, FolderProblem};
pub use link::{DYNAMIC_PSMS, Link, Linker, Listener};
pub use radio::{Proximity, Radio, RadioAdvertisement, RadioListener, RadioScan};
pub use shared::{SharedScan, SharedScanner};
pub use spec::{Conditions, RadioSpec, SpecError};
pub use transmission::Transmission;

/// Most bytes of service data in one advert that nobody can connect to.
///
/// A legacy advertisement has 31 bytes; length, type and the 16-bit UUID take 4 of them.
/// Section 2.4 of the protocol's fact sheet counts 20 (an advert) or 24 (with a suffix) of use.
pub const MAX_SERVICE_DATA: usize = 27;

/// Most bytes of service data in a connectable advert, whose flags take 3 bytes more.
pub const MAX_CONNECTABLE_SERVICE_DATA: usize = 24;

/// Says how to read the six bytes of an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressType {
    /// Assigned by the manufacturer.
    Public,
    /// Drawn by the device; phones draw a new one for each transaction.
    Random,
}

/// The Bluetooth address that an advert came from.
///
/// Good for connecting back while the advert is on the air, never for recognising a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// Most significant byte first, as addresses are written.
    pub bytes: [u8; 6],
    /// How to read the bytes; needed for connecting.
    pub kind: AddressType,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.bytes;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

/// The 16-bit service UUIDs under which phones send hybrid adverts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceUuid {
    /// 0xFFF9, assigned to the FIDO Alliance: the standard one.
    Fido,
    /// 0xFDE2, assigned to Google: still sent by some phones, so accepted, never sent by us.
    Google,
}

impl ServiceUuid {
    /// Gives the 16-bit number.
    #[must_use]
    pub const fn short(self) -> u16 {
        match self {
            Self::Fido => 0xfff9,
            Self::Google => 0xfde2,
        }
    }

    /// Finds the service of a 16-bit number; `None` for those that carry no hybrid adverts.
    #[must_use]
    pub const fn from_short(short: u16) -> Option<Self> {
        match short {
            0xfff9 => Some(Self::Fido),
            0xfde2 => Some(Self::Google),
            _ => None,
        }
    }
}

/// One reception of an advert.
///
/// The same advert is seen again and again while it is on the air, and so are those of strangers:
/// whether it is ours only trial decryption tells. `Debug` hides the service data, which is an EID.
#[derive(Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who sent it.
    pub address: Address,
    /// Under which service UUID.
    pub service: ServiceUuid,
    /// All of the service data, also what follows the first 20 bytes.
    pub service_data: Vec<u8>,
    /// Signal strength in dBm, where it was told with the advert; simulated radios have none.
    pub rssi: Option<i16>,
}

impl fmt::Debug for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sighting")
            .field("address", &self.address)
            .field("service", &self.service)
            .field("bytes", &self.service_data.len())
            .field("rssi", &self.rssi)
            .finish()
    }
}

/// An advert to put on the air. `Debug` hides the service data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The service UUID to send under.
    pub service: ServiceUuid,
    /// The service data, sent unchanged.
    pub service_data: &'a [u8],
    /// Whether the laptop may connect back (L2CAP); costs three bytes, see
    /// [`MAX_CONNECTABLE_SERVICE_DATA`].
    pub connectable: bool,
}

impl<'a> Outgoing<'a> {
    /// Makes the usual advert: standard UUID, not connectable.
    #[must_use]
    pub const fn new(service_data: &'a [u8]) -> Self {
        Self { service: ServiceUuid::Fido, service_data, connectable: false }
    }

    /// Checks the size against what a legacy advertisement holds.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the service data does not fit.
    pub fn check(&self) -> Result<(), Error> {
        let max = if self.connectable { MAX_CONNECTABLE_SERVICE_DATA } else { MAX_SERVICE_DATA };
        let len = self.service_data.len();
        if len > max { Err(Error::TooLong { len, max }) } else { Ok(()) }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("service", &self.service)
            .field("bytes", &self.service_data.len())
            .field("connectable", &self.connectable)
            .finish()
    }
}

/// A radio that can hear adverts.
pub trait Scanner: Send + Sync {
    /// The guard of a running scan.
    type Scan: Scan;

    /// Starts to scan; adverts received before are never reported.
    ///
    /// Several scans may run at once and all hear everything. Has no deadline of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`], [`Error::PoweredOff`], [`Error::PermissionDenied`] as the names say,
    /// others by backend.
    fn scan(&self) -> impl Future<Output = Result<Self::Scan, Error>> + Send;
}

/// A running scan: dropping it stops the radio.
#[must_use = "dropping a scan stops it"]
pub trait Scan: Send {
    /// Waits for the next reception, of anybody's advert; waits for ever in silence, so the
    /// caller brings the deadline.
    ///
    /// Cancel safe: a future dropped before it was ready has taken no sighting with it. Callers
    /// who are slow lose receptions, as on the air; nothing piles up.
    ///
    /// # Errors
    ///
    /// [`Error::PoweredOff`] and the like if the radio goes away. The scan is over then.
    fn next(&mut self) -> impl Future<Output = Result<Sighting, Error>> + Send;
}

/// A radio that can send adverts.
pub trait Advertiser: Send + Sync {
    /// The guard of an advert on the air.
    type Advertisement: Advertisement;

    /// Puts an advert on the air, where it is repeated until the guard is dropped.
    ///
    /// Each advertisement has a fresh random address. Several may be on the air at once, as far
    /// as the hardware has room. Has no deadline of its own.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the data does not fit; otherwise as [`Scanner::scan`].
    fn advertise(
        &self,
        advert: Outgoing<'_>,
    ) -> impl Future<Output = Result<Self::Advertisement, Error>> + Send;
}

/// An advert on the air: dropping it takes it off.
#[must_use = "dropping an advertisement takes it off the air"]
pub trait Advertisement: Send {
    /// Takes the advert off the air, and returns when it is off.
    ///
    /// Dropping does the same without waiting and without a word about failure. If the future
    /// is dropped early the guard is dropped with it.
    ///
    /// # Errors
    ///
    /// By backend: the radio did not confirm.
    fn stop(self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until the advert has left the air without us, and tells why; for ever while it is on.
    ///
    /// Cancel safe. By default for ever: simulated adverts are not lost.
    fn lost(&mut self) -> impl Future<Output = Error> + Send {
        std::future::pending()
    }
}
