//! The client platform's transaction: from the QR (or a link) to CTAP2 answers.
//!
//! Feed [`Transaction::handle`] what happens, do what [`Transaction::poll_output`] says, and wake
//! it at [`Transaction::poll_timeout`]. It does no IO and reads no clock; keys come in through
//! [`QrOffer`] and [`LinkRequest`]. Each state is a struct of its own that owns just what it
//! knows. Depends on the rest of `hybrid`.
//!
//! ```text
//! QR:    AwaitAdvert ──advert──> AwaitChannel ──open──> ExpectHandshakeResponse
//! link:  Contacting ──open──> AwaitAdvert ──advert──────────^      │
//!                   ──advert──> AwaitChannel ──open─────────^      v
//!        Closed <── Lingering <── Ready <──> Busy <── ExpectPostHandshake
//! ```
//!
//! Specification: CTAP 2.2 section 11.5.1.

use std::collections::VecDeque;
use std::time::Instant;

use super::advert::{Advert, TrialOpener};
use super::error::{Error, Heard, Waiting};
use super::frame::MessageType;
use super::linking::ClientPayload;
use super::noise::{AwaitResponse, Established};
use super::post_handshake::Feature;
use super::qr::ChannelKind;
use super::tunnel::TunnelServiceId;

mod interface;
mod step;

pub use interface::{Deadlines, Event, Input, LinkRequest, Output, QrOffer, Sender, Target};
use step::Step;

/// One transaction of the client platform.
#[derive(Debug)]
pub struct Transaction {
    state: State,
    out: VecDeque<Output>,
    keys: Keys,
    deadlines: Deadlines,
}

/// What the initiation brought and later states need.
#[derive(Debug)]
enum Keys {
    Qr { offer: Box<QrOffer> },
    Link { request: Box<LinkRequest> },
}

#[derive(Debug)]
enum State {
    Contacting(Scanning),
    AwaitAdvert(Scanning, ChannelState),
    AwaitChannel(AwaitChannel),
    ExpectHandshakeResponse(ExpectHandshakeResponse),
    ExpectPostHandshake(ExpectPostHandshake),
    Ready(Ready),
    Busy(Ready, Busy),
    Lingering(Ready, Instant),
    Closed,
}

#[derive(Debug)]
struct Scanning {
    opener: TrialOpener,
    heard: Heard,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChannelState {
    NotYet,
    Open,
}

#[derive(Debug)]
struct AwaitChannel {
    attempt: Attempt,
    deadline: Instant,
}

struct ExpectHandshakeResponse {
    noise: AwaitResponse,
    attempt: Attempt,
    deadline: Instant,
}

/// A data channel on the way to the phone, as long as nothing proves that it leads there.
#[derive(Debug)]
struct Attempt {
    advert: Advert,
    service: TunnelServiceId,
    /// Which kind of channel is tried.
    via: ChannelKind,
    /// What is tried when this one fails, in this order.
    others: VecDeque<Target>,
}

#[derive(Debug)]
struct ExpectPostHandshake {
    channel: Established,
    service: TunnelServiceId,
    deadline: Instant,
}

#[derive(Debug)]
struct Ready {
    channel: Established,
    service: TunnelServiceId,
    features: Vec<Feature>,
}

#[derive(Debug)]
struct Busy {
    expected: MessageType,
    deadline: Instant,
}

impl std::fmt::Debug for ExpectHandshakeResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectHandshakeResponse(..)")
    }
}

impl Transaction {
    /// Begins with a QR; show [`qr_text`](Self::qr_text) now.
    #[must_use]
    pub fn qr(offer: QrOffer, deadlines: Deadlines, now: Instant) -> Self {
        let opener = TrialOpener::new(&offer.contents.secret.eid_key());
        let scanning = Scanning::new(opener, now + deadlines.advert);
        let state = State::AwaitAdvert(scanning, ChannelState::NotYet);
        let keys = Keys::Qr { offer: Box::new(offer) };
        Self { state, out: VecDeque::from([Output::StartScan]), keys, deadlines }
    }

