//! FIDO2 cross-device transport ("hybrid"): a laptop shows a QR, a phone near it answers.
//!
//! ```text
//!  cli ──> client (laptop) ─────────┐
//!   │                               ├──> hybrid, ctap        pure: no IO, clock, randomness
//!   ├────> authenticator (phone) ───┤
//!   │                               └──> ble, channel, uhid  radio, message pipes, virtual key
//!   ├────> relay (tunnel service) ─────> hybrid::tunnel      URL grammar only
//!   ├────> testbed (test tools) ───────> authenticator, relay, ble, channel
//!   └────> desktop                         notifications, fingerprints, portal over D-Bus
//! ```
//!
//! Without default features only [`hybrid`], [`ctap`], [`cbor`] and [`secret`] are built: the
//! protocol for others to embed, driven by feeding inputs and draining outputs. The roles are thin
//! drivers around it, the command line is thinner still. `ARCHITECTURE.md` has the rules.

pub mod cbor;
pub mod ctap;
pub mod hybrid;
pub mod secret;

#[cfg(feature = "authenticator")]
pub mod authenticator;
#[cfg(feature = "io")]
pub mod ble;
#[cfg(feature = "io")]
pub mod channel;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(all(feature = "desktop", target_os = "linux"))]
pub mod desktop;
#[cfg(any(feature = "control", feature = "web"))]
pub mod frontend;
mod hex;
#[cfg(any(feature = "authenticator", feature = "client"))]
pub mod journal;
#[cfg(any(feature = "acme", feature = "authenticator", feature = "client"))]
pub mod printable;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(any(feature = "authenticator", feature = "client"))]
pub mod sealed;
#[cfg(feature = "io")]
mod splitmix;
#[cfg(feature = "symbol")]
pub mod symbol;
#[cfg(all(feature = "testbed", target_os = "linux"))]
pub mod testbed;
#[cfg(all(any(feature = "authenticator", feature = "client"), target_os = "linux"))]
pub mod uhid;
#[cfg(any(feature = "acme", feature = "client"))]
mod whole;
