//! Who waits for whom: tunnels by id, connections by client address, and their limits.
//!
//! Pure: no IO, no clock. Depends on `hybrid::tunnel` for the identifiers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

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
}

/// How a new connection stands against the limit of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Within,
    /// Too many: to be told so.
    Over,
    /// Far too many: to be dropped without a word.
    Flood,
}

/// The limits that the registry keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quotas {
    pub(super) waiting: Duration,
    pub(super) tunnels: usize,
    pub(super) connections_per_address: usize,
}

/// A client address as far as it tells clients apart: IPv4 whole, IPv6 by its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self(Ipv6Addr::from_bits(network).into())
            }
            address => Self(address),
        }
    }
}

/// All tunnels of this node. `H` is the way to a waiting authenticator; the first client that asks
/// takes it away.
///
/// An id is taken from [`open`](Self::open) until the same owner calls [`close`](Self::close),
/// also while a client is joined: one authenticator and one client per tunnel.
#[derive(Debug)]
pub(super) struct Registry<H> {
    routing_id: RoutingId,
    quotas: Quotas,
    tunnels: HashMap<TunnelId, Slot<H>>,
    connections: HashMap<Network, usize>,
    census: Census,
    draining: bool,
}

/// How many there are of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) connections: usize,
    /// Waiting and joined.
    pub(super) tunnels: usize,
    pub(super) joined: usize,
}

#[derive(Debug)]
enum Slot<H> {
    Waiting { handle: H, until: Instant },
    Joined,
}

impl<H> Registry<H> {
    pub(super) fn new(routing_id: RoutingId, quotas: Quotas) -> Self {
        Self {
            routing_id,
            quotas,
            tunnels: HashMap::new(),
            connections: HashMap::new(),
            census: Census::default(),
            draining: false,
        }
    }

    pub(super) fn routing_id(&self) -> RoutingId {
        self.routing_id
    }

    pub(super) fn census(&self) -> Census {
        Census { tunnels: self.tunnels.len(), ..self.census }
    }

