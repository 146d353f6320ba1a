//! The laptop's state machine, with all that must hold after each input.

use std::time::Instant;

use cabled::hybrid::Error;
use cabled::hybrid::client::{Event, Input, Output, Transaction};

/// What one input may bring to the outside, in outputs and in bytes beyond those of the input.
const MAX_OUTPUTS: usize = 4;
const MAX_EXTRA: usize = 256;

/// The machine, and what a driver knows of it.
pub struct Laptop {
    machine: Transaction,
    scanning: bool,
    channel: bool,
    connected: bool,
    ready: bool,
    finished: bool,
    /// A request is out; whether it is JSON.
    requested: Option<bool>,
}

impl Laptop {
    /// Takes a machine that has just begun.
    #[must_use]
    pub fn new(machine: Transaction) -> Self {
        let (scanning, channel, connected) = (false, false, false);
        let (ready, finished, requested) = (false, false, None);
        let mut laptop = Self { machine, scanning, channel, connected, ready, finished, requested };
        let outputs = laptop.drain();
        laptop.observe(&outputs);
        assert!(laptop.scanning);
        laptop
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// Feeds one input, checks what comes of it, and gives the messages to send.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Vec<Vec<u8>> {
        let was_closed = self.machine.is_closed();
        let timeout = matches!(input, Input::Timeout);
        let finish = matches!(input, Input::Finish);
        let (len, request) = match input {
            Input::Ctap(body) => (body.len(), Some(false)),
            Input::Json(body) => (body.len(), Some(true)),
            Input::Message(message) => (message.len(), None),
            _ => (0, None),
        };
        if matches!(input, Input::ChannelClosed | Input::ChannelFailed) {
            self.channel = false;
        }
        let result = self.machine.handle(input, now);
        let outputs = self.drain();
        assert!(outputs.len() <= MAX_OUTPUTS && size(&outputs) <= len + MAX_EXTRA);
        assert!(!was_closed || outputs.is_empty(), "{outputs:?} after the end");
        match result {
            Ok(()) if request.is_some() => {
                assert!(self.is_idle() && self.requested.is_none());
                self.requested = request;
            }
            Ok(()) => self.finished |= finish,
            Err(Error::Misuse) => {
                assert!(outputs.is_empty() && was_closed == self.machine.is_closed());
            }
            Err(_) => {
                assert!(self.machine.is_closed());
                let last = outputs.last();
                let closes = matches!(last, Some(Output::CloseChannel | Output::StopScan));
                assert!(was_closed || closes, "{outputs:?} leaves something open");
            }
        }
        self.observe(&outputs);
        self.check_rest(timeout, now);
        outputs.into_iter().filter_map(message).collect()
    }

    /// Whatever happened, deadlines alone bring it to an end, or to where it is the caller's turn.
    pub fn wait_to_the_end(&mut self) {
        let ended =
            (0..8).any(|_| self.deadline().map(|at| self.handle(Input::Timeout, at)).is_none());
        assert!(ended, "a deadline that never ends the wait");
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }

    /// Nothing to wait for: it is the caller's turn.
    fn is_idle(&self) -> bool {
        self.ready && self.requested.is_none() && !self.finished
    }

    fn check_rest(&self, timeout: bool, now: Instant) {
        let deadline = self.machine.poll_timeout();
        if self.machine.is_closed() {
            assert!(!self.scanning && !self.channel && deadline.is_none());
        } else {
            assert!(self.is_idle() || deadline.is_some(), "a wait without a deadline");
            assert_eq!(self.scanning, self.machine.heard().is_some());
        }
        assert!(!timeout || deadline.is_none_or(|at| at > now), "it would spin");
    }

    fn observe(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::StartScan => assert!(!std::mem::replace(&mut self.scanning, true)),
                Output::StopScan => assert!(std::mem::take(&mut self.scanning)),
                Output::OpenChannel(_) => assert!(!std::mem::replace(&mut self.channel, true)),
                Output::CloseChannel => self.channel = false,
                Output::Event(event) => self.event(event),
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Connected => assert!(!std::mem::replace(&mut self.connected, true)),
            Event::Ready(_) => {
                assert!(self.connected && !std::mem::replace(&mut self.ready, true));
            }
            Event::Ctap(_) => assert_eq!(self.requested.take(), Some(false)),
            Event::Json(_) => assert_eq!(self.requested.take(), Some(true)),
            Event::Linked(_) => assert!(self.ready),
            Event::Closed => assert!(self.machine.is_closed()),
            _ => {}
        }
    }
}

fn message(output: Output) -> Option<Vec<u8>> {
    match output {
        Output::Send(message) => Some(message),
        _ => None,
    }
}

fn size(outputs: &[Output]) -> usize {
    let size = |output: &Output| match output {
        Output::Send(bytes) | Output::Event(Event::Ctap(bytes) | Event::Json(bytes)) => bytes.len(),
        _ => 0,
    };
    outputs.iter().map(size).sum()
}
