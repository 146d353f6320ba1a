//! How many connections each client address has.
//!
//! Pure: no IO, no clock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

/// How a new connection stands against the limit of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Within,
    /// Too many: to be told so.
    Over,
    /// Far too many: to be dropped without a word.
    Flood,
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

/// The connections of this node, by client address.
#[derive(Debug)]
pub(super) struct Visitors {
    per_address: usize,
    connections: HashMap<Network, usize>,
    all: usize,
}

impl Visitors {
    /// With the number of connections that an address may have.
    pub(super) fn new(per_address: usize) -> Self {
        Self { per_address, connections: HashMap::new(), all: 0 }
    }

    /// All connections.
    pub(super) fn count(&self) -> usize {
        self.all
    }

    /// Counts a connection, refused ones included; each has to [`leave`](Self::leave).
    pub(super) fn enter(&mut self, network: Network) -> Admission {
        let count = self.connections.entry(network).or_default();
        *count += 1;
        self.all += 1;
        let limit = self.per_address;
        match *count {
            count if count <= limit => Admission::Within,
            count if count <= limit.saturating_mul(2) => Admission::Over,
            _ => Admission::Flood,
        }
    }

    pub(super) fn leave(&mut self, network: Network) {
        if let Entry::Occupied(mut count) = self.connections.entry(network) {
            *count.get_mut() -= 1;
            self.all -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        give_back(&mut self.connections);
    }
}

/// Returns a peak's memory, seldom enough to cost nothing on average.
pub(super) fn give_back<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) {
    const SMALL: usize = 1024;
    if map.capacity() > SMALL && map.len() < map.capacity() / 8 {
        map.shrink_to(map.capacity() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_network() {
        let mut visitors = Visitors::new(2);
        let network = |address: &str| Network::from(address.parse::<IpAddr>().unwrap());
        let home = network("2001:db8:1:2::5");
        assert_eq!(home, network("2001:db8:1:2:ffff::1"));
        assert_ne!(home, network("2001:db8:1:3::5"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));

        let expected = [Admission::Within, Admission::Within, Admission::Over, Admission::Over];
        assert_eq!([(); 4].map(|()| visitors.enter(home)), expected);
        assert_eq!(visitors.enter(home), Admission::Flood);
        assert_eq!(visitors.enter(network("192.0.2.1")), Admission::Within);
        for _ in 0..4 {
            visitors.leave(home);
        }
        assert_eq!(visitors.enter(home), Admission::Within);
    }
}
