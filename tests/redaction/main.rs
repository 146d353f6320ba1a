//! Runs the flow, good and bad, with every log of every crate at its loudest, prints every public
//! type that takes part, and finds no secret in any encoding.
//!
//! The keys are drawn from known seeds, so that the test can derive every secret by itself:
//! `secrets` does, and proves with recorded bytes that it derived the right ones. `search` looks
//! for them, and proves that it finds what is planted.
#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod binary;
mod capture;
mod flow;
mod search;
mod secrets;
mod shared;
