//! Command line.

pub mod image;
pub mod qr;
