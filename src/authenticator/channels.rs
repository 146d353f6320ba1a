//! The data channels of one transaction of the phone: a tunnel, and a door for Bluetooth.
//!
//! At most one of each kind is open; which of the two counts is the state machine's to say. Depends
//! on `channel` and on `door`.

use super::door::{Door, guest};
use crate::ble::Link;
use crate::channel::l2cap::L2capChannel;
use crate::channel::slot::{Kept, Slot, kept};
use crate::channel::websocket::WebSocketChannel;
use crate::channel::{self, DataChannel};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::RoutingId;

/// What came of opening a tunnel.
pub(super) type Opened = Result<(Box<WebSocketChannel>, RoutingId), Box<channel::Error>>;

/// What happened on one of them.
pub(super) enum Heard {
    /// The tunnel is open, or could not be opened.
    Opened(Result<RoutingId, Box<channel::Error>>),
    /// A message, or the end of a channel that was open.
    Message(ChannelKind, Result<Vec<u8>, channel::Error>),
}

/// All channels that there are or may be.
pub(super) struct Channels {
    opening: Option<Kept<Opened>>,
    tunnel: Slot<WebSocketChannel>,
    door: Option<Door>,
    link: Slot<L2capChannel<Link>>,
}

impl Channels {
    pub(super) fn new(door: Option<Door>) -> Self {
        Self { opening: None, tunnel: Slot::empty(), door, link: Slot::empty() }
    }

    /// Begins to open the tunnel.
    pub(super) fn open_tunnel(&mut self, opening: Kept<Opened>) {
        self.opening = Some(opening);
    }

    /// Waits for what happens next; nobody comes in over Bluetooth unless `welcome`. Cancel safe.
    pub(super) async fn next(&mut self, welcome: bool) -> Heard {
        let welcome = welcome && !self.link.is_filled();
        // What is not there is waited for without end.
        tokio::select! {
            biased;
            message = self.link.recv() => {
                ended(&mut self.link, ChannelKind::L2cap, message)
            }
            message = self.tunnel.recv() => {
                ended(&mut self.tunnel, ChannelKind::Tunnel, message)
            }
            opened = kept(&mut self.opening) => {
                self.opening = None;
                Heard::Opened(opened.map(|(channel, routing)| {
                    self.tunnel.fill(channel);
                    routing
                }))
            }
            (channel, message) = guest(&mut self.door), if welcome => {
                self.link.fill(channel);
                Heard::Message(ChannelKind::L2cap, Ok(message))
            }
        }
    }

    /// Sends on one channel, as [`Slot::send`] does.
    pub(super) async fn send(
        &mut self,
        via: ChannelKind,
        message: &[u8],
        deadline: std::time::Duration,
    ) {
        match via {
            ChannelKind::Tunnel => self.tunnel.send(message, deadline).await,
            ChannelKind::L2cap => self.link.send(message, deadline).await,
        }
    }

    /// Lets nobody in any more.
    pub(super) fn shut_door(&mut self) {
        self.door = None;
    }

    /// Drops one channel; says whether it was a tunnel that was still being opened.
    pub(super) fn discard(&mut self, via: ChannelKind) -> bool {
        match via {
            ChannelKind::L2cap => self.link.clear(),
            ChannelKind::Tunnel => self.tunnel.clear(),
        }
        via == ChannelKind::Tunnel && self.opening.take().is_some()
    }

    /// Takes leave of everybody in order.
    pub(super) async fn close(&mut self) {
        (self.opening, self.door) = (None, None);
        tokio::join!(self.tunnel.close(), self.link.close());
    }
}

/// A channel that ended is of no more use.
fn ended<C: DataChannel>(
    slot: &mut Slot<C>,
    via: ChannelKind,
    message: Result<Vec<u8>, channel::Error>,
) -> Heard {
    if message.is_err() {
        slot.clear();
    }
    Heard::Message(via, message)
}
