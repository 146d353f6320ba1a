//! Front ends: outer protocols over a role's public interface.
//!
//! May depend on `authenticator` (its service), never on what lies below it; see ARCHITECTURE.md.

#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "grpc")]
mod socket;
#[cfg(feature = "web")]
pub mod web;
