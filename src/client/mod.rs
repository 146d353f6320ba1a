//! Role: laptop.

pub mod webauthn;
