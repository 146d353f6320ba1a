//! The machine that has the radio, as a pure state machine: bytes and sightings in, bytes and orders to
//! the radio out. Depends on `hybrid` and siblings.
//!
//! ```text
//!  ExpectHello ─hello─> ExpectSecond ─second─> Open <─listen, stop, sightings─>
//! ```
//!
//! Any error ends it; the outputs after it are still to be written, so that the other side hears why.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::hello::{Found, Search, VERSION};
use super::pace::Pace;
use super::pairing::{PairingId, PairingKey};
use super::sealed::{PURPOSE, Refusal, Sealed, Step};
use super::wire::{Ask, Frames, Report, Trouble};
use super::{Error, Sighting};
use crate::ble::MAX_SERVICE_DATA;
use crate::hybrid::PrivateKey;
use crate::hybrid::noise::{AwaitResponse, paired};

/// How long a login may take until the other machine says hello: somebody may have to type a password.
const LOGIN: Duration = Duration::from_secs(180);
/// How long the other machine may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// The machine with the radio.
#[derive(Debug)]
pub(super) struct Sharer {
    keys: Vec<PairingKey>,
    ephemeral: PrivateKey,
    simulated: bool,
    state: State,
    frames: Frames,
    out: VecDeque<Output>,
    deadline: Instant,
    now: Instant,
}

enum State {
    ExpectHello(Search),
    ExpectSecond(Box<AwaitResponse>, PairingId),
    Open { sealed: Box<Sealed>, pace: Pace, scan: Option<Scan> },
    Over,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ExpectHello(_) => "ExpectHello",
            Self::ExpectSecond(..) => "ExpectSecond",
            Self::Open { .. } => "Open",
            Self::Over => "Over",
        })
    }
}

/// What the other machine asked for.
#[derive(Clone, Copy, Debug)]
struct Scan {
    round: u8,
    runs: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The time of [`Sharer::poll_timeout`] has come.
    Timeout,
    /// The radio scans.
    Scanning,
    /// It does not, or not any more.
    Failed(Trouble),
    /// It heard this.
    Sighting(&'a Sighting),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Write these bytes.
    Write(Vec<u8>),
    /// Nothing: the other machine has the key of this pairing.
    Paired(PairingId),
    /// Scan, instead of any scan before.
    Scan,
    /// Stop the scan.
    StopScan,
}

impl Sharer {
    /// Waits for a machine that has one of these keys. `simulated` is told to it: whether the radio is.
    pub(super) fn new(
        keys: Vec<PairingKey>,
        ephemeral: PrivateKey,
        simulated: bool,
        now: Instant,
    ) -> Self {
        let state = State::ExpectHello(Search::default());
        let (frames, out) = (Frames::default(), VecDeque::new());
        Self { keys, ephemeral, simulated, state, frames, out, deadline: now + LOGIN, now }
    }

    /// Takes what happened.
    ///
    /// # Errors
    ///
    /// See [`Error`]; it is over then.
    pub(super) fn handle(&mut self, input: Input<'_>, now: Instant) -> Result<(), Error> {
        self.now = now;
        if let State::Open { pace, .. } = &mut self.state {
            pace.advance(now);
        }
        let handled = match input {
            Input::Bytes(bytes) => self.bytes(bytes),
            Input::Timeout => self.timeout(),
            Input::Scanning => self.scanning(),
            Input::Failed(why) => self.failed(why),
            Input::Sighting(sighting) => {
                self.sighting(sighting);
                Ok(())
            }
        };
        if handled.is_err() {
            self.state = State::Over;
        }
        handled
    }

    /// What is to be done next; call it after each [`Self::handle`] until there is nothing.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// The next sighting as bytes to write, if one may go now; call it when nothing else waits to be
    /// written.
    ///
    /// # Errors
    ///
    /// [`Error::UsedUp`]; it is over then.
    pub(super) fn poll_sighting(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let State::Open { sealed, pace, .. } = &mut self.state else { return Ok(None) };
        let Some(sighting) = pace.pop() else { return Ok(None) };
        let sealed = sealed.seal(&Report::Heard(sighting).encode(), self.now);
        if sealed.is_err() {
            self.state = State::Over;
        }
        sealed.map(Some)
    }

    /// When to come with [`Input::Timeout`], and for a sighting.
    pub(super) fn poll_timeout(&self) -> Instant {
        match &self.state {
            State::Open { sealed, pace, .. } => {
                pace.due().map_or(sealed.due(), |due| due.min(sealed.due()))
            }
            _ => self.deadline,
        }
    }

