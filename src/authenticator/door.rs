//! Where laptops come in without internet: a listener, and the first that says something.
//!
//! Anybody near can connect. One who stays silent gets a few seconds and does not keep others out;
//! who may stay after the first message is the state machine's to say. Depends on `ble` and `channel`.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::ble::{self, Link, Listener as _, RadioListener};
use crate::channel::DataChannel as _;
use crate::channel::l2cap::L2capChannel;
use crate::channel::slot::Kept;
use crate::hybrid::advert::Psm;

/// How long somebody may be connected and say nothing; laptops speak at once.
const SILENCE: Duration = Duration::from_secs(5);
/// Connections that may be silent at a time.
const MAX_SILENT: usize = 4;

/// A connection, and the first message over it.
pub(super) type Guest = (Box<L2capChannel<Link>>, Vec<u8>);

/// Whether laptops can come in over Bluetooth.
pub(super) enum Entrance {
    /// This one does not want to.
    NotAskedFor,
    /// It cannot, because of the radio.
    Failed(ble::Error),
    Open(Door),
}

impl Entrance {
    /// What to advertise.
    pub(super) fn psm(&self) -> Option<Psm> {
        match self {
            Self::Open(door) => Some(door.listener.psm()),
            Self::NotAskedFor | Self::Failed(_) => None,
        }
    }

    /// The door, or why there is none although the laptop asked for one.
    pub(super) fn open(self) -> (Option<Door>, Option<ble::Error>) {
        match self {
            Self::Open(door) => (Some(door), None),
            Self::Failed(error) => (None, Some(error)),
            Self::NotAskedFor => (None, None),
        }
    }
}

/// Takes connections until it is dropped.
pub(super) struct Door {
    listener: RadioListener,
    silent: FuturesUnordered<Kept<Option<Guest>>>,
    /// The listener failed: nobody comes any more.
    broken: bool,
}

impl Door {
    pub(super) fn new(listener: RadioListener) -> Self {
        Self { listener, silent: FuturesUnordered::new(), broken: false }
    }

    /// Waits for the next guest who says something. Cancel safe.
    pub(super) async fn next(&mut self) -> Guest {
        loop {
            let room = self.silent.len() < MAX_SILENT && !self.broken;
            tokio::select! {
                Some(spoken) = self.silent.next() => {
                    if let Some(guest) = spoken {
                        return guest;
                    }
                }
                link = self.listener.accept(), if room => match link {
                    Ok(link) => self.silent.push(Box::pin(first_message(link))),
                    Err(error) => {
                        tracing::debug!(%error, "no more connections over Bluetooth");
                        self.broken = true;
                    }
                },
                else => std::future::pending().await,
            }
        }
    }
}

async fn first_message(link: Link) -> Option<Guest> {
    let mut channel = Box::new(L2capChannel::detecting(link));
    let message = timeout(SILENCE, channel.recv()).await.ok()?.ok()?;
    Some((channel, message))
}

/// Waits for a guest, for ever without a door. Cancel safe.
pub(super) async fn guest(door: &mut Option<Door>) -> Guest {
    match door {
        Some(door) => door.next().await,
        None => std::future::pending().await,
    }
}
