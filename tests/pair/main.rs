//! Both transactions joined by a virtual network and clock: no sockets, no sleeps.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and takes its first instant from the clock"
)]

mod adverts;
mod deadlines;
mod flow;
mod hostile;
mod nearby;
mod world;
