//! The real binary, as people and scripts run it: what it prints where, and its exit status.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod alone;
mod bench;
mod daemon;
mod doctor;
mod endurance;
mod enroll;
mod interrupted;
mod keyring;
mod link;
mod linked;
mod offline;
mod pam;
mod program;
mod provider;
mod radio;
mod relay;
mod served;
mod service;
mod terminal;
mod three;
#[path = "../air/world.rs"]
#[allow(dead_code, reason = "it serves another test too")]
mod world;
mod wrong;
