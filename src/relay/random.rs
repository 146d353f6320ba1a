//! What the relay draws by chance: all of it here.

use rand_core::RngCore as _;

use super::error::Error;
use crate::hybrid::listen::Challenge;
use crate::hybrid::tunnel::{RoutingId, TunnelId};

/// A routing id for this node.
pub(super) fn routing_id() -> Result<RoutingId, Error> {
    draw().map(RoutingId::new).map_err(Error::Random)
}

/// A name for a link to another node; `None` if the system has no randomness.
#[cfg(feature = "cluster")]
pub(super) fn link_name() -> Option<[u8; 16]> {
    draw().ok()
}

/// A name for this process among the nodes of a cluster.
#[cfg(feature = "cluster")]
pub(super) fn instance() -> Result<[u8; 8], Error> {
    draw().map_err(Error::Random)
}

/// By how much to be late or early, so that not all relays ask at once.
#[cfg(feature = "acme")]
pub(super) fn chance() -> u32 {
    // Without randomness nobody is late.
    draw().map(u32::from_le_bytes).unwrap_or_default()
}

/// A tunnel for a laptop that rings; `None` if the system has no randomness.
pub(super) fn tunnel_id() -> Option<TunnelId> {
    draw().map(TunnelId::new).ok()
}

/// A challenge for a phone that wants to listen.
#[allow(clippy::disallowed_types, reason = "the relay is a driver")]
pub(super) fn challenge() -> Challenge {
    Challenge::new(&mut rand_core::OsRng)
}

#[allow(clippy::disallowed_types, reason = "the relay is a driver")]
fn draw<const N: usize>() -> Result<[u8; N], rand_core::Error> {
    let mut bytes = [0; N];
    rand_core::OsRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes)
}
