//! A `dbus-daemon` of one's own.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Error;

/// For the daemon to come up.
const DEADLINE: Duration = Duration::from_secs(10);

/// A bus that nobody else is on; it ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct PrivateBus {
    daemon: Child,
    address: String,
    folder: TempDir,
}

impl PrivateBus {
    /// Starts a bus on which everybody of this user may do everything, within ten seconds. Needs a
    /// tokio runtime, and `dbus-daemon` (Debian package: dbus).
    ///
    /// # Errors
    ///
    /// [`Error::NoDaemon`] without `dbus-daemon`; [`Error::Folder`], [`Error::Daemon`] and
    /// [`Error::Silent`] as the names say.
    pub async fn start() -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("cabled-bus-").tempdir();
        let folder = folder.map_err(Error::Folder)?;
        let config = folder.path().join("bus.conf");
        let text = configuration(&folder.path().join("bus.sock").display().to_string());
        std::fs::write(&config, text).map_err(Error::Folder)?;
        let daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C is for us; the daemon goes when the bus is dropped.
            .process_group(0)
            .spawn();
        let mut daemon = daemon.map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Error::NoDaemon,
            _ => Error::Daemon(cause),
        })?;
        let address = timeout(DEADLINE, address(&mut daemon)).await;
        let address = address.map_err(|_| Error::Silent(DEADLINE))?.map_err(Error::Daemon)?;
        Ok(Self { daemon, address, folder })
    }

    /// Gives the address, for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends the bus, and returns when the daemon and the folder are gone.
    ///
    /// # Errors
    ///
    /// [`Error::Daemon`] and [`Error::Folder`]: one of them could not be removed.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.daemon.kill().await.map_err(Error::Daemon)?;
        self.folder.close().map_err(Error::Folder)
    }
}

/// The least that a bus needs: no services to start, no limits of the system's.
fn configuration(socket: &str) -> String {
    format!(
        "<busconfig><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>"
    )
}

async fn address(daemon: &mut Child) -> io::Result<String> {
    let mut line = String::new();
    if let Some(output) = daemon.stdout.take() {
        BufReader::new(output).read_line(&mut line).await?;
    }
    match line.trim() {
        address if address.starts_with("unix:") => Ok(address.to_owned()),
        _ => Err(io::Error::other("it ended without an address")),
    }
}
