//! The kernel's device against the rules that the fake one obeys: programs are played over hidraw.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use cabled::uhid::conformance::{self, Program};
use cabled::uhid::{REPORT_LEN, Report, Uhid};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{interval, timeout};

/// Far beyond what the kernel takes, on an emulated processor too.
const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "cabled conformance";

/// A program that uses a key's node.
pub(crate) struct Hidraw {
    node: PathBuf,
    /// The same file twice: to write, and to wait for as if it were a pipe.
    file: Option<(File, Receiver)>,
}

/// The node, as soon as it is there: the kernel makes it after the device.
pub(crate) async fn node(name: &str) -> PathBuf {
    let mut tick = interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        for entry in std::fs::read_dir("/sys/class/hidraw").into_iter().flatten().flatten() {
            let about = std::fs::read_to_string(entry.path().join("device/uevent"));
            let node = PathBuf::from("/dev").join(entry.file_name());
            if about.is_ok_and(|text| text.lines().any(|line| line == format!("HID_NAME={name}")))
                && node.exists()
            {
                return node;
            }
        }
    }
}

impl Hidraw {
    pub(crate) fn at(node: PathBuf) -> Self {
        Self { node, file: None }
    }

    fn file(&self) -> io::Result<&(File, Receiver)> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Program for Hidraw {
    async fn open(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(&self.node)?;
        let reports = Receiver::from_file_unchecked(file.try_clone()?)?;
        self.file = Some((file, reports));
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        self.file = None;
        Ok(())
    }

    async fn write(&mut self, report: &Report) -> io::Result<()> {
        let numbered = [&[0][..], report].concat();
        let (file, _) = self.file()?;
        let mut file = file;
        assert_eq!(file.write(&numbered)?, REPORT_LEN + 1);
        Ok(())
    }

    async fn read(&mut self) -> io::Result<Report> {
        let mut report = [0; REPORT_LEN];
        loop {
            let (_, reports) = self.file()?;
            reports.readable().await?;
            match reports.try_read(&mut report) {
                Ok(len) => {
                    assert_eq!(len, REPORT_LEN);
                    return Ok(report);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn the_kernels_device_obeys_the_rules() {
    let device = Uhid::create(NAME).unwrap();
    let node = timeout(PATIENCE, node(NAME)).await.unwrap();
    let program = Hidraw::at(node.clone());
    timeout(PATIENCE, conformance::run(device, program)).await.unwrap().unwrap();
    assert!(!node.exists());
}
