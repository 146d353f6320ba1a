//! Test tools: stand-ins for what a test machine does not have.
//!
//! [`FakeBluez`] is Bluetooth without hardware. Programs that use BlueZ, Chromium and this one among
//! them, find it on a bus of their own ([`PrivateBus`]), and what they advertise and hear travels on a
//! simulated radio. `cabled testbed bluez` serves the same to tests in any language. Linux only.
//! Depends on `ble`, zbus, and the program `dbus-daemon`.

mod bluez;
mod bus;
mod error;

pub use bluez::{AdvertRequest, Counts, Crowd, FakeBluez};
pub use bus::PrivateBus;
pub use error::Error;
