//! Front ends: outer protocols over a role's public interface.
//!
//! May depend on `authenticator` (its service), never on what lies below it; see ARCHITECTURE.md.

pub mod grpc;
