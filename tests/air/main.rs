//! All roles in one process: a real relay on loopback, real WebSockets, the simulated radio, a
//! real store, and a user who follows a script. What fails must fail with the right error, leave
//! nothing running, and leave no passkey half saved.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod drops;
mod failures;
mod flow;
#[cfg(target_os = "linux")]
mod key;
mod laptop;
mod links;
mod nearby;
mod proxy;
mod radio;
mod service;
mod socket;
mod tls;
mod user;
mod world;
