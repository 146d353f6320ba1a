//! CTAPHID: how programs speak CTAP2 to a key on the USB, and the key's side of it as a machine.
//!
//! Feed it with [`Machine::handle`], drain [`Machine::poll_output`], wake it at
//! [`Machine::poll_timeout`]. It knows neither a device nor who answers: each CTAP2 message comes out
//! as a [`Request`], and any number of channels may wait for an answer at the same time, so that one
//! program's user keeps no other program from asking what the key can do.
//!
//! ```text
//! channel:  Idle ──first packet──> Assembling ──complete──> Waiting ──response, cancel──> Idle
//! ```
//!
//! What it does with every peer's mistakes: an ERROR on the peer's own channel, and nothing on others.
//! Depends on [`super::Status`] only. Specification: CTAP 2.2, section 11.2.

use std::collections::VecDeque;
use std::time::Instant;

mod allocate;
mod channel;
mod interface;
mod packet;

use self::channel::{Assembly, Channel, State, Waiting};
use self::interface::HidError;
pub use self::interface::{
    Input, KEEPALIVE_EVERY, MAX_CHANNELS, NoSuchRequest, Output, PACKET_TIMEOUT, Request, RequestId,
};
pub use self::packet::{ChannelId, HidCommand, MAX_PAYLOAD, Packet, REPORT_LEN, Report, fragments};
use super::Status;

/// Bytes of the nonce in an INIT.
const NONCE: usize = 8;
/// Of CTAPHID.
const PROTOCOL_VERSION: u8 = 2;
/// WINK, CBOR, and no MSG.
const CAPABILITIES: u8 = 0x01 | 0x04 | 0x08;

/// The key's side of all conversations.
#[derive(Debug)]
pub struct Machine {
    channels: Vec<Channel>,
    out: VecDeque<Output>,
    last_channel: u32,
    last_request: u64,
    turn: u64,
    version: [u8; 3],
}

impl Machine {
    /// A key of this version (major, minor, build) that nobody has spoken to.
    #[must_use]
    pub fn new(version: [u8; 3]) -> Self {
        let (channels, out) = (Vec::new(), VecDeque::new());
        Self { channels, out, last_channel: 0, last_request: 0, turn: 0, version }
    }

