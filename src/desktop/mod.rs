//! Services of a Linux desktop or phone over D-Bus: [`notify`] asks, [`fingerprint`] verifies,
//! [`portal`] looks at the screen, [`secrets`] keeps a key.
//!
//! GNOME, Plasma, Phosh and Plasma Mobile offer the same. Nothing here knows what a passkey is:
//! words come from above, and what the user did goes back there. Every wait has a deadline, everything
//! that was begun is ended when it is dropped, and a service that leaves the bus is an error and no
//! silence. Linux only. Depends on zbus and tokio.

mod bus;
mod error;
pub mod fingerprint;
pub mod notify;
pub mod portal;
pub mod secrets;
mod text;

pub use bus::Bus;
pub use error::Error;
