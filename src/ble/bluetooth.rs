//! Real Bluetooth as one radio: hears through [`btleplug`](super::btleplug), sends through BlueZ,
//! connects through the kernel's sockets. Depends on those backends. Other systems than Linux can
//! only hear.

#[cfg(target_os = "linux")]
use super::bluer::{BluerLinker, BluerListener};
#[cfg(target_os = "linux")]
use super::bluez::{BluezAdvertisement, BluezAdvertiser};
use super::btleplug::{BtleplugScan, BtleplugScanner};
use super::{Address, Advertisement, Advertiser, Error, Link, Linker, Listener, Outgoing, Scanner};
use crate::hybrid::advert::Psm;

/// A Bluetooth adapter, for both directions; clones share its connections.
#[derive(Debug, Clone)]
pub struct BluetoothRadio {
    scanner: BtleplugScanner,
    #[cfg(target_os = "linux")]
    advertiser: BluezAdvertiser,
}

impl BluetoothRadio {
    /// Prepares the named adapter (`hci1`), or the first one; asks the system nothing yet.
    #[must_use]
    pub fn new(adapter: Option<String>) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            advertiser: BluezAdvertiser::new(adapter.clone()),
            scanner: BtleplugScanner::new(adapter),
        }
    }
}

impl Scanner for BluetoothRadio {
    type Scan = BtleplugScan;

    async fn scan(&self) -> Result<BtleplugScan, Error> {
        self.scanner.scan().await
    }
}

impl Advertiser for BluetoothRadio {
    type Advertisement = BluetoothAdvertisement;

    /// As [`BluezAdvertiser`] does.
    ///
    /// # Errors
    ///
    /// [`Error::CannotSend`] on other systems than Linux.
    async fn advertise(&self, advert: Outgoing<'_>) -> Result<BluetoothAdvertisement, Error> {
        #[cfg(target_os = "linux")]
        return self.advertiser.advertise(advert).await.map(BluetoothAdvertisement);
        #[cfg(not(target_os = "linux"))]
        return advert.check().and(Err(Error::CannotSend));
    }
}

impl Linker for BluetoothRadio {
    type Listener = BluetoothListener;

    /// As [`BluerLinker`] does.
    ///
    /// # Errors
    ///
    /// [`Error::CannotLink`] on other systems than Linux.
    async fn connect(&self, peer: Address, psm: Psm) -> Result<Link, Error> {
        #[cfg(target_os = "linux")]
        return BluerLinker::new(self.advertiser.clone()).connect(peer, psm).await;
        #[cfg(not(target_os = "linux"))]
        return {
            let _nowhere = (peer, psm);
            Err(Error::CannotLink)
        };
    }

    async fn listen(&self) -> Result<BluetoothListener, Error> {
        #[cfg(target_os = "linux")]
        return BluerLinker::new(self.advertiser.clone()).listen().await.map(BluetoothListener);
        #[cfg(not(target_os = "linux"))]
        return Err(Error::CannotLink);
    }
}

/// A listener of a [`BluetoothRadio`].
#[derive(Debug)]
#[must_use = "dropping a listener ends it"]
#[cfg(target_os = "linux")]
pub struct BluetoothListener(BluerListener);

/// A listener of a [`BluetoothRadio`]; this system has none.
#[derive(Debug)]
#[must_use = "dropping a listener ends it"]
#[cfg(not(target_os = "linux"))]
pub enum BluetoothListener {}

impl Listener for BluetoothListener {
    fn psm(&self) -> Psm {
        #[cfg(target_os = "linux")]
        return self.0.psm();
        #[cfg(not(target_os = "linux"))]
        match *self {}
    }

    async fn accept(&mut self) -> Result<Link, Error> {
        #[cfg(target_os = "linux")]
        return self.0.accept().await;
        #[cfg(not(target_os = "linux"))]
        match *self {}
    }
}

/// An advert of a [`BluetoothRadio`], on the air until this is dropped.
#[derive(Debug)]
#[must_use = "dropping an advertisement takes it off the air"]
#[cfg(target_os = "linux")]
pub struct BluetoothAdvertisement(BluezAdvertisement);

/// An advert of a [`BluetoothRadio`]; this system has none.
#[derive(Debug)]
#[must_use = "dropping an advertisement takes it off the air"]
#[cfg(not(target_os = "linux"))]
pub enum BluetoothAdvertisement {}

impl Advertisement for BluetoothAdvertisement {
    async fn stop(self) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        return self.0.stop().await;
        #[cfg(not(target_os = "linux"))]
        match self {}
    }

    async fn lost(&mut self) -> Error {
        #[cfg(target_os = "linux")]
        return self.0.lost().await;
        #[cfg(not(target_os = "linux"))]
        match *self {}
    }
}
