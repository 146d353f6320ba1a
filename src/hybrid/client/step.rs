//! The transitions: a state and an input give the next state and outputs. Here from the scan to the
//! handshake, and cancel, time and hang-ups in all states; `session` has the rest.

use std::collections::VecDeque;
use std::time::Instant;

mod session;

use super::{
    AwaitChannel, ChannelState, Deadlines, Event, ExpectHandshakeResponse, ExpectPostHandshake,
    Input, Keys, Output, Scanning, Sender, State, Target,
};
use crate::hybrid::advert::Advert;
use crate::hybrid::error::Error;
use crate::hybrid::frame::MessageType;
use crate::hybrid::noise::{self, ClientSide};
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
