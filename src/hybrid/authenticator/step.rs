//! The transitions: a state and an input give the next state and outputs.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Advertising, Channel, Deadlines, Event, Input, Keys, Offer, Output, State};
use crate::hybrid::advert::{self, AdvertPlaintext, AdvertSuffix};
use crate::hybrid::error::{Error, Waiting};
use crate::hybrid::frame::{Frame, MessageType};
use crate::hybrid::keys::{EidKey, Psk};
use crate::hybrid::linking::{LinkingInfo, encode_update};
use crate::hybrid::noise::{self, AuthenticatorSide};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::{RoutingId, TunnelServiceId};

/// One step of the machine: the state goes in and the next one comes out.
pub(super) struct Step<'a> {
    pub(super) out: &'a mut VecDeque<Output>,
    pub(super) keys: &'a Keys,
    pub(super) offer: &'a Offer,
    pub(super) times: &'a Deadlines,
    pub(super) now: Instant,
}

impl Step<'_> {
    pub(super) fn run(&mut self, state: State, input: Input<'_>) -> Result<State, Error> {
        match input {
            Input::Cancel => Err(Error::Cancelled),
            Input::Timeout => self.timeout(state),
            Input::TunnelOpen { routing, service } => Ok(self.tunnel_open(state, routing, service)),
            Input::TunnelFailed => self.tunnel_failed(state),
            Input::Message { via, message } => self.message(state, via, message),
            Input::ChannelClosed { via } => self.channel_closed(state, via),
            Input::Response(body) => self.response(state, body),
            Input::Update(info) => self.update(state, info),
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn eid_key(&self) -> EidKey {
        match self.keys {
            Keys::Qr(scan) => scan.contents.secret.eid_key(),
            Keys::Link(rung) => rung.link_secret.eid_key(&rung.ring.payload.nonce),
        }
    }

    fn psk(&self, plaintext: &AdvertPlaintext) -> Psk {
        match self.keys {
            Keys::Qr(scan) => scan.contents.secret.psk(plaintext),
            Keys::Link(rung) => rung.link_secret.psk(plaintext),
        }
    }

    fn may_use_l2cap(&self) -> bool {
        match self.keys {
            Keys::Qr(scan) => self.offer.may_use_l2cap(scan),
            Keys::Link(_) => false,
        }
    }

    fn may_use_tunnel(&self) -> bool {
        match self.keys {
            Keys::Qr(scan) => scan.contents.offers(ChannelKind::Tunnel),
            Keys::Link(_) => true,
        }
    }

    fn tunnel_open(&mut self, state: State, routing: RoutingId, service: TunnelServiceId) -> State {
        match state {
            State::AwaitTunnel(_) => self.advertise(routing, service),
            other => other,
        }
    }

    /// Without a tunnel an L2CAP channel still works; the advert then names no real node.
    fn tunnel_failed(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::AwaitTunnel(_) if self.may_use_l2cap() => {
                Ok(self.advertise(RoutingId::new([0; 3]), TunnelServiceId::GOOGLE))
            }
            State::AwaitTunnel(_) if self.may_use_tunnel() => Err(Error::ChannelFailed),
            State::AwaitTunnel(_) => Err(Error::NoCommonChannel),
            other => Ok(other),
        }
    }

    fn advertise(&mut self, routing: RoutingId, service: TunnelServiceId) -> State {
        let plaintext = AdvertPlaintext::new(self.offer.nonce, routing, service);
        let psm = self.offer.l2cap.filter(|_| self.may_use_l2cap());
        let mut data = advert::seal(&self.eid_key(), &plaintext).to_vec();
        data.extend(AdvertSuffix { psm }.encode());
        self.out.push_back(Output::Advertise(data));
        self.event(Event::Advertising);
        State::Advertising(Advertising { plaintext, deadline: self.now + self.times.client })
    }

    fn message(&mut self, state: State, via: ChannelKind, message: &[u8]) -> Result<State, Error> {
        match state {
            State::Advertising(advertising) => self.first_message(advertising, via, message),
            State::Idle(channel, at) if channel.via != via => Ok(State::Idle(channel, at)),
            State::Thinking(channel, kind) if channel.via != via => {
                Ok(State::Thinking(channel, kind))
            }
            State::Answered(channel, at) if channel.via != via => Ok(State::Answered(channel, at)),
            State::Idle(channel, at) => self.frame(channel, at, message),
            State::Answered(channel, at) => self.acknowledged(channel, at, message),
            State::Thinking(channel, _) => self.impatient(channel, message),
            State::AwaitTunnel(_) => Err(Error::OutOfTurn),
            State::Closed => Ok(State::Closed),
        }
    }

    /// Anybody near can connect over Bluetooth and say something, so that what is no handshake of
    /// our laptop's ends nothing but that connection. Into the tunnel only the laptop gets.
    fn first_message(
        &mut self,
        advertising: Advertising,
        via: ChannelKind,
        message: &[u8],
    ) -> Result<State, Error> {
        match self.handshake(&advertising, via, message) {
            Err(Error::Handshake(_)) if via == ChannelKind::L2cap => {
                self.out.push_back(Output::Discard(via));
                Ok(State::Advertising(advertising))
            }
            other => other,
        }
    }

    fn handshake(
        &mut self,
        advertising: &Advertising,
        via: ChannelKind,
        message: &[u8],
    ) -> Result<State, Error> {
        let psk = self.psk(&advertising.plaintext);
        let side = match self.keys {
            Keys::Qr(scan) => AuthenticatorSide::Qr(&scan.contents.identity),
            Keys::Link(rung) => AuthenticatorSide::StateAssisted(&rung.identity.0),
        };
        let (answer, established) = noise::respond(side, &psk, &self.offer.ephemeral, message)?;
        let mut channel = Channel { established, via };
        self.out.push_back(Output::StopAdvertising);
        self.out.push_back(Output::Send { via, message: answer.to_vec() });
        let first = self.offer.post_handshake.encode();
        let message = channel.established.sealer.seal_untyped(&first)?;
        self.out.push_back(Output::Send { via, message });
        self.event(Event::Connected);
        let other = match via {
            ChannelKind::Tunnel => ChannelKind::L2cap,
            ChannelKind::L2cap => ChannelKind::Tunnel,
        };
        self.out.extend(self.may_use_l2cap().then_some(Output::Discard(other)));
        Ok(State::Idle(channel, self.now + self.times.request))
    }

    /// The laptop's next frame when it is its turn.
    fn frame(&mut self, mut channel: Channel, at: Instant, message: &[u8]) -> Result<State, Error> {
        let plaintext = channel.established.opener.open(message)?;
        let frame = Frame::decode(&plaintext)?;
        match frame.kind {
            MessageType::Ctap => self.event(Event::Ctap(frame.payload.to_vec())),
            MessageType::Json => self.event(Event::Json(frame.payload.to_vec())),
            MessageType::Shutdown => return Ok(self.close()),
            // Says nothing to a phone, and buys no time.
            MessageType::Update => return Ok(State::Idle(channel, at)),
        }
        Ok(State::Thinking(channel, frame.kind))
    }

    /// A frame after an answer: whatever opens proves that the answer was taken.
    fn acknowledged(
        &mut self,
        channel: Channel,
        at: Instant,
        message: &[u8],
    ) -> Result<State, Error> {
        let before = self.out.len();
        let state = self.frame(channel, at, message)?;
        self.out.insert(before, Output::Event(Event::Acknowledged));
        Ok(state)
    }

    /// A frame while the user thinks: Shutdown withdraws the request, all else is out of turn.
    fn impatient(&mut self, mut channel: Channel, message: &[u8]) -> Result<State, Error> {
        let plaintext = channel.established.opener.open(message)?;
        match Frame::decode(&plaintext)?.kind {
            MessageType::Shutdown => Err(Error::PeerClosed(Waiting::Response)),
            _ => Err(Error::OutOfTurn),
        }
    }

    fn close(&mut self) -> State {
        self.out.push_back(Output::CloseChannel);
        self.event(Event::Closed);
        State::Closed
    }

    fn response(&mut self, state: State, payload: &[u8]) -> Result<State, Error> {
        let State::Thinking(mut channel, kind) = state else { return Err(Error::Misuse) };
        let message = channel.established.sealer.seal(Frame { kind, payload })?;
        self.out.push_back(Output::Send { via: channel.via, message });
        Ok(State::Answered(channel, self.now + self.times.acknowledgement))
    }

    fn update(&mut self, mut state: State, info: Option<&LinkingInfo>) -> Result<State, Error> {
        let channel = match &mut state {
            State::Idle(channel, _) | State::Thinking(channel, _) | State::Answered(channel, _) => {
                channel
            }
            _ => return Err(Error::Misuse),
        };
        let payload = encode_update(info);
        let frame = Frame { kind: MessageType::Update, payload: &payload };
        let message = channel.established.sealer.seal(frame)?;
        self.out.push_back(Output::Send { via: channel.via, message });
        Ok(state)
    }

    fn channel_closed(&mut self, state: State, via: ChannelKind) -> Result<State, Error> {
        match state {
            // The other of two channels is given up by the laptop once it has chosen.
            State::Idle(channel, at) if channel.via != via => Ok(State::Idle(channel, at)),
            State::Thinking(channel, kind) if channel.via != via => {
                Ok(State::Thinking(channel, kind))
            }
            State::Answered(channel, at) if channel.via != via => Ok(State::Answered(channel, at)),
            State::Advertising(advertising) if self.may_use_l2cap() => {
                Ok(State::Advertising(advertising))
            }
            State::AwaitTunnel(_) => self.tunnel_failed(state),
            State::Closed => Ok(State::Closed),
            other => Err(Error::PeerClosed(other.waiting())),
        }
    }

    /// A tunnel that opens after all is of no use: the advert does not name it.
    fn late_tunnel(&mut self, state: State) -> Result<State, Error> {
        let waiting = state.waiting();
        if self.may_use_l2cap() && self.may_use_tunnel() {
            self.out.push_back(Output::Discard(ChannelKind::Tunnel));
        }
        self.tunnel_failed(state).map_err(|error| match error {
            Error::ChannelFailed => Error::TimedOut(waiting),
            other => other,
        })
    }

    fn timeout(&mut self, state: State) -> Result<State, Error> {
        let waiting = state.waiting();
        match state {
            State::AwaitTunnel(at) if at <= self.now => self.late_tunnel(state),
            State::Advertising(Advertising { deadline: at, .. })
            | State::Idle(_, at)
            | State::Answered(_, at)
                if at <= self.now =>
            {
                Err(Error::TimedOut(waiting))
            }
            early => Ok(early),
        }
    }
}
