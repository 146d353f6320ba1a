//! Front ends: outer protocols over a role's public interface.
//!
//! May depend on the services of `client` and `authenticator`, never on what lies below them; see
//! ARCHITECTURE.md.

#[cfg(feature = "control")]
pub mod control;
#[cfg(feature = "control")]
mod dial;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "web")]
pub(crate) mod loopback;
#[cfg(any(feature = "grpc", feature = "testbed"))]
pub(crate) mod refusal;
#[cfg(any(feature = "grpc", feature = "testbed"))]
pub(crate) mod serving;
#[cfg(feature = "grpc")]
mod socket;
#[cfg(feature = "web")]
pub mod web;
#[cfg(any(feature = "grpc", feature = "web"))]
mod words;

#[cfg(feature = "control")]
pub use self::dial::SocketError;
#[cfg(any(feature = "grpc", feature = "testbed"))]
pub use self::refusal::CAUSE;
#[cfg(any(feature = "grpc", feature = "testbed"))]
pub use self::serving::MAX_CONNECTIONS;
#[cfg(feature = "grpc")]
pub use self::socket::Listener;
#[cfg(any(feature = "grpc", feature = "web"))]
pub use self::words::{Advice, Words};
