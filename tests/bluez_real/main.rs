//! The real bluetoothd, with the phone on one controller and the laptop on another.
//!
//! Needs two controllers that hear each other, and root: `tests/run bluez-real` starts a guest that has
//! them, and runs what is here one after the other. Each case ends with nothing on the air and nobody
//! listening, which is what the next one begins with.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and measurements are printed"
)]

mod bluez;
mod flow;
mod measure;
#[path = "../cli/program.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod program;
mod radio;
mod world;
