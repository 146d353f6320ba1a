//! The transitions over an established channel: the phone's first message, requests, updates, leave.

use std::time::Instant;

use super::super::{Busy, Event, ExpectPostHandshake, Keys, Output, Ready, State};
use super::Step;
use crate::hybrid::error::{Error, Waiting};
use crate::hybrid::frame::{Frame, MessageType};
use crate::hybrid::linking::{LinkingInfo, decode_update};
use crate::hybrid::post_handshake::{Feature, PostHandshake};

impl Step<'_> {
    pub(super) fn post_handshake(
        &mut self,
        mut wait: ExpectPostHandshake,
        message: &[u8],
    ) -> Result<State, Error> {
        let plaintext = wait.channel.opener.open(message)?;
        let mut said = PostHandshake::decode(&plaintext)?;
        let features = said.features.clone();
        let linking = said.linking.take();
        let ready = Ready { channel: wait.channel, service: wait.service, features };
        self.event(Event::Ready(said));
        self.offer_link(&ready, linking);
        Ok(State::Ready(ready))
    }

    /// Checks linking information against this handshake; what does not hold is dropped.
    pub(super) fn offer_link(&mut self, ready: &Ready, info: Option<LinkingInfo>) {
        let Keys::Qr { offer } = self.keys else { return };
        let hash = &ready.channel.handshake_hash;
        let device = info.and_then(|info| info.verify(&offer.identity, hash, ready.service));
        device.into_iter().for_each(|device| self.event(Event::Linked(device)));
    }

    pub(super) fn request(
        &mut self,
        state: State,
        kind: MessageType,
        body: &[u8],
    ) -> Result<State, Error> {
        let State::Ready(mut ready) = state else { return Err(Error::Misuse) };
        let feature = match kind {
            MessageType::Json => Feature::DigitalCredentials,
            _ => Feature::Ctap,
        };
        if !ready.features.contains(&feature) {
            return Err(Error::NotOffered);
        }
        let frame = ready.channel.sealer.seal(Frame { kind, payload: body })?;
        self.out.push_back(Output::Send(frame));
        let deadline = self.now + self.times.response;
        Ok(State::Busy(ready, Busy { expected: kind, deadline }))
    }

    pub(super) fn frame(
        &mut self,
        mut ready: Ready,
        busy: Option<Busy>,
        message: &[u8],
    ) -> Result<State, Error> {
        let plaintext = ready.channel.opener.open(message)?;
        let frame = Frame::decode(&plaintext)?;
        match (frame.kind, busy) {
            (MessageType::Update, busy) => {
                self.offer_link(&ready, decode_update(frame.payload));
                Ok(match busy {
                    Some(busy) => State::Busy(ready, busy),
                    None => State::Ready(ready),
                })
            }
            (MessageType::Shutdown, Some(_)) => Err(Error::PeerClosed(Waiting::Response)),
            (MessageType::Shutdown, None) => Ok(self.close()),
            (kind, Some(busy)) if kind == busy.expected => {
                self.event(match kind {
                    MessageType::Json => Event::Json(frame.payload.to_vec()),
                    _ => Event::Ctap(frame.payload.to_vec()),
                });
                Ok(State::Ready(ready))
            }
            _ => Err(Error::OutOfTurn),
        }
    }

    /// After Shutdown only updates matter; anything else is read and dropped.
    pub(super) fn late_frame(
        &mut self,
        mut ready: Ready,
        deadline: Instant,
        message: &[u8],
    ) -> Result<State, Error> {
        let Ok(plaintext) = ready.channel.opener.open(message) else { return Ok(self.close()) };
        match Frame::decode(&plaintext) {
            Ok(Frame { kind: MessageType::Update, payload }) => {
                self.offer_link(&ready, decode_update(payload));
                Ok(State::Lingering(ready, deadline))
            }
            Ok(Frame { kind: MessageType::Shutdown, .. }) | Err(_) => Ok(self.close()),
            Ok(_) => Ok(State::Lingering(ready, deadline)),
        }
    }

    pub(super) fn close(&mut self) -> State {
        self.out.push_back(Output::CloseChannel);
        self.event(Event::Closed);
        State::Closed
    }

    pub(super) fn send_shutdown(&mut self, ready: &mut Ready) -> Result<(), Error> {
        let frame = Frame { kind: MessageType::Shutdown, payload: &[] };
        self.out.push_back(Output::Send(ready.channel.sealer.seal(frame)?));
        Ok(())
    }

    pub(super) fn finish(&mut self, state: State) -> Result<State, Error> {
        let State::Ready(mut ready) = state else { return Err(Error::Misuse) };
        self.send_shutdown(&mut ready)?;
        Ok(State::Lingering(ready, self.now + self.times.linger))
    }
}
