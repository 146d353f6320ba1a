//! Command line.

pub mod image;
pub mod qr;
pub mod relying_party;
