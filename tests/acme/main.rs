//! A relay that gets its certificate by itself, and Pebble, an ACME server for tests: what the suite `acme` runs.
//!
//! Nothing is assumed to take less than a generous deadline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and asks the clock whether a certificate is valid"
)]

mod faults;
mod got;
mod world;
