//! The authenticator's transaction: from a scanned QR (or a ring) to an acknowledged answer.
//!
//! The mirror of [`super::client`], driven in the same way. The phone opens its tunnel first,
//! because the tunnel service tells it the routing ID that goes into the advert; it stops
//! advertising when the handshake proves that the laptop heard it. Depends on the rest of `hybrid`.
//!
//! ```text
//! AwaitTunnel ──open──> Advertising ──handshake──> Idle <──> Thinking ──> Answered
//!                                                   ^────────────────────────┘ │
//!                                                      next request   Shutdown v
//!                                                    (acknowledged)          Closed
//! ```
//!
//! Specification: CTAP 2.2 section 11.5.1.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::advert::AdvertPlaintext;
use super::crypto::PublicKey;
use super::error::{Error, Waiting};
use super::frame::MessageType;
use super::linking::{LinkId, LinkingInfo};
use super::noise::{Established, HandshakeHash};
use super::qr::ChannelKind;

mod interface;
mod step;

pub use interface::{
    Deadlines, Event, Identity, Input, Linked, Offer, Output, Ring, Rung, Scan, Tunnel,
};
use step::Step;

/// One transaction of the authenticator.
#[derive(Debug)]
pub struct Transaction {
    state: State,
    out: VecDeque<Output>,
    keys: Keys,
    offer: Offer,
    deadlines: Deadlines,
}

/// What the initiation brought and later states need.
#[derive(Debug)]
enum Keys {
    Qr(Box<Scan>),
    Link(Box<Rung>),
}

#[derive(Debug)]
enum State {
    AwaitTunnel(Instant),
    Advertising(Advertising),
    Idle(Channel, Instant),
    /// The request is with the caller, which has a clock of its own.
    Thinking(Channel, MessageType),
    Answered(Channel, Instant),
    Closed,
}

#[derive(Debug)]
struct Advertising {
    plaintext: AdvertPlaintext,
    deadline: Instant,
}

/// An established channel and which data channel it runs over.
#[derive(Debug)]
struct Channel {
    established: Established,
    via: ChannelKind,
}

impl Transaction {
    /// Begins with the contents of a QR that the user scanned.
    ///
    /// One that offers no tunnel needs the first [`Input::Timeout`] to be advertised to.
    #[must_use]
    pub fn qr(scan: Scan, offer: Offer, deadlines: Deadlines, now: Instant) -> Self {
        let Deadlines { tunnel, tunnel_beside_l2cap, .. } = deadlines;
        let open = Output::OpenTunnel(Tunnel::New(scan.contents.secret.tunnel_id()));
        let (output, time) = match scan.contents.offers(ChannelKind::Tunnel) {
            true if offer.may_use_l2cap(&scan) => (Some(open), tunnel.min(tunnel_beside_l2cap)),
            true => (Some(open), tunnel),
            false => (None, Duration::ZERO),
        };
        let state = State::AwaitTunnel(now + time);
        let out = output.into_iter().collect();
        Self { state, out, keys: Keys::Qr(Box::new(scan)), offer, deadlines }
    }

    /// Begins because a linked laptop rang.
    #[must_use]
    pub fn state_assisted(rung: Rung, offer: Offer, deadlines: Deadlines, now: Instant) -> Self {
        let out = VecDeque::from([Output::OpenTunnel(Tunnel::Contacted)]);
        let state = State::AwaitTunnel(now + deadlines.tunnel);
        Self { state, out, keys: Keys::Link(Box::new(rung)), offer, deadlines }
    }

    /// Takes one input.
    ///
    /// # Errors
    ///
    /// An [`Error`] ends the transaction: drain [`poll_output`](Self::poll_output) once more, which
    /// then stops and closes what was open, and drop it. [`Error::Misuse`] alone changes nothing.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Result<(), Error> {
        if self.misused(&input) {
            return Err(Error::Misuse);
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let advertises = matches!(state, State::Advertising(_));
        let is_open = !matches!(state, State::Closed);
        let mut step = Step {
            out: &mut self.out,
            keys: &self.keys,
            offer: &self.offer,
            times: &self.deadlines,
            now,
        };
        match step.run(state, input) {
            Ok(next) => self.state = next,
            Err(error) => {
                self.out.extend(advertises.then_some(Output::StopAdvertising));
                self.out.extend(is_open.then_some(Output::CloseChannel));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The next thing to do, in order; `None` when there is nothing.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Timeout`]. While the user thinks there
    /// is no deadline here: the caller asks the user, and the laptop has one.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Advertising(advertising) => Some(advertising.deadline),
            State::AwaitTunnel(at) | State::Idle(_, at) | State::Answered(_, at) => Some(*at),
            State::Thinking(..) | State::Closed => None,
        }
    }

    /// Linking information for this laptop, signed for this handshake, to be sent with
    /// [`Input::Update`]. `None` before the handshake and in a state-assisted transaction, where
    /// there is no key of the laptop to sign for.
    #[must_use]
    pub fn linking_info(&self, linked: Linked, identity: &Identity) -> Option<LinkingInfo> {
        let (hash, laptop) = self.linking_context()?;
        let Linked { contact_id, link_id, link_secret, name } = linked;
        let signature = super::linking::sign(&identity.0, laptop, hash);
        let identity = *identity.0.public();
        Some(LinkingInfo { contact_id, link_id, link_secret, identity, name, signature })
    }

    fn linking_context(&self) -> Option<(&HandshakeHash, &PublicKey)> {
        let channel = match &self.state {
            State::Idle(channel, _) | State::Thinking(channel, _) | State::Answered(channel, _) => {
                channel
            }
            _ => return None,
        };
        match &self.keys {
            Keys::Qr(scan) => Some((&channel.established.handshake_hash, &scan.contents.identity)),
            Keys::Link(_) => None,
        }
    }

    /// Which link a ringing laptop used.
    #[must_use]
    pub fn link_id(&self) -> Option<LinkId> {
        match &self.keys {
            Keys::Qr(_) => None,
            Keys::Link(rung) => Some(rung.ring.payload.link_id),
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn misused(&self, input: &Input<'_>) -> bool {
        match input {
            Input::Response(body) => body.is_empty() || !matches!(self.state, State::Thinking(..)),
            Input::Update(_) => {
                !matches!(self.state, State::Idle(..) | State::Thinking(..) | State::Answered(..))
            }
            _ => false,
        }
    }
}

impl Offer {
    /// Whether an L2CAP server may be named in the advert.
    fn may_use_l2cap(&self, scan: &Scan) -> bool {
        self.l2cap.is_some() && scan.contents.offers(ChannelKind::L2cap)
    }
}

impl State {
    fn waiting(&self) -> Waiting {
        match self {
            Self::AwaitTunnel(_) => Waiting::Channel,
            Self::Advertising(_) => Waiting::Client,
            Self::Idle(..) | Self::Closed => Waiting::Request,
            Self::Thinking(..) => Waiting::Response,
            Self::Answered(..) => Waiting::Acknowledgement,
        }
    }
}
