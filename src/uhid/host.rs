//! A key's device and its machine, and the requests that come out of them in their order.
//!
//! One request at a time is current. What needs no user is answered beside it or waits behind it; what
//! needs one is told that the key is busy. Depends on `ctap` and siblings only.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;

use tokio::time::{Instant, sleep_until};

use super::probe::{Kind, kind};
use super::{Device, Error, Event};
use crate::ctap::hid::{Input, Machine, Output, Request, RequestId};
use crate::ctap::{Command, respond};

/// What a key is called.
const VERSION: [u8; 3] = [0, 1, 0];
/// "Use this key?", which is all that a touch is.
const SELECTION: &[u8] = &[Command::Selection as u8];

/// What programs do beside asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The program that asked went away, or changed its mind.
    Withdrawn,
    /// A program wants to know which key this is.
    Wink,
    /// No program has the key open any more.
    Closed,
}

/// A request for whoever answers.
pub(crate) struct Job {
    request: Request,
    kind: Kind,
}

impl Job {
    /// The message, in the words of the protocol where it only looks like something else.
    pub(crate) fn message(&self) -> &[u8] {
        if self.is_touch() { SELECTION } else { &self.request.message }
    }

    /// How it is dealt with.
    #[cfg(feature = "client")]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// On which channel it came.
    #[cfg(feature = "client")]
    pub(crate) fn channel(&self) -> crate::ctap::hid::ChannelId {
        self.request.channel
    }

    pub(crate) fn is_touch(&self) -> bool {
        self.kind == Kind::Touch
    }

    fn asks(&self) -> bool {
        matches!(self.kind, Kind::Touch | Kind::User)
    }
}

/// A device with programs on it.
pub(crate) struct Host<D, P> {
    device: D,
    machine: Machine,
    sign: P,
    /// The answer to getInfo, which is given also while another request is current.
    pub(crate) info: Vec<u8>,
    /// At most one for each channel of the machine.
    queue: VecDeque<Job>,
    /// What is being answered.
    current: Option<RequestId>,
}

impl<D: Device, P: FnMut(Sign)> Host<D, P> {
    pub(crate) fn new(device: D, sign: P) -> Self {
        let (machine, queue) = (Machine::new(VERSION), VecDeque::new());
        Self { device, machine, sign, info: Vec::new(), queue, current: None }
    }

    /// Waits for the next request; it is then the current one. Dropped while it waits, it has lost
    /// nothing.
    pub(crate) async fn job(&mut self) -> Result<Job, Error> {
        self.current = None;
        loop {
            if let Some(job) = self.queue.pop_front() {
                self.current = Some(job.request.id);
                if job.asks() {
                    self.feed(Input::NeedsUser(job.request.id))?;
                }
                return Ok(job);
            }
            self.turn().await?;
        }
    }

    /// Whether anybody still waits for the current request.
    fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Waits for one thing to happen and acts on it. Dropped while it waits, it has lost nothing.
    async fn turn(&mut self) -> Result<(), Error> {
        let deadline = self.machine.poll_timeout().map(Instant::from_std);
        let sleep = sleep_until(deadline.unwrap_or_else(Instant::now));
        let event = tokio::select! {
            biased;
            () = sleep, if deadline.is_some() => None,
            event = self.device.next() => Some(event?),
        };
        let input = match &event {
            None => Input::Timeout,
            Some(Event::Report(report)) => Input::Report(report),
            Some(Event::Closed) => Input::Closed,
            Some(Event::Opened) => return Ok(()),
        };
        self.feed(input)?;
        if matches!(event, Some(Event::Closed)) {
            (self.sign)(Sign::Closed);
        }
        Ok(())
    }

    /// Waits for the answer to the current request and hears the programs; `None` if nobody waits for it
    /// any more.
    pub(crate) async fn while_wanted<T>(
        &mut self,
        answer: impl Future<Output = T>,
    ) -> Result<Option<T>, Error> {
        let mut answer = pin!(answer);
        while self.is_busy() {
            tokio::select! {
                turned = self.turn() => turned?,
                answer = &mut answer => return Ok(Some(answer)),
            }
        }
        Ok(None)
    }

    /// Whoever waits hears from here on that its user is asked.
    #[cfg(feature = "client")]
    pub(crate) fn needs_user(&mut self, job: &Job) -> Result<(), Error> {
        self.feed(Input::NeedsUser(job.request.id)).map(drop)
    }

    /// Writes the answer; `false` if nobody waits for it any more.
    pub(crate) fn answer(&mut self, job: &Job, bytes: &[u8]) -> Result<bool, Error> {
        self.current = None;
        self.feed(Input::Response(job.request.id, bytes))
    }

    /// Whether the machine took it.
    fn feed(&mut self, input: Input<'_>) -> Result<bool, Error> {
        let now = Instant::now().into_std();
        let taken = self.machine.handle(input, now).is_ok();
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Report(report) => self.device.send(&report)?,
                Output::Request(request) => self.request(request, now),
                Output::Withdrawn(id) => self.withdrawn(id),
                Output::Wink => (self.sign)(Sign::Wink),
            }
        }
        Ok(taken)
    }

    fn request(&mut self, request: Request, now: std::time::Instant) {
        let job = Job { kind: kind(&request.message), request };
        let id = job.request.id;
        let occupied = self.is_busy() || !self.queue.is_empty();
        let unknown: Vec<u8>;
        let answer = match job.kind {
            Kind::Info => Some(Input::Response(id, &self.info)),
            Kind::Unknown(status) => {
                unknown = respond(Err(status));
                Some(Input::Response(id, &unknown))
            }
            Kind::Touch | Kind::User if occupied => Some(Input::Busy(id)),
            _ => None,
        };
        let known = match answer {
            Some(answer) => self.machine.handle(answer, now),
            None => {
                self.queue.push_back(job);
                Ok(())
            }
        };
        debug_assert!(known.is_ok(), "it came out of the machine just now");
    }

    fn withdrawn(&mut self, id: RequestId) {
        self.queue.retain(|job| job.request.id != id);
        if self.current == Some(id) {
            self.current = None;
            (self.sign)(Sign::Withdrawn);
        }
    }
}
