//! Who waits for whom: tunnels by id, and how many there may be.
//!
//! Pure: no IO, no clock. Depends on `hybrid::tunnel` for the identifiers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use super::rate::{Bucket, Rate};
use super::visitors::give_back;
use crate::hybrid::tunnel::{RoutingId, TunnelId};

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No authenticator waits under this id here.
    UnknownTunnel,
    /// An authenticator has this id already, waiting or joined.
    Occupied,
    /// The relay has as many tunnels as it may.
    Full,
    /// The relay stops soon.
    Draining,
    /// The relay opens as many tunnels a second as it may.
    TooFast,
}

/// All tunnels of this node. `H` is the way to a waiting authenticator; the first client that asks
/// takes it away.
///
/// An id is taken from [`open`](Self::open) until the same owner calls [`close`](Self::close),
/// also while a client is joined: one authenticator and one client per tunnel.
#[derive(Debug)]
pub(super) struct Registry<H> {
    routing_id: RoutingId,
    waiting: Duration,
    at_most: usize,
    rate: Rate,
    bucket: Bucket,
    tunnels: HashMap<TunnelId, Slot<H>>,
    joined: usize,
    draining: bool,
}

/// How many tunnels there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Waiting and joined.
    pub(super) all: usize,
    pub(super) joined: usize,
}

#[derive(Debug)]
enum Slot<H> {
    Waiting { handle: H, until: Instant, routing_id: RoutingId },
    Joined,
}

impl<H> Registry<H> {
    /// Lets authenticators wait for `waiting`, has `at_most` so many tunnels, and opens them at `rate`.
    pub(super) fn new(
        routing_id: RoutingId,
        waiting: Duration,
        at_most: usize,
        rate: Rate,
    ) -> Self {
        Self {
            routing_id,
            waiting,
            at_most,
            rate,
            bucket: Bucket::default(),
            tunnels: HashMap::new(),
            joined: 0,
            draining: false,
        }
    }

    pub(super) fn routing_id(&self) -> RoutingId {
        self.routing_id
    }

    /// Has another number from now on, for tunnels to come.
    #[cfg(feature = "cluster")]
    pub(super) fn set_routing_id(&mut self, routing_id: RoutingId) {
        self.routing_id = routing_id;
    }

    pub(super) fn census(&self) -> Census {
        Census { all: self.tunnels.len(), joined: self.joined }
    }

    /// Whether another tunnel would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.draining || self.tunnels.len() >= self.at_most
    }

    /// Takes no new tunnels any more; those that there are go on.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Lets an authenticator wait under `tunnel`, and says until when.
    pub(super) fn open(
        &mut self,
        tunnel: TunnelId,
        handle: H,
        now: Instant,
    ) -> Result<Instant, Refusal> {
        let (full, draining, routing_id) = (self.is_full(), self.draining, self.routing_id);
        let until = now + self.waiting;
        match self.tunnels.entry(tunnel) {
            Entry::Occupied(_) => Err(Refusal::Occupied),
            Entry::Vacant(_) if draining => Err(Refusal::Draining),
            Entry::Vacant(_) if full => Err(Refusal::Full),
            Entry::Vacant(_) if !self.bucket.take(self.rate, now) => Err(Refusal::TooFast),
            Entry::Vacant(place) => {
                place.insert(Slot::Waiting { handle, until, routing_id });
                Ok(until)
            }
        }
    }

    /// Gives a client the way to its authenticator, once.
    pub(super) fn join(
        &mut self,
        routing_id: RoutingId,
        tunnel: &TunnelId,
        now: Instant,
    ) -> Result<H, Refusal> {
        let slot = self.tunnels.get_mut(tunnel).filter(|slot| slot.is_open(routing_id, now));
        let slot = slot.ok_or(Refusal::UnknownTunnel)?;
        match std::mem::replace(slot, Slot::Joined) {
            Slot::Waiting { handle, .. } => {
                self.joined += 1;
                Ok(handle)
            }
            Slot::Joined => Err(Refusal::UnknownTunnel),
        }
    }

    /// Whether a client has taken the way to this authenticator.
    pub(super) fn is_joined(&self, tunnel: &TunnelId) -> bool {
        matches!(self.tunnels.get(tunnel), Some(Slot::Joined))
    }

    /// Frees the id. Only for the one whose `open` succeeded.
    pub(super) fn close(&mut self, tunnel: &TunnelId) {
        if let Some(Slot::Joined) = self.tunnels.remove(tunnel) {
            self.joined -= 1;
        }
        give_back(&mut self.tunnels);
    }
}

impl<H> Slot<H> {
    /// The number is the one that the phone was told, also when this node has another by now.
    fn is_open(&self, asked: RoutingId, now: Instant) -> bool {
        matches!(self, Self::Waiting { until, routing_id, .. } if now < *until && asked == *routing_id)
    }
}

#[cfg(test)]
mod tests;
