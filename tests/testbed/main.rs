//! The test bed as suites of others use it: from Rust, over its control API, and as a command around a
//! program. Needs `dbus-daemon`; `tests/run testbed` runs it, a plain `cargo test` does not.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy takes for production code"
)]

mod bench;
mod control;
mod faults;
mod grpc;
mod laptop;
#[path = "../cli/program.rs"]
#[allow(dead_code, reason = "the tests of the command line need more of it")]
mod program;
mod run;
/// How long the programs of `program` may take.
mod world {
    pub(crate) use crate::laptop::PATIENCE;
}
