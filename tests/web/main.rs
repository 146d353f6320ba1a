//! The phone's page and the laptop's in a real Chromium: questions, passkeys, the lock, codes and what
//! becomes of them, by mouse and by keyboard, narrow and wide, light and dark. Pictures land in `target/web`, for people to look at.
//!
//! Needs chromium: `tests/run web` runs it, a plain `cargo test` does not.
#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking"
)]

mod browser;
mod codes;
#[path = "../chromium/devtools.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod devtools;
mod http;
mod laptop;
mod page;
mod phone;
#[path = "../air/sharing.rs"]
mod sharing;

use std::time::Duration;

/// For anything that another process does.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| panic!("{what} took too long"))
}
