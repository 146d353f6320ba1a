//! Who meets whom, and who is turned away.

use super::*;

const HERE: RoutingId = RoutingId::new([1, 2, 3]);
const WAITING: Duration = Duration::from_secs(120);

fn registry() -> (Registry<char>, Instant) {
    #[allow(clippy::disallowed_methods, reason = "an arbitrary start of the virtual clock")]
    (Registry::new(HERE, WAITING, 2, Rate::per_second(u32::MAX)), Instant::now())
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
    assert_eq!(registry.census(), Census { all: 1, joined: 1 });
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
fn tunnels_are_opened_at_a_rate() {
    let (mut registry, now) = registry();
    registry.rate = Rate::per_second(1);
    registry.open(id(1), 'a', now).unwrap();
    // Whoever is refused for another reason costs nobody a place.
    assert_eq!(registry.open(id(1), 'b', now + Duration::from_secs(1)), Err(Refusal::Occupied));
    registry.open(id(2), 'b', now + Duration::from_secs(1)).unwrap();
    registry.close(&id(1));
    assert_eq!(registry.open(id(3), 'c', now + Duration::from_secs(1)), Err(Refusal::TooFast));
    assert!(registry.open(id(3), 'c', now + Duration::from_secs(2)).is_ok());
    registry.drain();
    registry.close(&id(2));
    assert_eq!(registry.open(id(4), 'd', now + Duration::from_secs(9)), Err(Refusal::Draining));
    assert_eq!(registry.open(id(3), 'd', now + Duration::from_secs(9)), Err(Refusal::Occupied));
}

#[test]
fn a_peak_leaves_no_memory_behind() {
    let (mut registry, now) = registry();
    registry.at_most = usize::MAX;
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
