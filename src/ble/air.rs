//! The simulated radio between processes: a folder is the air.
//!
//! A scan binds a Unix datagram socket `DIR/<random>.scan`; an advertiser sends its advert to every
//! such socket, at once and then at each interval, so either may come first. No broker, no polling
//! while nothing is on the air. A full socket loses datagrams, as air does. Sockets that a killed
//! process left behind are removed by whoever first sends to them. Depends on tokio and `folder`.

mod folder;
mod link;

use std::io;
use std::os::unix::net::UnixDatagram as BlockingDatagram;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;
use tokio::runtime::Handle;

use super::frame::{self, MAX_FRAME};
use super::hearing::{Hearing, Source};
use super::rng::Rng;
use super::transmission::{Medium, Transmission};
use super::{Advertiser, Conditions, Error, Outgoing, Scanner, Sighting};

pub use link::AirListener;

/// A radio that hears all others of the same user with the same folder.
#[derive(Debug, Clone)]
pub struct AirRadio {
    folder: PathBuf,
    conditions: Conditions,
}

impl AirRadio {
    /// Makes the folder (mode 0700) if it is missing and checks that it is ours alone.
    ///
    /// Nothing is on the air yet. Needs a tokio runtime around it.
    ///
    /// # Errors
    ///
    /// [`Error::UnsafeFolder`] if others can write to it, [`Error::PathTooLong`] if no socket can
    /// have a name in it, [`Error::Air`] if it cannot be made, [`Error::NoRuntime`].
    pub fn new(folder: impl Into<PathBuf>, conditions: Conditions) -> Result<Self, Error> {
        let folder = folder.into();
        folder::prepare(&folder)?;
        Ok(Self { folder, conditions })
    }
}

impl Scanner for AirRadio {
    type Scan = AirScan;

    async fn scan(&self) -> Result<AirScan, Error> {
        folder::prepare(&self.folder)?;
        let ear = Ear::bind(&self.folder)?;
        let rng = Rng::new(self.conditions.seed)?;
        Ok(AirScan(Hearing::new(ear, &self.conditions, rng)))
    }
}

impl Advertiser for AirRadio {
    type Advertisement = Transmission;

    async fn advertise(&self, advert: Outgoing<'_>) -> Result<Transmission, Error> {
        advert.check()?;
        folder::prepare(&self.folder)?;
        let Outgoing { service, service_data, .. } = advert;
        // Never from the seed: two processes with one seed still are two phones.
        let address = Rng::new(None)?.address();
        let sighting =
            Sighting { address, service, service_data: service_data.to_vec(), rssi: None };
        let mouth = Mouth::open(&self.folder)?;
        Transmission::start(mouth, sighting, self.conditions.interval)
    }
}

/// A running scan of an [`AirRadio`]; its socket is gone when it is dropped.
#[derive(Debug)]
#[must_use = "dropping a scan stops it"]
pub struct AirScan(Hearing<Ear>);

impl super::Scan for AirScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        self.0.next().await
    }
}

#[derive(Debug)]
struct Ear {
    socket: UnixDatagram,
    path: PathBuf,
    folder: PathBuf,
}

impl Ear {
    fn bind(folder: &Path) -> Result<Self, Error> {
        Handle::try_current().map_err(Error::NoRuntime)?;
        let path = folder.join(folder::socket_name(&mut Rng::new(None)?));
        let socket = UnixDatagram::bind(&path).map_err(|cause| failed(&path, cause))?;
        // From here on a failure drops the ear, which removes the socket.
        let ear = Self { socket, path, folder: folder.to_owned() };
        folder::keep_private(&ear.path)?;
        Ok(ear)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // If this fails the next advertiser finds the socket dead and removes it.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Source for Ear {
    async fn receive(&mut self) -> Result<Sighting, Error> {
        // One byte more than an advert has, so that a longer datagram shows.
        let mut buffer = [0; MAX_FRAME + 1];
        loop {
            let received = self.socket.recv(&mut buffer).await;
            let len = received.map_err(|cause| failed(&self.path, cause))?;
            if let Some(sighting) = buffer.get(..len).and_then(frame::decode) {
                return Ok(sighting);
            }
        }
    }

    fn record(&self, sighting: &Sighting) {
        folder::record(&self.folder, sighting);
    }

    fn recorded(&self) -> Vec<Sighting> {
        folder::recorded(&self.folder)
    }
}

#[derive(Debug)]
struct Mouth {
    socket: BlockingDatagram,
    folder: PathBuf,
}

impl Mouth {
    fn open(folder: &Path) -> Result<Self, Error> {
        let socket = BlockingDatagram::unbound().map_err(|cause| failed(folder, cause))?;
        socket.set_nonblocking(true).map_err(|cause| failed(folder, cause))?;
        Ok(Self { socket, folder: folder.to_owned() })
    }

    fn send(&self, datagram: &[u8], to: &Path) {
        match self.socket.send_to(datagram, to) {
            // Nobody listens there any more. Names are random, so nobody will again.
            Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                let _ = std::fs::remove_file(to);
            }
            // Sent, or lost: the queue is full, or the scan has just ended.
            _ => {}
        }
    }
}

impl Medium for Mouth {
    fn transmit(&self, sighting: &Sighting) {
        let datagram = frame::encode(sighting);
        folder::sockets(&self.folder).iter().for_each(|to| self.send(&datagram, to));
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Air { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
