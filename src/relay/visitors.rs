//! How many connections each client address has, and how fast it opens tunnels.
//!
//! Pure: no IO, no clock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::time::Instant;

use super::proxy::network;
use super::rate::{Bucket, Rate};

/// Fewer buckets than that are not worth looking through.
const MIN_SWEEP: usize = 1024;

/// How a new connection stands against the limit of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Within,
    /// Too many: to be told so.
    Over,
    /// Far too many: to be dropped without a word.
    Flood,
}

/// A client address as far as it tells clients apart: IPv4 whole, IPv6 by its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl Network {
    /// Of an IPv6 address `ipv6_prefix` bits count.
    pub(super) fn of(address: IpAddr, ipv6_prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = if address.is_ipv6() { ipv6_prefix } else { 32 };
        Self(network(address, prefix).unwrap_or(address))
    }
}

/// The connections of this node, by client address, and how fast each address opens tunnels.
#[derive(Debug)]
pub(super) struct Visitors {
    per_address: usize,
    rate: Rate,
    connections: HashMap<Network, usize>,
    /// Addresses whose bucket is not full, and how many there may be before full ones are looked for.
    buckets: HashMap<Network, Bucket>,
    swept_at: usize,
    all: usize,
}

impl Visitors {
    /// With the number of connections that an address may have, and the tunnels that it may open.
    pub(super) fn new(per_address: usize, rate: Rate) -> Self {
        let (connections, buckets) = (HashMap::new(), HashMap::new());
        Self { per_address, rate, connections, buckets, swept_at: MIN_SWEEP, all: 0 }
    }

    /// All connections.
    pub(super) fn count(&self) -> usize {
        self.all
    }

    /// Counts a connection; each has to [`leave`](Self::leave).
    pub(super) fn arrive(&mut self) {
        self.all += 1;
    }

    /// Counts a connection for its address, refused ones included.
    pub(super) fn enter(&mut self, network: Network) -> Admission {
        let count = self.connections.entry(network).or_default();
        *count += 1;
        let limit = self.per_address;
        match *count {
            count if count <= limit => Admission::Within,
            count if count <= limit.saturating_mul(2) => Admission::Over,
            _ => Admission::Flood,
        }
    }

    /// Takes a connection back, and from its address if it was counted there.
    pub(super) fn leave(&mut self, network: Option<Network>) {
        self.all -= 1;
        let Some(network) = network else { return };
        if let Entry::Occupied(mut count) = self.connections.entry(network) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        give_back(&mut self.connections);
    }

    /// Whether an address may open one more tunnel now; counted if it may.
    pub(super) fn may_open(&mut self, network: Network, now: Instant) -> bool {
        // A bucket is full again after a second, so those that matter are no more than the relay
        // opens tunnels in one.
        if self.buckets.len() >= self.swept_at {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.swept_at = (self.buckets.len() * 2).max(MIN_SWEEP);
            give_back(&mut self.buckets);
        }
        self.buckets.entry(network).or_default().take(self.rate, now)
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
    use std::time::Duration;

    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap(), 64)
    }

    fn start() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
        Instant::now()
    }

    #[test]
    fn addresses_are_told_apart_by_their_network() {
        assert_eq!(network("2001:db8:1:2::5"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::5"), network("2001:db8:1:3::5"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
        let site = |address: &str| Network::of(address.parse().unwrap(), 48);
        assert_eq!(site("2001:db8:1:2::5"), site("2001:db8:1:3::5"));
        assert_ne!(site("2001:db8:1:2::5"), site("2001:db8:2:2::5"));
        assert_ne!(site("192.0.2.2"), site("192.0.2.1"));
    }

    #[test]
    fn connections_are_counted_by_network() {
        let mut visitors = Visitors::new(2, Rate::per_second(1));
        let home = network("2001:db8:1:2::5");
        let expected = [Admission::Within, Admission::Within, Admission::Over, Admission::Over];
        let mut come = |network| {
            visitors.arrive();
            visitors.enter(network)
        };
        assert_eq!([(); 4].map(|()| come(home)), expected);
        assert_eq!(come(home), Admission::Flood);
        assert_eq!(come(network("192.0.2.1")), Admission::Within);
        visitors.arrive();
        assert_eq!(visitors.count(), 7);
        visitors.leave(None);
        for _ in 0..4 {
            visitors.leave(Some(home));
        }
        assert_eq!(visitors.count(), 2);
        assert_eq!(visitors.enter(home), Admission::Within);
    }

    #[test]
    fn each_address_opens_tunnels_at_its_own_rate() {
        let (mut visitors, start) = (Visitors::new(9, Rate::per_second(2)), start());
        let (one, other) = (network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!([(); 3].map(|()| visitors.may_open(one, start)), [true, true, false]);
        assert!(visitors.may_open(other, start));
        let later = start + Duration::from_millis(500);
        assert_eq!([(); 2].map(|()| visitors.may_open(one, later)), [true, false]);
    }

    #[test]
    fn addresses_that_have_been_quiet_are_forgotten() {
        let (mut visitors, start) = (Visitors::new(9, Rate::per_second(2)), start());
        let address = |number: u32| Network::of(IpAddr::V4(number.into()), 64);
        for number in 0..100_000 {
            let now = start + Duration::from_millis(number.into());
            assert!(visitors.may_open(address(number), now));
        }
        assert!(visitors.buckets.len() < 2 * MIN_SWEEP, "{}", visitors.buckets.len());
    }
}
