//! The transitions: a state and an input give the next state and outputs. Here from the scan to the
//! handshake, and cancel, time and hang-ups in all states; `session` has the rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

mod session;

use super::{
    Attempt, AwaitChannel, ChannelState, Deadlines, Event, ExpectHandshakeResponse,
    ExpectPostHandshake, Input, Keys, Output, Scanning, Sender, State, Target,
};
use crate::hybrid::advert::Advert;
use crate::hybrid::error::{Error, Waiting};
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
            return self.begin_handshake(self.linked_attempt(advert));
        }
        let service = advert.plaintext.service();
        if !service.is_known() {
            scan.heard.unassigned_service = Some(service);
            return Ok(State::AwaitAdvert(scan, channel));
        }
        let mut targets = self.targets(&advert, service, sender);
        let Some(first) = targets.pop_front() else {
            // It names no channel that our QR offers; another reception of it may.
            return Ok(State::AwaitAdvert(scan, channel));
        };
        let attempt = Attempt { advert, service, via: first.kind(), others: targets };
        self.advert_seen();
        Ok(self.open_channel(first, attempt))
    }

    fn advert_before_contact(&mut self, advert: Advert) -> State {
        self.advert_seen();
        let deadline = self.now + self.times.channel;
        State::AwaitChannel(AwaitChannel { attempt: self.linked_attempt(advert), deadline })
    }

    fn advert_seen(&mut self) {
        self.out.push_back(Output::StopScan);
        self.event(Event::AdvertSeen);
    }

    /// The channel of a linked phone, which was asked for before its advert; that may say anything.
    fn linked_attempt(&self, advert: Advert) -> Attempt {
        let service = match self.keys {
            Keys::Link { request } => request.device.service,
            Keys::Qr { .. } => TunnelServiceId::GOOGLE,
        };
        Attempt { advert, service, via: ChannelKind::Tunnel, others: VecDeque::new() }
    }

    /// The data channels that both sides offer, in the order in which they are tried.
    ///
    /// L2CAP comes twice: over the air one connection in some does not come about, and without
    /// internet there is nothing else.
    fn targets(&self, advert: &Advert, service: TunnelServiceId, peer: Sender) -> VecDeque<Target> {
        let Keys::Qr { offer } = self.keys else { return VecDeque::new() };
        let contents = &offer.contents;
        let psm = advert.suffix.psm.filter(|_| contents.offers(ChannelKind::L2cap));
        let routing = advert.plaintext.routing_id();
        let tunnel = contents.secret.tunnel_id();
        let tunnel = Target::Tunnel { service, routing, tunnel };
        let tunnel = contents.offers(ChannelKind::Tunnel).then_some(tunnel);
        let l2cap = psm.map(|psm| Target::L2cap { peer, psm });
        [l2cap.clone(), tunnel, l2cap].into_iter().flatten().collect()
    }

    fn open_channel(&mut self, target: Target, mut attempt: Attempt) -> State {
        attempt.via = target.kind();
        self.out.push_back(Output::OpenChannel(target));
        let deadline = self.now + self.patience(&attempt, self.times.channel);
        State::AwaitChannel(AwaitChannel { attempt, deadline })
    }

    /// L2CAP does not keep what comes after it waiting.
    fn patience(&self, attempt: &Attempt, usual: Duration) -> Duration {
        match attempt.via == ChannelKind::L2cap && !attempt.others.is_empty() {
            true => self.times.l2cap.min(usual),
            false => usual,
        }
    }

    /// Goes on to the next channel, if there is one.
    ///
    /// What named the first one was not authenticated, so until the handshake is done nothing that
    /// goes wrong with it may end the transaction. The next gets the same first message: nobody
    /// but the phone can have read or answered it.
    fn fall_back(&mut self, mut attempt: Attempt, error: Error) -> Result<State, Error> {
        let target = attempt.others.pop_front().ok_or(error)?;
        Ok(self.open_channel(target, attempt))
    }

    /// The same when there is a channel to close.
    fn close_and_fall_back(&mut self, attempt: Attempt, error: Error) -> Result<State, Error> {
        // Where nothing comes after it the error closes it.
        self.out.extend((!attempt.others.is_empty()).then_some(Output::CloseChannel));
        self.fall_back(attempt, error)
    }

    fn channel_failed(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::AwaitChannel(wait) => self.fall_back(wait.attempt, Error::ChannelFailed),
            State::Contacting(_) => Err(Error::ChannelFailed),
            // A late report of a channel that is no longer asked for.
            other => Ok(other),
        }
    }

    fn channel_open(&mut self, state: State) -> Result<State, Error> {
        match state {
            State::AwaitChannel(wait) => self.begin_handshake(wait.attempt),
            State::Contacting(scan) => Ok(State::AwaitAdvert(scan, ChannelState::Open)),
            other => Ok(other),
        }
    }

    fn begin_handshake(&mut self, mut attempt: Attempt) -> Result<State, Error> {
        // In the tunnel there is nobody but the phone: what goes wrong there is the end.
        if attempt.via == ChannelKind::Tunnel {
            attempt.others.clear();
        }
        let plaintext = &attempt.advert.plaintext;
        let (side, psk, ephemeral) = match self.keys {
            Keys::Qr { offer } => {
                let psk = offer.contents.secret.psk(plaintext);
                (ClientSide::Qr(&offer.identity), psk, &offer.ephemeral)
            }
            Keys::Link { request } => {
                let psk = request.device.link_secret.psk(plaintext);
                (ClientSide::StateAssisted(&request.device.identity), psk, &request.ephemeral)
            }
        };
        let (message, noise) = noise::initiate(side, &psk, ephemeral)?;
        self.out.push_back(Output::Send(message.to_vec()));
        let deadline = self.now + self.patience(&attempt, self.times.handshake);
        Ok(State::ExpectHandshakeResponse(ExpectHandshakeResponse { noise, attempt, deadline }))
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
        let channel = match wait.noise.finish(message) {
            Ok(channel) => channel,
            Err(error) => return self.close_and_fall_back(wait.attempt, error.into()),
        };
        self.event(Event::Connected);
        let deadline = self.now + self.times.handshake;
        let service = wait.attempt.service;
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
            State::AwaitChannel(AwaitChannel { attempt, deadline })
            | State::ExpectHandshakeResponse(ExpectHandshakeResponse {
                attempt, deadline, ..
            }) if deadline <= self.now => {
                self.close_and_fall_back(attempt, Error::TimedOut(waiting))
            }
            State::ExpectPostHandshake(s) if s.deadline <= self.now => {
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
            State::ExpectHandshakeResponse(wait) => {
                self.close_and_fall_back(wait.attempt, Error::PeerClosed(Waiting::Handshake))
            }
            other => Err(Error::PeerClosed(other.waiting())),
        }
    }
}
