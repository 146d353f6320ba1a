//! A real, unmodified Chromium as the laptop: our phone, our relay and our web site answer it.
//!
//! Not part of a plain `cargo test` (`test = false` in Cargo.toml), because it needs Chromium and a
//! display: `tests/run chromium` installs and builds what it needs. What is missing is a failure here,
//! never a skip.
//!
//! One test at a time: each has a display and a browser of its own, and all of them are heavy.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and draws system randomness as a program would"
)]

#[allow(dead_code, reason = "the example ends it in order, tests drop it")]
#[path = "../../examples/relying_party/alone.rs"]
mod alone;
mod ceremonies;
#[cfg(feature = "cluster")]
mod crossing;
mod desk;
mod devtools;
mod fifty;
mod page;
mod phone;
mod policy;
#[cfg(feature = "cluster")]
#[allow(dead_code, clippy::disallowed_methods, reason = "the cluster's own tests use all of it")]
#[path = "../cluster/world.rs"]
mod world;

use std::future::Future;

use tokio::sync::{Mutex, MutexGuard};

use crate::devtools::PATIENCE;

/// Waits, but not for ever.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// Whoever has this may run a browser.
async fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
