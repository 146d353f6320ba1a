//! Three relays as programs of their own, NATS' server and HAProxy: what the suite `cluster` runs.
//!
//! Nothing is assumed to take less than a generous deadline; what it took is printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, reads the clock for what it prints, and draws system randomness"
)]

mod ceremonies;
mod faults;
mod killed;
mod linked;
mod locks;
mod passages;
mod people;
mod world;
