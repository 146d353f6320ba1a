//! Test tools: stand-ins for what a test machine does not have.
//!
//! [`FakeBluez`] is Bluetooth without hardware. Programs that use BlueZ, Chromium and this one among
//! them, find it on a bus of their own ([`PrivateBus`]), and what they advertise and hear travels on a
//! simulated radio. `cabled testbed bluez` serves the same to tests in any language. Linux only.
//!
//! [`Bench`] is all that a test of a relying party needs beside a browser: that bus, a tunnel service with
//! a certificate, and phones whose people follow a [`Script`]. `docs/testbed.md` has more.
//!
//! ```text
//!  browser ──D-Bus──> FakeBluez ══ air:DIR ══ phones ──> authenticator::service
//!      └─────────wss──────> gate, relay <──wss──┘  └──> Ceremony: what became of each code
//! ```
//!
//! Depends on `authenticator`, `relay`, `ble`, `channel` and what these depend on, zbus, and the program
//! `dbus-daemon`. No role knows of it.
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

mod adverts;
mod authority;
mod bench;
mod bluez;
mod bus;
mod ceremony;
pub mod control;
mod display;
mod error;
mod gate;
mod phone;
mod planted;
mod script;
mod seed;
mod trace;
mod tunnel;

pub use adverts::Adverts;
pub use bench::{Bench, MAX_PHONES};
pub use bluez::{AdvertRequest, Counts, Crowd, FakeBluez};
pub use bus::PrivateBus;
pub use ceremony::{Ceremony, KEPT_CEREMONIES};
pub use display::VirtualDisplay;
pub use error::Error;
pub use gate::{Fault, Harm, Side};
pub use phone::PhoneSetup;
pub use planted::{NewPasskey, PlantedPasskey};
pub use script::{Account, Answer, Choice, Point, Script};
pub use seed::seeded;
pub use trace::{Request, Trace, Traffic};
