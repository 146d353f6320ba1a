//! The hybrid protocol: pure.

pub mod tunnel;
