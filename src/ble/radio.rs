//! The choice of a backend: one enum that is every radio there is.
//! Depends on the backends.

#[cfg(unix)]
use super::air::{AirListener, AirRadio, AirScan};
#[cfg(feature = "bluetooth")]
use super::bluetooth::{BluetoothAdvertisement, BluetoothListener, BluetoothRadio};
#[cfg(feature = "bluetooth")]
use super::btleplug::BtleplugScan;
use super::memory::{MemoryListener, MemoryRadio, MemoryScan};
#[cfg(unix)]
use super::remote::{RemoteRadio, RemoteScan};
use super::{
    Address, Advertisement, Advertiser, Error, Link, Linker, Listener, Outgoing, RadioSpec, Scan,
    Scanner, Sighting, Transmission,
};
use crate::hybrid::advert::Psm;

/// The radio that was chosen; cheap to clone, clones are the same radio.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Radio {
    /// Simulated, between processes.
    #[cfg(unix)]
    Air(AirRadio),
    /// Simulated, inside this process.
    Memory(MemoryRadio),
    /// Bluetooth, through BlueZ where there is BlueZ.
    #[cfg(feature = "bluetooth")]
    Bluez(BluetoothRadio),
    /// The radio of another machine: it hears, and nothing else.
    #[cfg(unix)]
    Remote(RemoteRadio),
}

/// To what an advert that is heard proves nearness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proximity {
    /// To this machine.
    Here,
    /// To another machine, which shares its radio with this one.
    Shared,
    /// To nothing: the radio is simulated.
    Simulated,
}

impl Proximity {
    /// Its name for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Shared => "shared",
            Self::Simulated => "simulated",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Here, Self::Shared, Self::Simulated].into_iter().find(|one| one.name() == name)
    }
}

impl Radio {
    /// Opens the radio that the user named; nothing is heard or sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::SimulatedOnly`] for a Bluetooth adapter in a build without the feature
    /// `bluetooth`, [`Error::NoShareSocket`] for a shared radio without a socket; otherwise those of
    /// [`AirRadio::new`]. Whether there is an adapter shows when it is used.
    pub fn open(spec: &RadioSpec) -> Result<Self, Error> {
        match spec {
            #[cfg(unix)]
            RadioSpec::Air { folder, conditions } => {
                AirRadio::new(folder, conditions.clone()).map(Self::Air)
            }
            #[cfg(not(unix))]
            RadioSpec::Air { .. } => Err(Error::NoAir),
            #[cfg(feature = "bluetooth")]
            RadioSpec::Bluez { adapter } => Ok(Self::Bluez(BluetoothRadio::new(adapter.clone()))),
            #[cfg(not(feature = "bluetooth"))]
            RadioSpec::Bluez { .. } => Err(Error::SimulatedOnly),
            #[cfg(unix)]
            RadioSpec::Shared { socket: Some(socket) } => {
                Ok(Self::Remote(RemoteRadio::new(socket.clone())))
            }
            RadioSpec::Shared { .. } => Err(Error::NoShareSocket),
        }
    }

    /// To what an advert heard on this radio proves nearness. A machine that shares a simulated radio
    /// says so, and is refused, unless [`Self::or_simulated`] lets it.
    #[must_use]
    pub const fn proximity(&self) -> Proximity {
        match self {
            #[cfg(unix)]
            Self::Air(_) => Proximity::Simulated,
            Self::Memory(_) => Proximity::Simulated,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(_) => Proximity::Here,
            #[cfg(unix)]
            Self::Remote(_) => Proximity::Shared,
        }
    }

    /// Whether the radio that another machine shares may be a simulated one.
    #[must_use]
    #[cfg_attr(not(unix), allow(unused_variables, reason = "there is no shared radio"))]
    pub fn or_simulated(self, simulated: bool) -> Self {
        match self {
            #[cfg(unix)]
            Self::Remote(radio) => Self::Remote(radio.or_simulated(simulated)),
            own => own,
        }
    }

    /// Whether the phone can be connected to over Bluetooth alone.
    #[must_use]
    pub const fn can_link(&self) -> bool {
        !matches!(self.proximity(), Proximity::Shared)
    }

    /// Says whether an advert heard on this radio proves nothing about where the phone is.
    ///
    /// Callers must refuse such a radio together with a public relay: there the advert is the
    /// only proof that laptop and phone are near each other.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        matches!(self.proximity(), Proximity::Simulated)
    }
}

impl Scanner for Radio {
    type Scan = RadioScan;