    /// Begins by ringing a linked phone.
    #[must_use]
    pub fn state_assisted(request: LinkRequest, deadlines: Deadlines, now: Instant) -> Self {
        let LinkRequest { device, nonce, hint, .. } = &request;
        let opener = TrialOpener::new(&device.link_secret.eid_key(nonce));
        let contact = Target::Contact {
            service: device.service,
            contact: device.contact_id.clone(),
            payload: ClientPayload { link_id: device.link_id, nonce: *nonce, hint: *hint },
        };
        let out = VecDeque::from([Output::StartScan, Output::OpenChannel(contact)]);
        let state = State::Contacting(Scanning::new(opener, now + deadlines.advert));
        Self { state, out, keys: Keys::Link { request: Box::new(request) }, deadlines }
    }

    /// The text of the QR, if there is one. It is a secret of the people in the room.
    #[must_use]
    pub fn qr_text(&self) -> Option<String> {
        match &self.keys {
            Keys::Qr { offer } => Some(offer.contents.encode()),
            Keys::Link { .. } => None,
        }
    }

    /// Takes one input.
    ///
    /// # Errors
    ///
    /// An [`Error`] ends the transaction: drain [`poll_output`](Self::poll_output) once more, which
    /// then closes what was open, and drop it. [`Error::Misuse`] alone changes nothing.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) -> Result<(), Error> {
        if self.misused(&input) {
            return Err(Error::Misuse);
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (scans, has_channel) = (state.scans(), state.has_channel());
        let mut step = Step { out: &mut self.out, keys: &self.keys, times: &self.deadlines, now };
        match step.run(state, input) {
            Ok(next) => self.state = next,
            Err(error) => {
                self.out.extend(scans.then_some(Output::StopScan));
                self.out.extend(has_channel.then_some(Output::CloseChannel));
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

    /// When to call [`handle`](Self::handle) with [`Input::Timeout`]. Only an idle channel has no
    /// deadline: then it is the caller's turn.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Contacting(s) | State::AwaitAdvert(s, _) => Some(s.deadline),
            State::AwaitChannel(s) => Some(s.deadline),
            State::ExpectHandshakeResponse(s) => Some(s.deadline),
            State::ExpectPostHandshake(s) => Some(s.deadline),
            State::Busy(_, busy) => Some(busy.deadline),
            State::Lingering(_, deadline) => Some(*deadline),
            State::Ready(_) | State::Closed => None,
        }
    }

    /// What the scan heard so far, while there is one.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        match &self.state {
            State::Contacting(s) | State::AwaitAdvert(s, _) => Some(s.heard),
            _ => None,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn misused(&self, input: &Input<'_>) -> bool {
        match input {
            Input::Ctap(message) | Input::Json(message) => {
                message.is_empty() || !matches!(self.state, State::Ready(_))
            }
            Input::Finish => !matches!(self.state, State::Ready(_)),
            _ => false,
        }
    }
}

impl State {
    fn scans(&self) -> bool {
        matches!(self, Self::Contacting(_) | Self::AwaitAdvert(..))
    }

    /// Whether a channel is open or being opened.
    fn has_channel(&self) -> bool {
        !matches!(self, Self::AwaitAdvert(_, ChannelState::NotYet) | Self::Closed)
    }

    fn waiting(&self) -> Waiting {
        match self {
            Self::Contacting(_) | Self::AwaitAdvert(..) => Waiting::Advert,
            Self::AwaitChannel(_) => Waiting::Channel,
            Self::ExpectHandshakeResponse(_) => Waiting::Handshake,
            Self::ExpectPostHandshake(_) => Waiting::PostHandshake,
            Self::Ready(_) | Self::Busy(..) | Self::Lingering(..) | Self::Closed => {
                Waiting::Response
            }
        }
    }
}

impl Scanning {
    fn new(opener: TrialOpener, deadline: Instant) -> Self {
        Self { opener, heard: Heard::default(), deadline }
    }

    fn try_open(&mut self, service_data: &[u8]) -> Option<Advert> {
        let advert = self.opener.open(service_data);
        self.heard.foreign += u64::from(advert.is_none());
        advert
    }
}