    /// Whether another tunnel would be refused.
    pub(super) fn is_full(&self) -> bool {
        self.draining || self.tunnels.len() >= self.quotas.tunnels
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
        let full = self.is_full();
        let until = now + self.quotas.waiting;
        match self.tunnels.entry(tunnel) {
            Entry::Occupied(_) => Err(Refusal::Occupied),
            Entry::Vacant(_) if full => Err(Refusal::Full),
            Entry::Vacant(place) => {
                place.insert(Slot::Waiting { handle, until });
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
        let slot = self.tunnels.get_mut(tunnel).filter(|slot| slot.is_open(now));
        let slot = slot.filter(|_| routing_id == self.routing_id).ok_or(Refusal::UnknownTunnel)?;
        match std::mem::replace(slot, Slot::Joined) {
            Slot::Waiting { handle, .. } => {
                self.census.joined += 1;
                Ok(handle)
            }
            Slot::Joined => Err(Refusal::UnknownTunnel),
        }
    }

    /// Frees the id. Only for the one whose `open` succeeded.
    pub(super) fn close(&mut self, tunnel: &TunnelId) {
        if let Some(Slot::Joined) = self.tunnels.remove(tunnel) {
            self.census.joined -= 1;
        }
        give_back(&mut self.tunnels);
    }

    /// Counts a connection, refused ones included; each has to [`leave`](Self::leave).
    pub(super) fn enter(&mut self, network: Network) -> Admission {
        let count = self.connections.entry(network).or_default();
        *count += 1;
        self.census.connections += 1;
        let limit = self.quotas.connections_per_address;
        match *count {
            count if count <= limit => Admission::Within,
            count if count <= limit.saturating_mul(2) => Admission::Over,
            _ => Admission::Flood,
        }
    }

    pub(super) fn leave(&mut self, network: Network) {
        if let Entry::Occupied(mut count) = self.connections.entry(network) {
            *count.get_mut() -= 1;
            self.census.connections -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        give_back(&mut self.connections);
    }
}

impl<H> Slot<H> {
    fn is_open(&self, now: Instant) -> bool {
        matches!(self, Self::Waiting { until, .. } if now < *until)
    }
}

/// Returns a peak's memory, seldom enough to cost nothing on average.
fn give_back<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) {
    const SMALL: usize = 1024;
    if map.capacity() > SMALL && map.len() < map.capacity() / 8 {
        map.shrink_to(map.capacity() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: RoutingId = RoutingId::new([1, 2, 3]);
    const WAITING: Duration = Duration::from_secs(120);

    fn registry() -> (Registry<char>, Instant) {
        let quotas = Quotas { waiting: WAITING, tunnels: 2, connections_per_address: 2 };
        #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
        (Registry::new(HERE, quotas), Instant::now())
    }

    fn id(byte: u8) -> TunnelId {
        TunnelId::new([byte; 16])
    }

    #[test]
    fn one_authenticator_and_one_client() {
        let (mut registry, now) = registry();
        assert_eq!(registry.join(HERE, &id(1), now), Err(Refusal::UnknownTunnel));
        assert_eq!(registry.open(id(1), 'a', now), Ok(now + WAITING));
        assert_eq!(registry.open(id(1), 'b', now), Err(Refusal::Occupied));
        assert_eq!(registry.join(HERE, &id(1), now), Ok('a'));
        assert_eq!(registry.join(HERE, &id(1), now), Err(Refusal::UnknownTunnel));
        assert_eq!(registry.open(id(1), 'c', now), Err(Refusal::Occupied));
        assert_eq!(registry.census(), Census { connections: 0, tunnels: 1, joined: 1 });
        registry.close(&id(1));
        assert_eq!(registry.census(), Census::default());
        assert!(registry.open(id(1), 'd', now).is_ok());
        assert_eq!(registry.join(HERE, &id(1), now), Ok('d'));
    }

    #[test]
    fn another_nodes_routing_id_finds_nothing_and_takes_nothing() {
        let (mut registry, now) = registry();
        registry.open(id(1), 'a', now).unwrap();
        let elsewhere = RoutingId::new([1, 2, 4]);
        assert_eq!(registry.join(elsewhere, &id(1), now), Err(Refusal::UnknownTunnel));
        assert_eq!(registry.join(HERE, &id(1), now), Ok('a'));
    }

    #[test]
    fn waiting_ends() {
        let (mut registry, now) = registry();
        registry.open(id(1), 'a', now).unwrap();
        registry.open(id(2), 'b', now).unwrap();
        let last = now + WAITING - Duration::from_nanos(1);
        assert_eq!(registry.join(HERE, &id(1), last), Ok('a'));
        assert_eq!(registry.join(HERE, &id(2), now + WAITING), Err(Refusal::UnknownTunnel));
        assert_eq!(registry.open(id(2), 'c', now + WAITING), Err(Refusal::Occupied));
    }

    #[test]
    fn tunnels_are_limited_waiting_and_joined_alike() {
        let (mut registry, now) = registry();
        registry.open(id(1), 'a', now).unwrap();
        registry.join(HERE, &id(1), now).unwrap();
        registry.open(id(2), 'b', now).unwrap();
        assert_eq!(registry.open(id(3), 'c', now), Err(Refusal::Full));
        assert_eq!(registry.open(id(2), 'c', now), Err(Refusal::Occupied));
        registry.close(&id(1));
        assert!(registry.open(id(3), 'c', now).is_ok());
    }

    #[test]
    fn connections_are_counted_by_network() {
        let (mut registry, _) = registry();
        let network = |address: &str| Network::from(address.parse::<IpAddr>().unwrap());
        let home = network("2001:db8:1:2::5");
        assert_eq!(home, network("2001:db8:1:2:ffff::1"));
        assert_ne!(home, network("2001:db8:1:3::5"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));

        let expected = [Admission::Within, Admission::Within, Admission::Over, Admission::Over];
        assert_eq!([(); 4].map(|()| registry.enter(home)), expected);
        assert_eq!(registry.enter(home), Admission::Flood);
        assert_eq!(registry.enter(network("192.0.2.1")), Admission::Within);
        for _ in 0..4 {
            registry.leave(home);
        }
        assert_eq!(registry.enter(home), Admission::Within);
    }

    #[test]
    fn a_peak_leaves_no_memory_behind() {
        let (mut registry, now) = registry();
        registry.quotas.tunnels = usize::MAX;
        let ids = || (0..20_000_u128).map(|n| TunnelId::new(n.to_be_bytes()));
        for tunnel in ids() {
            registry.open(tunnel, 'a', now).unwrap();
        }
        let peak = registry.tunnels.capacity();
        for tunnel in ids() {
            registry.close(&tunnel);
        }
        assert!(registry.tunnels.is_empty());
        assert!(registry.tunnels.capacity() * 8 < peak);
    }
}
