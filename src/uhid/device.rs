//! The device itself: a file that is read and written one event at a time.
//!
//! Depends on siblings only; tokio waits for the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tokio::net::unix::pipe::Receiver;

use super::event::{self, EVENT_LEN, Event, Heard, Report};
use super::{Device, Error};

/// Where the kernel takes virtual HID devices.
const PATH: &str = "/dev/uhid";

/// A virtual FIDO key on this machine, there until it is dropped.
#[derive(Debug)]
pub struct Uhid {
    file: File,
    /// The same file, waited for. It is no pipe, but read and polled like one; tokio's type for any
    /// file needs unsafe code.
    events: Receiver,
}

impl Uhid {
    /// Makes a key that programs see under `name`, within some tenths of a second.
    ///
    /// # Errors
    ///
    /// [`Error::NoModule`], [`Error::NotAllowed`] or [`Error::Create`]. Outside of a tokio runtime
    /// it panics.
    pub fn create(name: &str) -> Result<Self, Error> {
        Self::create_at(Path::new(PATH), name)
    }

    fn create_at(path: &Path, name: &str) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
        let file = options.open(path).map_err(Error::opening)?;
        write(&file, &event::create(name)).map_err(Error::Create)?;
        let events = file.try_clone().and_then(Receiver::from_file_unchecked);
        Ok(Self { file, events: events.map_err(Error::Create)? })
    }
}

impl Device for Uhid {
    async fn next(&mut self) -> Result<Event, Error> {
        let mut buffer = [0; EVENT_LEN];
        loop {
            self.events.readable().await.map_err(Error::Broken)?;
            let len = match self.events.try_read(&mut buffer) {
                Ok(len) => len,
                // It is not ready after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(Error::Broken(error)),
            };
            match event::read(buffer.get(..len).unwrap_or_default()) {
                Heard::Event(event) => return Ok(event),
                Heard::Answer(answer) => {
                    write(&self.file, &answer).map_err(Error::Broken)?;
                }
                Heard::Nothing => {}
            }
        }
    }

    fn send(&mut self, report: &Report) -> Result<(), Error> {
        write(&self.file, &event::input(report)).map_err(Error::Broken)
    }
}

impl Drop for Uhid {
    fn drop(&mut self) {
        // Closing the file does the same; then there is nobody to tell.
        let _gone_anyway = write(&self.file, &event::destroy());
    }
}

/// One event is one write: the kernel takes all of it or fails.
fn write(mut file: &File, event: &[u8]) -> io::Result<()> {
    let written = file.write(event)?;
    if written == event.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_without_uhid_is_told_from_one_that_forbids_it() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Uhid::create_at(&folder.path().join("uhid"), "key").unwrap_err();
        assert!(matches!(missing, Error::NoModule(_)), "{missing:?}");
        let other = Uhid::create_at(folder.path(), "key").unwrap_err();
        assert!(matches!(other, Error::Create(_)), "{other:?}");
    }
}
