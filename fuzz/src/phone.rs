//! The phone's state machine, with all that must hold after each input.

use std::time::Instant;

use cabled::hybrid::Error;
use cabled::hybrid::authenticator::{Event, Identity, Input, Output, Transaction};
use cabled::hybrid::linking::LinkingInfo;

use crate::{KEYS, scene};

/// What one input may bring to the outside, in outputs and in bytes beyond those of the input.
const MAX_OUTPUTS: usize = 5;
const MAX_EXTRA: usize = 512;

/// The machine, and what a driver knows of it.
pub struct Phone {
    machine: Transaction,
    on_air: bool,
    advert: Option<Vec<u8>>,
    connected: bool,
    /// A request is with the user.
    thinking: bool,
    /// An answer left that nobody acknowledged.
    answered: bool,
}

impl Phone {
    /// Takes a machine that has just begun.
    #[must_use]
    pub fn new(machine: Transaction) -> Self {
        let (on_air, advert, connected) = (false, None, false);
        let mut phone =
            Self { machine, on_air, advert, connected, thinking: false, answered: false };
        assert!(matches!(phone.drain()[..], [Output::OpenTunnel(_)]));
        phone
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// The advert that it put on the air.
    #[must_use]
    pub fn advert(&self) -> Option<&[u8]> {
        self.advert.as_deref()
    }

    /// Linking information for this laptop.
    #[must_use]
    pub fn linking_info(&self) -> Option<LinkingInfo> {
        self.machine.linking_info(scene::link(), &Identity(KEYS.phone.clone()))
    }

    /// Feeds one input, checks what comes of it, and gives the messages to send.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Vec<Vec<u8>> {
        let was_closed = self.machine.is_closed();
        let timeout = matches!(input, Input::Timeout);
        let (len, response) = match input {
            Input::Response(body) => (body.len(), true),
            Input::Message { message, .. } => (message.len(), false),
            _ => (0, false),
        };
        let result = self.machine.handle(input, now);
        let outputs = self.drain();
        assert!(outputs.len() <= MAX_OUTPUTS && size(&outputs) <= len + MAX_EXTRA);
        assert!(!was_closed || outputs.is_empty(), "{outputs:?} after the end");
        match result {
            Ok(()) if response => {
                assert!(std::mem::take(&mut self.thinking));
                self.answered = true;
            }
            Ok(()) => {}
            Err(Error::Misuse) => {
                assert!(!response || !self.thinking || len == 0);
                assert!(outputs.is_empty() && was_closed == self.machine.is_closed());
            }
            Err(_) => {
                assert!(self.machine.is_closed());
                let closes = outputs.last() == Some(&Output::CloseChannel);
                assert!(was_closed || closes, "{outputs:?} leaves something open");
            }
        }
        self.observe(&outputs);
        self.thinking &= !self.machine.is_closed();
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

    fn check_rest(&self, timeout: bool, now: Instant) {
        let deadline = self.machine.poll_timeout();
        if self.machine.is_closed() {
            assert!(!self.on_air && deadline.is_none());
        } else {
            assert!(self.thinking || deadline.is_some(), "a wait without a deadline");
            assert!(!(self.on_air && self.connected));
        }
        assert!(!timeout || deadline.is_none_or(|at| at > now), "it would spin");
    }

    fn observe(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::OpenTunnel(_) => panic!("a second tunnel"),
                Output::Advertise(data) => {
                    assert!(!std::mem::replace(&mut self.on_air, true));
                    self.advert = Some(data.clone());
                }
                Output::StopAdvertising => assert!(std::mem::take(&mut self.on_air)),
                Output::Event(event) => self.event(event),
                _ => {}
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Connected => assert!(!std::mem::replace(&mut self.connected, true)),
            Event::Ctap(_) | Event::Json(_) => {
                assert!(self.connected && !self.answered, "an answer without acknowledgement");
                assert!(!std::mem::replace(&mut self.thinking, true));
            }
            Event::Acknowledged => assert!(std::mem::take(&mut self.answered)),
            Event::Closed => assert!(self.machine.is_closed() && !self.answered),
            _ => {}
        }
    }
}

fn message(output: Output) -> Option<Vec<u8>> {
    match output {
        Output::Send { message, .. } => Some(message),
        _ => None,
    }
}

fn size(outputs: &[Output]) -> usize {
    let size = |output: &Output| match output {
        Output::Send { message, .. } => message.len(),
        Output::Event(Event::Ctap(bytes) | Event::Json(bytes)) => bytes.len(),
        _ => 0,
    };
    outputs.iter().map(size).sum()
}
