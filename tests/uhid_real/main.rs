//! The virtual key on the kernel's own uhid, and unmodified programs that use it.
//!
//! Needs `/dev/uhid`, root and nobody else's keys: `tests/run uhid-real` starts a guest that has them, and
//! runs what is here one after the other. Each case ends with no key on the machine. The laptop's key, in
//! `nearby`, needs two Bluetooth controllers beside: that is `tests/run uhid` and `tests/run linked`.
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

use std::time::Duration;

mod around;
mod bench;
mod bidi;
mod browsers;
mod device;
#[path = "../chromium/devtools.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod devtools;
mod hid;
mod login;
mod nearby;
mod owner;
#[path = "../cli/program.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod program;
mod programs;
mod together;
mod world;

/// What a browser may take for one thing: its start takes an emulated processor a minute, and many minutes
/// where the machine has other work too.
const BROWSERS_PATIENCE: Duration = Duration::from_secs(900);

/// For anything that a browser does.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(BROWSERS_PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("{what} did not come in time"))
}
