//! A camera, by way of Video4Linux: one that can be looked at, and what it sees in shades of grey.
//!
//! A feature of its own, because most who run this have a screen to look at. The frames' layouts, which
//! are pure, are tried without it too.

#[cfg(feature = "camera")]
mod device;
mod frame;

#[cfg(feature = "camera")]
pub(crate) use device::{Camera, CameraError};
