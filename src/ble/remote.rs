//! The radio of another machine of the same person, for codes that are shown where no radio is.
//!
//! ```text
//!   LOCAL, has a radio                            REMOTE, shows the code
//!   Scanner ──> share() ──sealed, over ssh──> receive() ──Unix socket──> RemoteRadio::scan()
//!               Sharer                        Receiver
//! ```
//!
//! [`share()`] and [`receive()`] are thin drivers around pure machines that are fed with bytes, time and
//! sightings. Both ends show that they have the key of their pairing before anything else is said. LOCAL
//! scans only while somebody at REMOTE listens. What goes over is adverts alone, at most 250 in a second.
//! An advert that came this way proves nearness to LOCAL, not to REMOTE: see `docs/radio-share.md`.
//! Depends on `hybrid`, `secret` and the types of this layer.

mod error;
#[cfg(fuzzing)]
mod fuzz;
mod hello;
mod pace;
mod pairing;
mod pipe;
mod radio;
mod receive;
mod receiver;
mod sealed;
mod share;
mod sharer;
mod wire;

pub use error::Error;
#[cfg(fuzzing)]
pub use fuzz::{fuzz_code, fuzz_frames, fuzz_hello, fuzz_messages};
pub use pairing::{NoCode, PairingId, PairingKey};
pub use radio::{RemoteRadio, RemoteScan};
pub use receive::receive;
pub use share::{Shared, share};
pub use wire::Trouble;

use super::Sighting;

#[cfg(test)]
mod tests;
