//! Opening the data channel that the state machine names, whichever kind it is.
//!
//! Depends on `hybrid`, `ble` and `channel`.

use super::{Config, Error, Unreachable};
use crate::ble::{Address, AddressType, Link, Linker as _, Radio};
use crate::channel::l2cap::{Framing, L2capChannel};
use crate::channel::slot::Kept;
use crate::channel::websocket::WebSocketChannel;
use crate::channel::{self, DataChannel};
use crate::hybrid::advert::Psm;
use crate::hybrid::client::{Sender, Target};
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::tunnel::{ServiceUrl, TunnelServiceId};

/// The one data channel of a transaction.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is kept in a box, one to a transaction")]
pub(super) enum Channel {
    Tunnel(Box<WebSocketChannel>),
    L2cap(L2capChannel<Link>),
}

impl DataChannel for Channel {
    /// One of the two cannot.
    const TELLS_GOODBYE: bool = false;

    async fn send(&mut self, message: &[u8]) -> Result<(), channel::Error> {
        match self {
            Self::Tunnel(channel) => channel.send(message).await,
            Self::L2cap(channel) => channel.send(message).await,
        }
    }

    async fn recv(&mut self) -> Result<Vec<u8>, channel::Error> {
        match self {
            Self::Tunnel(channel) => channel.recv().await,
            Self::L2cap(channel) => channel.recv().await,
        }
    }

    async fn close(&mut self) {
        match self {
            Self::Tunnel(channel) => channel.close().await,
            Self::L2cap(channel) => channel.close().await,
        }
    }
}

/// What came of opening one.
pub(super) type Dialled = Result<Box<Channel>, NotOpened>;

/// Why there is no channel.
pub(super) enum NotOpened {
    Tunnel(Box<channel::Error>),
    L2cap(Unreachable),
}

/// A channel that is being opened.
pub(super) struct Dialling {
    pub(super) via: ChannelKind,
    /// For a tunnel.
    pub(super) service: Option<ServiceUrl>,
    pub(super) channel: Kept<Dialled>,
}

/// Begins to open a channel.
pub(super) fn dial(radio: &Radio, config: &Config, target: Target) -> Result<Dialling, Error> {
    match target {
        Target::Tunnel { service, routing, tunnel } => {
            let url = at(config, service)?;
            let (connector, service) = (config.connector.clone(), url.clone());
            let channel = Box::pin(async move {
                let joined = connector.join_tunnel(&service, routing, tunnel).await;
                let joined = joined.map(|channel| Box::new(Channel::Tunnel(Box::new(channel))));
                joined.map_err(|error| NotOpened::Tunnel(Box::new(error)))
            });
            Ok(Dialling { via: ChannelKind::Tunnel, service: Some(url), channel })
        }
        Target::L2cap { peer, psm } => {
            let channel = l2cap(radio.clone(), peer, psm, config.l2cap.unwrap_or_default());
            let (via, channel) = (ChannelKind::L2cap, Box::pin(channel));
            Ok(Dialling { via, service: None, channel })
        }
        Target::Contact { service, contact, payload } => {
            let url = at(config, service)?;
            let (connector, service) = (config.connector.clone(), url.clone());
            let channel = Box::pin(async move {
                let rung = connector.ring(&service, &contact, &payload).await;
                let rung = rung.map(|channel| Box::new(Channel::Tunnel(Box::new(channel))));
                rung.map_err(|error| NotOpened::Tunnel(Box::new(error)))
            });
            Ok(Dialling { via: ChannelKind::Tunnel, service: Some(url), channel })
        }
    }
}

async fn l2cap(radio: Radio, peer: Sender, psm: Psm, framing: Framing) -> Dialled {
    let kind = if peer.random { AddressType::Random } else { AddressType::Public };
    let link = radio.connect(Address { bytes: peer.address, kind }, psm).await;
    let channel = link.map(|link| Box::new(Channel::L2cap(L2capChannel::new(link, framing))));
    channel.map_err(|error| NotOpened::L2cap(error.into()))
}

/// Where a tunnel service is, unless another is to be used whatever the phone says.
fn at(config: &Config, service: TunnelServiceId) -> Result<ServiceUrl, Error> {
    if let Some(relay) = &config.relay {
        return Ok(relay.clone());
    }
    // The state machine lets no unassigned service through.
    ServiceUrl::for_service(service).map_err(|_| Error::Protocol(crate::hybrid::Error::Misuse))
}
