//! The radio of another machine, as programs of this one use it: a scanner over the Unix socket of
//! `cabled radio receive`. It hears; it neither sends nor connects. Depends on tokio and siblings.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::wire::{Frames, Report};
use crate::ble::{Error, Scan, Scanner, Sighting, peer};

/// How long it may take until the other machine scans.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two attempts to find the socket again.
const PAUSE: Duration = Duration::from_millis(250);

/// The radio that another machine shares with this one. Never chosen by itself.
#[derive(Debug, Clone)]
pub struct RemoteRadio {
    socket: PathBuf,
    simulated: bool,
}

impl RemoteRadio {
    /// Over the socket at this place. A simulated radio is refused; nothing is done yet.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, simulated: false }
    }

    /// Whether it is taken too if the other machine says that it is simulated.
    #[must_use]
    pub fn or_simulated(self, simulated: bool) -> Self {
        Self { simulated, ..self }
    }

    async fn connect(&self) -> Result<UnixStream, Error> {
        let connected = timeout(PATIENCE, UnixStream::connect(&self.socket)).await;
        let stream = connected.map_err(|_| Error::ShareSilent(PATIENCE))?.map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Error::NobodyShares(self.socket.clone())
                }
                _ => failed(&self.socket, error),
            }
        })?;
        // In a folder of ours nobody else could have put it.
        let theirs = stream.peer_cred().map_err(|error| failed(&self.socket, error))?.uid();
        let own = peer::own_user().map_err(|error| failed(&self.socket, error))?;
        match theirs == own || theirs == 0 {
            true => Ok(stream),
            false => Err(Error::ForeignShare(self.socket.clone())),
        }
    }

    /// Whether what the other machine says of its radio lets it be used.
    fn accept(&self, report: Report) -> Result<Option<Sighting>, Error> {
        match report {
            Report::Heard(sighting) => Ok(Some(sighting)),
            Report::Failed { why, .. } => Err(Error::ShareFailed(why)),
            Report::Listening { simulated: true, .. } if !self.simulated => {
                Err(Error::SimulatedShare)
            }
            Report::Listening { .. } | Report::Alive => Ok(None),
        }
    }
}

impl Scanner for RemoteRadio {
    type Scan = RemoteScan;

    async fn scan(&self) -> Result<RemoteScan, Error> {
        let stream = self.connect().await?;
        let state = State::Connected { stream, frames: Frames::default() };
        let mut scan = RemoteScan { radio: self.clone(), state };
        let first = timeout(PATIENCE, scan.report()).await;
        match first.map_err(|_| Error::ShareSilent(PATIENCE))? {
            Ok(report) => self.accept(report).map(|_| scan),
            Err(Gone) => Err(Error::NobodyShares(self.socket.clone())),
        }
    }
}

/// A running scan of a [`RemoteRadio`].
///
/// When the other machine goes away it waits until that one is there again; the deadline is the caller's.
#[derive(Debug)]
#[must_use = "dropping a scan stops it"]
pub struct RemoteScan {
    radio: RemoteRadio,
    state: State,
}

#[derive(Debug)]
enum State {
    Connected { stream: UnixStream, frames: Frames },
    Away { again: Instant },
}

/// The socket has closed.
struct Gone;

impl RemoteScan {
    /// The next report of the connection that there is. Cancel safe.
    async fn report(&mut self) -> Result<Report, Gone> {
        let State::Connected { stream, frames } = &mut self.state else { return Err(Gone) };
        let mut buffer = [0; 1024];
        loop {
            if let Some(frame) = frames.next() {
                return Report::decode(&frame).ok_or(Gone);
            }
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return Err(Gone),
                Ok(count) => frames.push(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Connects again, after a pause. Cancel safe.
    async fn come_back(&mut self, again: Instant) -> Result<(), Error> {
        sleep_until(again).await;
        self.state = match self.radio.connect().await {
            Ok(stream) => State::Connected { stream, frames: Frames::default() },
            Err(Error::NobodyShares(_)) => State::Away { again: Instant::now() + PAUSE },
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

impl Scan for RemoteScan {
    async fn next(&mut self) -> Result<Sighting, Error> {
        loop {
            if let State::Away { again } = self.state {
                self.come_back(again).await?;
                continue;
            }
            match self.report().await {
                Ok(report) => {
                    if let Some(sighting) = self.radio.accept(report)? {
                        return Ok(sighting);
                    }
                }
                Err(Gone) => {
                    tracing::info!("the machine that shares its radio is away");
                    self.state = State::Away { again: Instant::now() + PAUSE };
                }
            }
        }
    }
}

fn failed(socket: &Path, source: io::Error) -> Error {
    Error::Share { socket: socket.to_owned(), source }
}
