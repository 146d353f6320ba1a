//! The hybrid protocol: pure.
