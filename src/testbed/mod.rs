//! Test tools: stand-ins for what a test machine does not have.
//!
//! [`FakeBluez`] is Bluetooth without hardware. Programs that use BlueZ, Chromium and this one among
//! them, find it on a bus of their own ([`PrivateBus`]), and what they advertise and hear travels on a
//! simulated radio. `cabled testbed bluez` serves the same to tests in any language. Linux only.
//! Depends on `ble`, zbus, and the program `dbus-daemon`.
//!
//! ```no_run
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! use cabled::ble::{Radio, RadioSpec};
//! use cabled::testbed::{FakeBluez, PrivateBus};
//!
//! let spec: RadioSpec = "air:/tmp/air".parse()?;
//! let bus = PrivateBus::start().await?;
//! let fake = FakeBluez::start(bus.address(), Radio::open(&spec)?, &["hci0"]).await?;
//! let mut program = std::process::Command::new("a-program-that-uses-bluetooth")
//!     .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
//!     .spawn()?;
//! fake.until(|counts| counts.discovering == 1).await;
//! fake.unplug("hci0").await?;
//! assert!(!program.wait()?.success());
//! # Ok(())
//! # }
//! ```

mod bluez;
mod bus;
mod error;

pub use bluez::{AdvertRequest, Counts, Crowd, FakeBluez};
pub use bus::PrivateBus;
pub use error::Error;
