//! The virtual key on the kernel's own uhid, and unmodified programs that use it.
//!
//! Needs `/dev/uhid`, root and nobody else's keys: `tests/run uhid-real` starts a guest that has them, and
//! runs what is here one after the other. Each case ends with no key on the machine.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod device;
mod login;
mod owner;
#[path = "../cli/program.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod program;
mod programs;
mod together;
mod world;