    async fn scan(&self) -> Result<RadioScan, Error> {
        match self {
            #[cfg(unix)]
            Self::Air(radio) => radio.scan().await.map(RadioScan::Air),
            Self::Memory(radio) => radio.scan().await.map(RadioScan::Memory),
            #[cfg(feature = "bluetooth")]
            Self::Bluez(radio) => radio.scan().await.map(RadioScan::Bluez),
            #[cfg(unix)]
            Self::Remote(radio) => radio.scan().await.map(RadioScan::Remote),
        }
    }
}

impl Advertiser for Radio {
    type Advertisement = RadioAdvertisement;

    async fn advertise(&self, advert: Outgoing<'_>) -> Result<RadioAdvertisement, Error> {
        let sent = match self {
            #[cfg(unix)]
            Self::Air(radio) => radio.advertise(advert).await,
            Self::Memory(radio) => radio.advertise(advert).await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(radio) => {
                return radio.advertise(advert).await.map(RadioAdvertisement::Bluez);
            }
            #[cfg(unix)]
            Self::Remote(_) => Err(Error::SharedOnlyHears),
        };
        sent.map(RadioAdvertisement::Simulated)
    }
}

impl Linker for Radio {
    type Listener = RadioListener;

    async fn connect(&self, peer: Address, psm: Psm) -> Result<Link, Error> {
        match self {
            #[cfg(unix)]
            Self::Air(radio) => radio.connect(peer, psm).await,
            Self::Memory(radio) => radio.connect(peer, psm).await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(radio) => radio.connect(peer, psm).await,
            #[cfg(unix)]
            Self::Remote(_) => Err(Error::SharedOnlyHears),
        }
    }

    async fn listen(&self) -> Result<RadioListener, Error> {
        match self {
            #[cfg(unix)]
            Self::Air(radio) => radio.listen().await.map(RadioListener::Air),
            Self::Memory(radio) => radio.listen().await.map(RadioListener::Memory),
            #[cfg(feature = "bluetooth")]
            Self::Bluez(radio) => radio.listen().await.map(RadioListener::Bluez),
            #[cfg(unix)]
            Self::Remote(_) => Err(Error::SharedOnlyHears),
        }
    }
}

/// A listener of a [`Radio`].
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "dropping a listener ends it"]
pub enum RadioListener {
    /// Of [`Radio::Air`].
    #[cfg(unix)]
    Air(AirListener),
    /// Of [`Radio::Memory`].
    Memory(MemoryListener),
    /// Of [`Radio::Bluez`].
    #[cfg(feature = "bluetooth")]
    Bluez(BluetoothListener),
}

impl Listener for RadioListener {
    fn psm(&self) -> Psm {
        match self {
            #[cfg(unix)]
            Self::Air(listener) => listener.psm(),
            Self::Memory(listener) => listener.psm(),
            #[cfg(feature = "bluetooth")]
            Self::Bluez(listener) => listener.psm(),
        }
    }

    async fn accept(&mut self) -> Result<Link, Error> {
        match self {
            #[cfg(unix)]
            Self::Air(listener) => listener.accept().await,
            Self::Memory(listener) => listener.accept().await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(listener) => listener.accept().await,
        }
    }
}

/// A running scan of a [`Radio`].
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "dropping a scan stops it"]
pub enum RadioScan {
    /// Of [`Radio::Air`].
    #[cfg(unix)]
    Air(AirScan),
    /// Of [`Radio::Memory`].
    Memory(MemoryScan),
    /// Of [`Radio::Bluez`].
    #[cfg(feature = "bluetooth")]
    Bluez(BtleplugScan),
    /// Of [`Radio::Remote`].
    #[cfg(unix)]
    Remote(RemoteScan),
}

impl Scan for RadioScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        match self {
            #[cfg(unix)]
            Self::Air(scan) => scan.next().await,
            Self::Memory(scan) => scan.next().await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(scan) => scan.next().await,
            #[cfg(unix)]
            Self::Remote(scan) => scan.next().await,
        }
    }
}

/// An advert that a [`Radio`] has on the air.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "dropping an advertisement takes it off the air"]
pub enum RadioAdvertisement {
    /// Of [`Radio::Air`] or [`Radio::Memory`].
    Simulated(Transmission),
    /// Of [`Radio::Bluez`].
    #[cfg(feature = "bluetooth")]
    Bluez(BluetoothAdvertisement),
}

impl Advertisement for RadioAdvertisement {
    async fn stop(self) -> Result<(), Error> {
        match self {
            Self::Simulated(transmission) => transmission.stop().await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(advertisement) => advertisement.stop().await,
        }
    }

    async fn lost(&mut self) -> Error {
        match self {
            Self::Simulated(transmission) => transmission.lost().await,
            #[cfg(feature = "bluetooth")]
            Self::Bluez(advertisement) => advertisement.lost().await,
        }
    }
}
