//! Giving channels to programs: the INIT command.
//!
//! Depends on siblings only. Specification: CTAP 2.2, section 11.2.9.1.3.

use super::channel::{Channel, State};
use super::interface::{HidError, MAX_CHANNELS, Output};
use super::packet::{ChannelId, HidCommand};
use super::{CAPABILITIES, Machine, NONCE, PROTOCOL_VERSION};

impl Machine {
    pub(super) fn init(&mut self, id: ChannelId, length: u16, data: &[u8]) {
        let nonce = data.get(..NONCE).filter(|_| usize::from(length) == NONCE);
        let Some(nonce) = nonce else { return self.error(id, HidError::InvalidLength) };
        let given = match id {
            ChannelId::BROADCAST => self.new_channel(),
            id => match self.find(id) {
                Some(channel) => {
                    let withdrawn = channel.state.request();
                    channel.state = State::Idle;
                    self.out.extend(withdrawn.map(Output::Withdrawn));
                    id
                }
                None => return self.error(id, HidError::InvalidChannel),
            },
        };
        let [major, minor, build] = self.version;
        let tail = [PROTOCOL_VERSION, major, minor, build, CAPABILITIES];
        let answer = [nonce, &given.0.to_be_bytes(), &tail].concat();
        self.send(id, HidCommand::INIT, &answer);
    }

    /// A channel that nobody has; if there are too many, the quietest one ends.
    fn new_channel(&mut self) -> ChannelId {
        if self.channels.len() >= MAX_CHANNELS {
            // One whose user is being asked goes last: its program listens, and does not speak.
            let quietest = |c: &&Channel| (c.state.request().is_some(), c.heard);
            if let Some(id) = self.channels.iter().min_by_key(quietest).map(|channel| channel.id) {
                self.forget(id);
            }
        }
        let taken = |id| self.channels.iter().any(|channel| channel.id == id);
        let mut id = ChannelId(self.last_channel.wrapping_add(1));
        while matches!(id, ChannelId::RESERVED | ChannelId::BROADCAST) || taken(id) {
            id = ChannelId(id.0.wrapping_add(1));
        }
        self.last_channel = id.0;
        self.channels.push(Channel { id, heard: self.turn, state: State::Idle });
        id
    }

    fn forget(&mut self, id: ChannelId) {
        let Some(position) = self.channels.iter().position(|channel| channel.id == id) else {
            return;
        };
        let channel = self.channels.swap_remove(position);
        self.out.extend(channel.state.request().map(Output::Withdrawn));
    }
}
