//! The kernel's `/dev/uhid`: a FIDO key that programs see as if it were plugged in.
//!
//! [`Uhid`] makes one and takes it away when dropped; every [`Device`] passes [`conformance`]. `host`
//! puts the requests of programs in order, for the role that answers them. Depends on `ctap`. Kernel: `include/uapi/linux/uhid.h`.

pub mod conformance;
mod device;
mod error;
mod event;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod host;
pub(crate) mod probe;

use std::future::Future;

pub use device::Uhid;
pub use error::Error;
pub use event::{Event, REPORT_LEN, Report};

/// A HID device as its owner sees it.
pub trait Device: Send {
    /// What happens next to it. Dropped while it waits, it has lost nothing.
    ///
    /// # Errors
    ///
    /// The device is gone or cannot be read.
    fn next(&mut self) -> impl Future<Output = Result<Event, Error>> + Send;

    /// Sends one report to whoever has the device open. It does not wait; who reads too slowly
    /// misses some.
    ///
    /// # Errors
    ///
    /// The device is gone or cannot be written.
    fn send(&mut self, report: &Report) -> Result<(), Error>;
}
