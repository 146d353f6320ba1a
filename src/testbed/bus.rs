//! A `dbus-daemon` of one's own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Error;

/// For the daemon to come up.
const DEADLINE: Duration = Duration::from_secs(10);
/// For it to go, and for all that lies in its folder: thousands of phones left their stores there.
const LEAVING: Duration = Duration::from_secs(120);
/// What shells say of a program that is not there.
const NOT_FOUND: i32 = 127;

/// Leads the daemon's life: until standard input ends, which it does however its other end goes, also by
/// `kill -9`.
const KEEPER: &str = r#"
command -v dbus-daemon >/dev/null || exit 127
dbus-daemon --config-file="$1/bus.conf" --nofork --nopidfile --nosyslog --print-address=1 2>"$1/log" &
exec >&-
read -r _
kill $!
wait
rm -rf "$1"
"#;

/// A bus that nobody else is on; it ends, and its folder goes, when this is dropped or the process
/// ends.
#[derive(Debug)]
pub struct PrivateBus {
    keeper: Child,
    address: String,
    folder: PathBuf,
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
        let config = configuration(&folder.path().join("bus.sock").display().to_string());
        std::fs::write(folder.path().join("bus.conf"), config).map_err(Error::Folder)?;
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for us.
            .process_group(0)
            .spawn();
        let mut keeper = keeper.map_err(Error::Daemon)?;
        let address = timeout(DEADLINE, address(&mut keeper, &folder.path().join("log"))).await;
        let address = address.map_err(|_| Error::Silent(DEADLINE))??;
        // From here on the folder is the keeper's to remove.
        Ok(Self { keeper, address, folder: folder.keep() })
    }

    /// Gives the address, for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder of its socket, which its keeper removes with all that is in it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends the bus, and returns when the daemon and the folder are gone, within two minutes.
    ///
    /// # Errors
    ///
    /// [`Error::Daemon`] and [`Error::Lingering`]: they may still be there.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.keeper.stdin.take());
        let ended = timeout(LEAVING, self.keeper.wait()).await;
        ended.map_err(|_| Error::Lingering(LEAVING))?.map(drop).map_err(Error::Daemon)
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

async fn address(keeper: &mut Child, log: &Path) -> Result<String, Error> {
    let mut line = String::new();
    if let Some(output) = keeper.stdout.take() {
        BufReader::new(output).read_line(&mut line).await.map_err(Error::Daemon)?;
    }
    if line.starts_with("unix:") {
        return Ok(line.trim().to_owned());
    }
    // Gone with the keeper; missing if the daemon was.
    let log = std::fs::read_to_string(log).unwrap_or_default();
    drop(keeper.stdin.take());
    match keeper.wait().await.map_err(Error::Daemon)?.code() {
        Some(NOT_FOUND) => Err(Error::NoDaemon),
        _ => Err(Error::Daemon(io::Error::other(log.trim().to_owned()))),
    }
}
