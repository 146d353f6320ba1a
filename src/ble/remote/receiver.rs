//! The machine without a radio, as a pure state machine: bytes and wishes in, bytes and reports out.
//! Depends on `hybrid` and siblings.
//!
//! ```text
//!  ExpectFirst ─first─> ExpectProof ─anything─> Open ─(somebody listens)─> listen ─> listening, sightings ─(nobody does)─> stop
//! ```
//!
//! Any error ends it; the outputs after it are still to be written, so that the other side hears why.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Error;
use super::hello::hello;
use super::pairing::PairingKey;
use super::sealed::{PURPOSE, Refusal, Sealed, Step};
use super::wire::{Ask, Frames, Report};
use crate::hybrid::PrivateKey;
use crate::hybrid::noise::paired;

/// How long the other machine may take until it has sent its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// The machine that a radio is shared with.
#[derive(Debug)]
pub(super) struct Receiver {
    key: PairingKey,
    ephemeral: PrivateKey,
    state: State,
    frames: Frames,
    out: VecDeque<Output>,
    deadline: Instant,
    now: Instant,
    /// The number of the scan that was asked for last.
    round: u8,
    wanted: bool,
    /// What was said of it.
    listening: Option<bool>,
}

#[derive(Debug)]
enum State {
    ExpectFirst,
    /// The first message could be an old one that somebody kept; what is sealed cannot.
    ExpectProof(Box<Sealed>),
    Open(Box<Sealed>),
    Over,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input<'a> {
    /// Bytes came.
    Bytes(&'a [u8]),
    /// The time of [`Receiver::poll_timeout`] has come.
    Timeout,
    /// Whether anybody listens now.
    Wanted(bool),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Write these bytes.
    Write(Vec<u8>),
    /// Nothing: the other machine has the key too.
    Paired,
    /// Those who listen are to get this. After a failure nobody listens any more.
    Report(Report),
}

impl Receiver {
    /// Says hello to a machine that has this key.
    pub(super) fn new(key: PairingKey, ephemeral: PrivateKey, now: Instant) -> Self {
        let hello = hello(key.id());
        Self {
            key,
            ephemeral,
            state: State::ExpectFirst,
            frames: Frames::default(),
            out: VecDeque::from([Output::Write(hello)]),
            deadline: now + HANDSHAKE,
            now,
            round: 0,
            wanted: false,
            listening: None,
        }
    }

    /// Takes what happened.
    ///
    /// # Errors
    ///
    /// See [`Error`]; it is over then.
    pub(super) fn handle(&mut self, input: Input<'_>, now: Instant) -> Result<(), Error> {
        self.now = now;
        let handled = match input {
            Input::Bytes(bytes) => self.bytes(bytes),
            Input::Timeout => self.timeout(),
            Input::Wanted(wanted) => self.want(wanted),
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

    /// When to come with [`Input::Timeout`].
    pub(super) fn poll_timeout(&self) -> Instant {
        match &self.state {
            State::Open(sealed) => sealed.due(),
            _ => self.deadline,
        }
    }

    /// What one more who listens is to know, if the radio scans already.
    pub(super) fn standing(&self) -> Option<Report> {
        let simulated = self.listening.filter(|_| self.wanted)?;
        Some(Report::Listening { round: self.round, simulated })
    }

    fn timeout(&mut self) -> Result<(), Error> {
        match &self.state {
            State::Open(sealed) => match sealed.is_silent(self.now)? {
                true => self.ask(Ask::Alive),
                false => Ok(()),
            },
            _ if self.now < self.deadline => Ok(()),
            _ => Err(Error::Silent),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.frames.push(bytes);
        while let Some(frame) = self.frames.next() {
            self.frame(&frame)?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::ExpectFirst => self.first(frame),
            State::ExpectProof(sealed) => {
                self.sealed(sealed, frame)?;
                self.out.push_back(Output::Paired);
                if self.wanted { self.listen() } else { Ok(()) }
            }
            State::Open(sealed) => self.sealed(sealed, frame),
            State::Over => Ok(()),
        }
    }

    fn sealed(&mut self, mut sealed: Box<Sealed>, frame: &[u8]) -> Result<(), Error> {
        let message = sealed.open(frame, self.now)?;
        self.state = State::Open(sealed);
        self.report(Report::decode(&message).ok_or(Error::Malformed)?);
        Ok(())
    }

    fn first(&mut self, frame: &[u8]) -> Result<(), Error> {
        let message = Step::read(frame)?.message()?;
        let answer = paired::respond(PURPOSE, self.key.secret(), &self.ephemeral, &message);
        let Ok((answer, established)) = answer else {
            self.out.push_back(Output::Write(Step::Refusal(Refusal::Key).frame()));
            return Err(Error::WrongKey);
        };
        self.out.push_back(Output::Write(Step::Noise(answer).frame()));
        self.state = State::ExpectProof(Box::new(Sealed::new(established, self.now)));
        Ok(())
    }

    fn report(&mut self, report: Report) {
        match &report {
            Report::Alive => return,
            // Of a scan that is not meant any more.
            Report::Listening { round, .. } | Report::Failed { round, .. }
                if !self.wanted || *round != self.round =>
            {
                return;
            }
            Report::Heard(_) if self.listening.is_none() => return,
            Report::Listening { simulated, .. } => self.listening = Some(*simulated),
            Report::Failed { .. } => (self.wanted, self.listening) = (false, None),
            Report::Heard(_) => {}
        }
        self.out.push_back(Output::Report(report));
    }

    fn want(&mut self, wanted: bool) -> Result<(), Error> {
        if wanted == self.wanted {
            return Ok(());
        }
        (self.wanted, self.listening) = (wanted, None);
        match (&self.state, wanted) {
            (State::Open(_), true) => self.listen(),
            (State::Open(_), false) => self.ask(Ask::Stop),
            // Said when the other machine is there.
            (State::ExpectFirst | State::ExpectProof(_) | State::Over, _) => Ok(()),
        }
    }

    fn listen(&mut self) -> Result<(), Error> {
        self.round = self.round.wrapping_add(1);
        self.ask(Ask::Listen(self.round))
    }

    fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        if let State::Open(sealed) = &mut self.state {
            let bytes = sealed.seal(&ask.encode(), self.now)?;
            self.out.push_back(Output::Write(bytes));
        }
        Ok(())
    }
}
