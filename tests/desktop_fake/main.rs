//! The desktop's services against fakes of them on a D-Bus of the test's own: notifications, fprintd
//! and the portal, also when they vanish, answer late, lie, or are somebody else.
//!
//! Needs `dbus-daemon`; `tests/run desktop` runs it, a plain `cargo test` does not.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy takes for production code"
)]

mod announced;
mod clipboard;
mod fake;
mod fingers;
mod keys;
mod notes;
mod phone;
mod picture;
mod program;
#[path = "../air/sharing.rs"]
mod sharing;