    /// Takes one input.
    ///
    /// # Errors
    ///
    /// [`NoSuchRequest`] for an answer that nobody waits for any more. Whatever a program sends
    /// is no error here; it is told itself.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Result<(), NoSuchRequest> {
        self.turn = self.turn.wrapping_add(1);
        match input {
            Input::Report(report) => self.report(report, now),
            Input::Closed => self.closed(),
            Input::Timeout => self.timeout(now),
            Input::NeedsUser(id) => self.needs_user(id)?,
            Input::Response(id, body) => {
                let channel = self.take_request(id)?;
                let too_long = [Status::OTHER.0];
                let fits = (1..=MAX_PAYLOAD).contains(&body.len());
                self.send(channel, HidCommand::CBOR, if fits { body } else { &too_long });
            }
            Input::Busy(id) => {
                let channel = self.take_request(id)?;
                self.error(channel, HidError::Busy);
            }
        }
        Ok(())
    }

    /// The next thing to do, in order; `None` when there is nothing.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.channels.iter().filter_map(|channel| channel.state.timeout()).min()
    }

    /// How many channels there are, [`MAX_CHANNELS`] at most.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    fn report(&mut self, report: &Report, now: Instant) {
        match Packet::read(report) {
            Packet::First { channel, command, length, data } => {
                self.first(channel, command, (length, data), now);
            }
            Packet::Next { channel, sequence, data } => self.next(channel, sequence, data, now),
        }
    }

    fn first(&mut self, id: ChannelId, command: HidCommand, body: (u16, &[u8]), now: Instant) {
        let (length, data) = body;
        match command {
            HidCommand::INIT => self.init(id, length, data),
            HidCommand::CANCEL => self.cancel(id),
            _ => match self.begin(id, command, (length, data), now) {
                Ok(()) => self.complete(id, now),
                Err(error) => self.error(id, error),
            },
        }
    }

    fn begin(
        &mut self,
        id: ChannelId,
        command: HidCommand,
        (length, data): (u16, &[u8]),
        now: Instant,
    ) -> Result<(), HidError> {
        let channel = self.find(id).ok_or(HidError::InvalidChannel)?;
        match channel.state {
            State::Waiting(_) => return Err(HidError::Busy),
            State::Assembling(_) => {
                channel.state = State::Idle;
                return Err(HidError::InvalidSequence);
            }
            State::Idle => {}
        }
        channel.state = State::Assembling(Assembly::begin(command, length, data, now)?);
        Ok(())
    }

    fn next(&mut self, id: ChannelId, sequence: u8, data: &[u8], now: Instant) {
        let Some(channel) = self.find(id) else { return };
        // One that continues nothing is ignored, as the specification says.
        let State::Assembling(assembly) = &mut channel.state else { return };
        match assembly.push(sequence, data, now) {
            Ok(()) => self.complete(id, now),
            Err(error) => {
                channel.state = State::Idle;
                self.error(id, error);
            }
        }
    }

    /// Acts on the channel's message if all of it is there.
    fn complete(&mut self, id: ChannelId, now: Instant) {
        let Some(channel) = self.find(id) else { return };
        match std::mem::replace(&mut channel.state, State::Idle) {
            State::Assembling(assembly) if assembly.is_complete() => {
                self.message(id, assembly.command, assembly.into_bytes(), now);
            }
            state => channel.state = state,
        }
    }

    fn message(&mut self, id: ChannelId, command: HidCommand, message: Vec<u8>, now: Instant) {
        match command {
            HidCommand::PING => self.send(id, command, &message),
            HidCommand::WINK if message.is_empty() => {
                self.out.push_back(Output::Wink);
                self.send(id, command, &[]);
            }
            HidCommand::WINK => self.error(id, HidError::InvalidLength),
            HidCommand::CBOR if message.is_empty() => self.error(id, HidError::InvalidLength),
            HidCommand::CBOR => self.request(id, message, now),
            // Also MSG, as the capabilities say, and LOCK, which is optional and would let one
            // program keep all others out.
            _ => self.error(id, HidError::InvalidCommand),
        }
    }

    fn request(&mut self, channel: ChannelId, message: Vec<u8>, now: Instant) {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        if let Some(found) = self.find(channel) {
            found.state = State::Waiting(Waiting::new(id, now));
            self.out.push_back(Output::Request(Request { id, channel, message }));
        }
    }

    /// One that comes when nothing waits is too late, and programs send it so: it has no answer.
    fn cancel(&mut self, id: ChannelId) {
        let Some(channel) = self.find(id) else { return };
        let Some(request) = channel.state.request() else { return };
        channel.state = State::Idle;
        self.out.push_back(Output::Withdrawn(request));
        self.send(id, HidCommand::CBOR, &[Status::KEEPALIVE_CANCEL.0]);
    }

    /// Nobody is left to hear an answer, and many programs say nothing else when they are stopped.
    fn closed(&mut self) {
        for channel in std::mem::take(&mut self.channels) {
            self.out.extend(channel.state.request().map(Output::Withdrawn));
        }
    }

    fn timeout(&mut self, now: Instant) {
        let due = |channel: &&mut Channel| channel.state.timeout().is_some_and(|at| at <= now);
        let mut late = Vec::new();
        for channel in self.channels.iter_mut().filter(due) {
            match &mut channel.state {
                State::Idle => {}
                State::Assembling(_) => {
                    late.push((channel.id, HidCommand::ERROR, HidError::Timeout as u8));
                    channel.state = State::Idle;
                }
                State::Waiting(waiting) => {
                    // 1: processing, 2: user presence needed.
                    let status = if waiting.for_user { 2 } else { 1 };
                    late.push((channel.id, HidCommand::KEEPALIVE, status));
                    waiting.keepalive_at = now + KEEPALIVE_EVERY;
                }
            }
        }
        late.iter().for_each(|(id, command, byte)| self.send(*id, *command, &[*byte]));
    }

    fn needs_user(&mut self, id: RequestId) -> Result<(), NoSuchRequest> {
        let mut states = self.channels.iter_mut().map(|channel| &mut channel.state);
        match states.find(|state| state.request() == Some(id)) {
            Some(State::Waiting(waiting)) => waiting.for_user = true,
            _ => return Err(NoSuchRequest),
        }
        Ok(())
    }

    fn take_request(&mut self, id: RequestId) -> Result<ChannelId, NoSuchRequest> {
        let mut channels = self.channels.iter_mut();
        let channel = channels.find(|channel| channel.state.request() == Some(id));
        let channel = channel.ok_or(NoSuchRequest)?;
        channel.state = State::Idle;
        Ok(channel.id)
    }

    /// The channel, which has just spoken.
    fn find(&mut self, id: ChannelId) -> Option<&mut Channel> {
        let channel = self.channels.iter_mut().find(|channel| channel.id == id)?;
        channel.heard = self.turn;
        Some(channel)
    }

    fn send(&mut self, channel: ChannelId, command: HidCommand, payload: &[u8]) {
        let reports = fragments(channel, command, payload);
        self.out.extend(reports.map(|report| Output::Report(Box::new(report))));
    }

    fn error(&mut self, channel: ChannelId, error: HidError) {
        self.send(channel, HidCommand::ERROR, &[error as u8]);
    }
}

#[cfg(test)]
mod tests;
