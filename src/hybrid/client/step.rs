//! The transitions: a state and an input give the next state and outputs.

use std::collections::VecDeque;
use std::time::Instant;

use super::{
    AwaitChannel, Busy, ChannelState, Deadlines, Event, ExpectHandshakeResponse,
    ExpectPostHandshake, Input, Keys, Output, Ready, Scanning, Sender, State, Target,
};
use crate::hybrid::advert::Advert;
use crate::hybrid::error::{Error, Waiting};
use crate::hybrid::frame::{Frame, MessageType};
use crate::hybrid::linking::{LinkingInfo, decode_update};
use crate::hybrid::noise::{self, ClientSide};
use crate::hybrid::post_handshake::{Feature, PostHandshake};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::TunnelServiceId;

/// One step of the machine: the state goes in and the next one comes out.
pub(super) struct Step<'a> {
    pub(super) out: &'a mut VecDeque<Output>,
    pub(super) keys: &'a Keys,
    pub(super) times: &'a Deadlines,
    pub(super) now: Instant,
}

impl Step<'_> {
    pub(super) fn run(&mut self, state: State, input: Input<'_>) -> Result<State, Error> {
        match input {
            Input::Cancel => self.cancel(state),
            Input::Timeout => self.timeout(state),
            Input::ChannelFailed => self.channel_failed(state),
            Input::ChannelClosed => self.channel_closed(state),
            Input::Sighting { service_data, sender } => self.sighting(state, service_data, sender),
            Input::ChannelOpen => self.channel_open(state),
            Input::Message(message) => self.message(state, message),
            Input::Ctap(request) => self.request(state, MessageType::Ctap, request),
            Input::Json(request) => self.request(state, MessageType::Json, request),
            Input::Finish => self.finish(state),
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn sighting(&mut self, state: State, data: &[u8], sender: Sender) -> Result<State, Error> {
        match state {
            State::AwaitAdvert(mut scan, channel) => match scan.try_open(data) {
                Some(advert) => self.advert(scan, channel, advert, sender),
                None => Ok(State::AwaitAdvert(scan, channel)),
            },
            State::Contacting(mut scan) => match scan.try_open(data) {
                Some(advert) => Ok(self.advert_before_contact(advert)),
                None => Ok(State::Contacting(scan)),
            },
            // The first advert that opened is the one; later ones are replays or a second phone.
            other => Ok(other),
        }
    }

    fn advert(
        &mut self,
        mut scan: Scanning,
        channel: ChannelState,
        advert: Advert,
        sender: Sender,
    ) -> Result<State, Error> {
        if channel == ChannelState::Open {
            self.advert_seen();
            return self.begin_handshake(&advert, self.linked_service());
        }
        let service = advert.plaintext.service();
        if !service.is_known() {
            scan.heard.unassigned_service = Some(service);
            return Ok(State::AwaitAdvert(scan, channel));
        }
        self.advert_seen();
        Ok(self.open_channel(advert, service, sender))
    }

    fn advert_before_contact(&mut self, advert: Advert) -> State {
        self.advert_seen();
        let deadline = self.now + self.times.channel;
        let service = self.linked_service();
        State::AwaitChannel(AwaitChannel { advert, service, fallback: None, deadline })
    }

    fn advert_seen(&mut self) {
        self.out.push_back(Output::StopScan);
        self.event(Event::AdvertSeen);
    }

    /// The service of a linked phone; its advert may say anything.
    fn linked_service(&self) -> TunnelServiceId {
        match self.keys {
            Keys::Link { request } => request.device.service,
            Keys::Qr { .. } => TunnelServiceId::GOOGLE,
        }
    }

    fn open_channel(&mut self, advert: Advert, service: TunnelServiceId, peer: Sender) -> State {
        let routing = advert.plaintext.routing_id();
        let (tunnel, offers_l2cap) = match self.keys {
            Keys::Qr { offer } => {
                (offer.contents.secret.tunnel_id(), offer.contents.offers(ChannelKind::L2cap))
            }
            // A linked phone's channel was asked for before its advert; see `advert`.
            Keys::Link { .. } => return State::Closed,
        };
        let tunnel = Target::Tunnel { service, routing, tunnel };
        let (first, fallback) = match advert.suffix.psm.filter(|_| offers_l2cap) {
            Some(psm) => (Target::L2cap { peer, psm }, Some(tunnel)),
            None => (tunnel, None),
        };
        self.out.push_back(Output::OpenChannel(first));
        let deadline = self.now + self.times.channel;
        State::AwaitChannel(AwaitChannel { advert, service, fallback, deadline })
    }

    fn channel_failed(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::AwaitChannel(mut wait) => {
                let target = wait.fallback.take().ok_or(Error::ChannelFailed)?;
                self.out.push_back(Output::OpenChannel(target));
                wait.deadline = self.now + self.times.channel;
                Ok(State::AwaitChannel(wait))
            }
            State::Contacting(_) => Err(Error::ChannelFailed),
            // A late report of a channel that is no longer asked for.
            other => Ok(other),
        }
    }

    fn channel_open(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::AwaitChannel(wait) => self.begin_handshake(&wait.advert, wait.service),
            State::Contacting(scan) => Ok(State::AwaitAdvert(scan, ChannelState::Open)),
            other => Ok(other),
        }
    }

    fn begin_handshake(
        &mut self,
        advert: &Advert,
        service: TunnelServiceId,
    ) -> Result<State, Error> {
        let (side, psk, ephemeral) = match self.keys {
            Keys::Qr { offer } => {
                let psk = offer.contents.secret.psk(&advert.plaintext);
                (ClientSide::Qr(&offer.identity), psk, &offer.ephemeral)
            }
            Keys::Link { request } => {
                let psk = request.device.link_secret.psk(&advert.plaintext);
                (ClientSide::StateAssisted(&request.device.identity), psk, &request.ephemeral)
            }
        };
        let (message, noise) = noise::initiate(side, &psk, ephemeral)?;
        self.out.push_back(Output::Send(message.to_vec()));
        let deadline = self.now + self.times.handshake;
        Ok(State::ExpectHandshakeResponse(ExpectHandshakeResponse { noise, service, deadline }))
    }

    fn message(&mut self, state: State, message: &[u8]) -> Result<State, Error> {
        match state {
            State::ExpectHandshakeResponse(wait) => self.handshake_response(wait, message),
            State::ExpectPostHandshake(wait) => self.post_handshake(wait, message),
            State::Ready(ready) => self.frame(ready, None, message),
            State::Busy(ready, busy) => self.frame(ready, Some(busy), message),
            State::Lingering(ready, deadline) => self.late_frame(ready, deadline, message),
            State::Closed => Ok(State::Closed),
            _ => Err(Error::OutOfTurn),
        }
    }

    fn handshake_response(
        &mut self,
        wait: ExpectHandshakeResponse,
        message: &[u8],
    ) -> Result<State, Error> {
        let channel = wait.noise.finish(message)?;
        self.event(Event::Connected);
        let deadline = self.now + self.times.handshake;
        let service = wait.service;
        Ok(State::ExpectPostHandshake(ExpectPostHandshake { channel, service, deadline }))
    }

    fn post_handshake(
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
    fn offer_link(&mut self, ready: &Ready, info: Option<LinkingInfo>) {
        let Keys::Qr { offer } = self.keys else { return };
        let hash = &ready.channel.handshake_hash;
        let device = info.and_then(|info| info.verify(&offer.identity, hash, ready.service));
        device.into_iter().for_each(|device| self.event(Event::Linked(device)));
    }

    fn request(&mut self, state: State, kind: MessageType, body: &[u8]) -> Result<State, Error> {
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

    fn frame(
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
    fn late_frame(
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

    fn close(&mut self) -> State {
        self.out.push_back(Output::CloseChannel);
        self.event(Event::Closed);
        State::Closed
    }

    fn send_shutdown(&mut self, ready: &mut Ready) -> Result<(), Error> {
        let frame = Frame { kind: MessageType::Shutdown, payload: &[] };
        self.out.push_back(Output::Send(ready.channel.sealer.seal(frame)?));
        Ok(())
    }

    fn finish(&mut self, state: State) -> Result<State, Error> {
        let State::Ready(mut ready) = state else { return Err(Error::Misuse) };
        self.send_shutdown(&mut ready)?;
        Ok(State::Lingering(ready, self.now + self.times.linger))
    }

    /// CTAP's cancel does not exist over hybrid: Shutdown, where there is a channel to send it on,
    /// and hanging up are how a phone learns of it.
    fn cancel(&mut self, state: State) -> Result<State, Error> {
        if let State::Ready(mut ready) | State::Busy(mut ready, _) = state {
            self.send_shutdown(&mut ready)?;
        }
        Err(Error::Cancelled)
    }

    fn timeout(&mut self, state: State) -> Result<State, Error> {
        let waiting = state.waiting();
        match state {
            State::Contacting(s) | State::AwaitAdvert(s, _) if s.deadline <= self.now => {
                Err(Error::NoAdvert(s.heard))
            }
            // A target that does not answer has failed; the next one may.
            State::AwaitChannel(s) if s.deadline <= self.now && s.fallback.is_some() => {
                self.out.push_back(Output::CloseChannel);
                self.channel_failed(State::AwaitChannel(s))
            }
            State::AwaitChannel(AwaitChannel { deadline, .. })
            | State::ExpectHandshakeResponse(ExpectHandshakeResponse { deadline, .. })
            | State::ExpectPostHandshake(ExpectPostHandshake { deadline, .. })
                if deadline <= self.now =>
            {
                Err(Error::TimedOut(waiting))
            }
            State::Busy(mut ready, busy) if busy.deadline <= self.now => {
                self.send_shutdown(&mut ready)?;
                Err(Error::TimedOut(waiting))
            }
            State::Lingering(_, deadline) if deadline <= self.now => Ok(self.close()),
            early => Ok(early),
        }
    }

    fn channel_closed(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::Ready(_) | State::Lingering(..) => {
                self.event(Event::Closed);
                Ok(State::Closed)
            }
            State::Closed => Ok(State::Closed),
            // Nothing is open yet, so this is about a channel that was given up.
            State::AwaitAdvert(scan, ChannelState::NotYet) => {
                Ok(State::AwaitAdvert(scan, ChannelState::NotYet))
            }
            State::AwaitChannel(wait) => self.channel_failed(State::AwaitChannel(wait)),
            other => Err(Error::PeerClosed(other.waiting())),
        }
    }
}
