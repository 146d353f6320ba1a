//! Three relays as programs of their own, NATS' server and HAProxy: what the suite `cluster` runs.
//!
//! Nothing is assumed to take less than a generous deadline; what it took is printed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod ceremonies;
mod faults;
mod passages;
mod world;
