//! Drives the machine that has the radio: its scanner, and a pipe to the other machine. The radio rests
//! while nobody there listens. Depends on tokio and siblings.

use std::future::Future;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::pairing::{PairingId, PairingKey};
use super::pipe::{Moved, Pipe};
use super::sharer::{Input, Output, Sharer};
use super::{Error, Trouble};
use crate::ble::{self, Scan, Scanner, Sighting};
use crate::hybrid::PrivateKey;

/// What whoever shares a radio can be told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shared {
    /// The other machine has the key of this pairing.
    Paired(PairingId),
    /// It listens: the radio scans.
    Listening,
    /// It does not listen any more.
    Idle,
    /// It wants to listen, and the radio cannot be used.
    Failed(ble::Error),
}

/// Shares a radio with the machine at the other end of a pipe, until that ends. `simulated` is told to it:
/// whether the radio is. Dropping it ends it. Needs a tokio runtime.
pub async fn share<S: Scanner>(
    pipe: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    radio: (&S, bool),
    keys: Vec<PairingKey>,
    ephemeral: PrivateKey,
    tell: impl FnMut(Shared),
) -> Error {
    let (scanner, simulated) = radio;
    let sharer = Sharer::new(keys, ephemeral, simulated, Instant::now().into_std());
    let pipe = Pipe::new(pipe.0, pipe.1);
    let mut driver = Driver { pipe, sharer, scanner, ear: Ear::Off, tell };
    let Err(error) = driver.run().await;
    driver.write_out();
    driver.pipe.farewell().await;
    error
}

struct Driver<'a, R, W, S: Scanner, T> {
    pipe: Pipe<R, W>,
    sharer: Sharer,
    scanner: &'a S,
    ear: Ear<'a, S::Scan>,
    tell: T,
}

/// What the radio does.
enum Ear<'a, S> {
    Off,
    Starting(Pin<Box<dyn Future<Output = Result<S, ble::Error>> + Send + 'a>>),
    On(S),
}

/// What the radio has done.
enum Heard<S> {
    Started(S),
    Sighting(Sighting),
    Failed(ble::Error),
}

impl<S: Scan> Ear<'_, S> {
    /// Cancel safe, because starting goes on where it was.
    async fn next(&mut self) -> Heard<S> {
        match self {
            Self::Off => std::future::pending().await,
            Self::Starting(scan) => match scan.await {
                Ok(scan) => Heard::Started(scan),
                Err(error) => Heard::Failed(error),
            },
            Self::On(scan) => match scan.next().await {
                Ok(sighting) => Heard::Sighting(sighting),
                Err(error) => Heard::Failed(error),
            },
        }
    }
}

impl<'a, R, W, S, T> Driver<'a, R, W, S, T>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: Scanner,
    T: FnMut(Shared),
{
    async fn run(&mut self) -> Result<std::convert::Infallible, Error> {
        loop {
            self.perform()?;
            let due = Instant::from_std(self.sharer.poll_timeout());
            tokio::select! {
                moved = self.pipe.moved() => self.moved(moved?)?,
                () = sleep_until(due) => self.feed(Input::Timeout)?,
                heard = self.ear.next() => self.heard(heard)?,
            }
        }
    }

    fn feed(&mut self, input: Input<'_>) -> Result<(), Error> {
        self.sharer.handle(input, Instant::now().into_std())
    }

    fn moved(&mut self, moved: Moved) -> Result<(), Error> {
        let Moved::Came(count) = moved else { return Ok(()) };
        self.sharer.handle(Input::Bytes(self.pipe.came(count)), Instant::now().into_std())
    }

    fn heard(&mut self, heard: Heard<S::Scan>) -> Result<(), Error> {
        match heard {
            Heard::Started(scan) => {
                self.ear = Ear::On(scan);
                (self.tell)(Shared::Listening);
                self.feed(Input::Scanning)
            }
            Heard::Sighting(sighting) => self.feed(Input::Sighting(&sighting)),
            Heard::Failed(error) => {
                self.ear = Ear::Off;
                let why = Trouble::from(&error);
                (self.tell)(Shared::Failed(error));
                self.feed(Input::Failed(why))
            }
        }
    }

    /// Does what is to be done; sightings go one at a time, so that none grows old in a pipe.
    fn perform(&mut self) -> Result<(), Error> {
        self.write_out();
        if self.pipe.is_idle()
            && let Some(bytes) = self.sharer.poll_sighting()?
        {
            self.pipe.put(&bytes);
        }
        Ok(())
    }

    fn write_out(&mut self) {
        while let Some(output) = self.sharer.poll_output() {
            match output {
                Output::Write(bytes) => self.pipe.put(&bytes),
                Output::Paired(id) => (self.tell)(Shared::Paired(id)),
                Output::Scan => self.ear = Ear::Starting(Box::pin(self.scanner.scan())),
                Output::StopScan => {
                    self.ear = Ear::Off;
                    (self.tell)(Shared::Idle);
                }
            }
        }
    }
}
