//! The device and its machine, and the requests that come out of them in their order.
//!
//! Depends on `ctap`, `uhid` and siblings only.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep_until};

use super::Progress;
use super::probe::{Kind, kind};
use crate::ctap::hid::{Input, Machine, Output, Request, RequestId};
use crate::ctap::{Command, respond};
use crate::uhid::{Device, Error, Event};

/// What a key is called.
const VERSION: [u8; 3] = [0, 1, 0];
/// "Use this key?", which is all that a touch is.
const SELECTION: &[u8] = &[Command::Selection as u8];

/// A request for the engine.
pub(super) struct Job {
    request: Request,
    kind: Kind,
}

impl Job {
    pub(super) fn for_engine(&self) -> &[u8] {
        if self.is_touch() { SELECTION } else { &self.request.message }
    }

    pub(super) fn is_touch(&self) -> bool {
        self.kind == Kind::Touch
    }

    fn asks(&self) -> bool {
        matches!(self.kind, Kind::Touch | Kind::User)
    }
}

pub(super) struct Host<D, P> {
    device: D,
    machine: Machine,
    pub(super) progress: P,
    /// The answer to getInfo, which is given also while the engine is busy.
    pub(super) info: Vec<u8>,
    /// At most one for each channel of the machine.
    queue: VecDeque<Job>,
    /// What the engine works on.
    current: Option<RequestId>,
}

impl<D: Device, P: FnMut(Progress<'_>)> Host<D, P> {
    pub(super) fn new(device: D, progress: P) -> Self {
        let (machine, queue) = (Machine::new(VERSION), VecDeque::new());
        Self { device, machine, progress, info: Vec::new(), queue, current: None }
    }

    /// Waits for the next request; it is then the current one.
    pub(super) async fn job(&mut self) -> Result<Job, Error> {
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
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Waits for one thing to happen and acts on it. Dropped while it waits, it has lost nothing.
    pub(super) async fn turn(&mut self) -> Result<(), Error> {
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
        self.feed(input).map(drop)
    }

    /// Writes the answer; `false` if nobody waits for it any more.
    pub(super) fn answer(&mut self, job: &Job, bytes: &[u8]) -> Result<bool, Error> {
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
                Output::Wink => (self.progress)(Progress::Wink),
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
            (self.progress)(Progress::Withdrawn);
        }
    }
}