    fn timeout(&mut self) -> Result<(), Error> {
        match &self.state {
            State::Open { sealed, .. } => match sealed.is_silent(self.now)? {
                true => self.say(&Report::Alive),
                false => Ok(()),
            },
            _ if self.now < self.deadline => Ok(()),
            State::ExpectHello(_) => Err(Error::NoHello),
            _ => Err(Error::Silent),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let State::ExpectHello(search) = &mut self.state else {
            self.frames.push(bytes);
            return self.frames();
        };
        let Some(Found { version, id, rest }) = search.take(bytes)? else { return Ok(()) };
        self.begin(version, id)?;
        self.frames.push(&rest);
        self.frames()
    }

    fn frames(&mut self) -> Result<(), Error> {
        while let Some(frame) = self.frames.next() {
            self.frame(&frame)?;
        }
        Ok(())
    }

    fn begin(&mut self, version: u8, id: PairingId) -> Result<(), Error> {
        if version != VERSION {
            return self.refuse(Refusal::Version, Error::OtherVersion);
        }
        let Some(key) = self.keys.iter().find(|key| key.id() == id) else {
            return self.refuse(Refusal::Key, Error::NotPaired);
        };
        let first = paired::initiate(PURPOSE, key.secret(), &self.ephemeral);
        let (message, waiting) = first.map_err(|_| Error::WrongKey)?;
        self.out.push_back(Output::Write(Step::Noise(message).frame()));
        self.deadline = self.now + HANDSHAKE;
        self.state = State::ExpectSecond(Box::new(waiting), id);
        Ok(())
    }

    fn refuse(&mut self, why: Refusal, error: Error) -> Result<(), Error> {
        self.out.push_back(Output::Write(Step::Refusal(why).frame()));
        Err(error)
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::ExpectSecond(waiting, id) => {
                let message = Step::read(frame)?.message()?;
                let established = waiting.finish(&message).map_err(|_| Error::WrongKey)?;
                let sealed = Box::new(Sealed::new(established, self.now));
                self.state = State::Open { sealed, pace: Pace::new(self.now), scan: None };
                self.out.push_back(Output::Paired(id));
                // What opens at the other end proves that this end is no echo of an older one.
                self.say(&Report::Alive)
            }
            State::Open { mut sealed, pace, scan } => {
                let message = sealed.open(frame, self.now)?;
                self.state = State::Open { sealed, pace, scan };
                self.ask(Ask::decode(&message).ok_or(Error::Malformed)?);
                Ok(())
            }
            State::ExpectHello(_) | State::Over => Ok(()),
        }
    }

    fn ask(&mut self, ask: Ask) {
        let State::Open { pace, scan, .. } = &mut self.state else { return };
        match ask {
            Ask::Alive => {}
            Ask::Listen(round) => {
                pace.clear();
                *scan = Some(Scan { round, runs: false });
                self.out.push_back(Output::Scan);
            }
            Ask::Stop => {
                pace.clear();
                if scan.take().is_some() {
                    self.out.push_back(Output::StopScan);
                }
            }
        }
    }

    fn scanning(&mut self) -> Result<(), Error> {
        let State::Open { scan: Some(scan), .. } = &mut self.state else { return Ok(()) };
        scan.runs = true;
        let (round, simulated) = (scan.round, self.simulated);
        self.say(&Report::Listening { round, simulated })
    }

    fn failed(&mut self, why: Trouble) -> Result<(), Error> {
        let State::Open { scan, pace, .. } = &mut self.state else { return Ok(()) };
        pace.clear();
        match scan.take() {
            Some(Scan { round, .. }) => self.say(&Report::Failed { round, why }),
            None => Ok(()),
        }
    }

    fn sighting(&mut self, sighting: &Sighting) {
        if let State::Open { pace, scan: Some(Scan { runs: true, .. }), .. } = &mut self.state
            && sighting.service_data.len() <= MAX_SERVICE_DATA
        {
            pace.push(sighting.clone());
        }
    }

    fn say(&mut self, report: &Report) -> Result<(), Error> {
        if let State::Open { sealed, .. } = &mut self.state {
            let bytes = sealed.seal(&report.encode(), self.now)?;
            self.out.push_back(Output::Write(bytes));
        }
        Ok(())
    }
}
