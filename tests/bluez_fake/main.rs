//! The Bluetooth backends as users have them, against a fake BlueZ on a D-Bus of the test's own.
//!
//! libdbus takes the bus's address from the environment only, so each case runs in a child: this
//! very test program again, with one test marked `#[ignore]` that plays the user's part. Needs
//! `dbus-daemon`; `tests/run bluez-fake` runs it, a plain `cargo test` does not.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy takes for production code"
)]

mod cases {
    mod backends;
    mod doctor;
    mod others;
    mod program;
    mod storm;
}
mod children;
mod world;
