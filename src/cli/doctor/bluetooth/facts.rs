//! What can be seen of Bluetooth from here: by D-Bus, and in a few files and programs.
//!
//! Depends on the survey of `ble`. Everything is read, nothing is changed.

use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::process::Command;
use tokio::time::timeout;

use crate::ble::bluez::{Adapter, SurveyError, survey};

/// Where distributions put BlueZ's daemon. It is asked for its version by its full name, so that
/// nothing else of that name is run; D-Bus does not tell the version.
const DAEMONS: [&str; 4] = [
    "/usr/libexec/bluetooth/bluetoothd",
    "/usr/lib/bluetooth/bluetoothd",
    "/usr/sbin/bluetoothd",
    "/usr/libexec/bluetoothd",
];
const VERSION_DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of a version that are believed.
const MAX_VERSION: usize = 20;

/// All that the judgement needs.
#[derive(Debug)]
pub(in crate::cli::doctor) struct Facts {
    pub(super) survey: Result<Vec<Adapter>, SurveyError>,
    /// The adapter that was asked for.
    pub(super) wanted: Option<String>,
    /// Of the BlueZ that is installed.
    pub(super) version: Option<String>,
    pub(super) switches: Vec<Switch>,
    pub(super) group: Group,
    /// Adapters that the kernel has.
    pub(super) kernel: Vec<String>,
    /// Whether a socket for L2CAP can be had, or why not.
    pub(super) l2cap: Result<(), String>,
    /// Whether whoever runs this sits at another machine.
    pub(super) remote: bool,
}

/// A switch of `rfkill` for Bluetooth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) name: String,
    pub(super) soft: bool,
    pub(super) hard: bool,
}

/// This user and the group that may use Bluetooth in some distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Missing,
    Inside,
    Outside,
}

/// Looks around; takes at most 20 seconds if D-Bus hangs, a moment otherwise.
pub(in crate::cli::doctor) async fn gather(wanted: Option<String>) -> Facts {
    let (survey, version) = tokio::join!(survey(), version());
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Facts {
        survey,
        wanted,
        version,
        switches: switches(Path::new("/sys/class/rfkill")),
        group: group(&text("/etc/group"), &text("/proc/self/status")),
        kernel: adapters(Path::new("/sys/class/bluetooth")),
        l2cap: l2cap(),
        remote: std::env::var_os("SSH_CONNECTION").is_some(),
    }
}

async fn version() -> Option<String> {
    let daemon = DAEMONS.into_iter().find(|path| Path::new(path).exists())?;
    let mut command = Command::new(daemon);
    command.arg("--version").env_clear().stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = timeout(VERSION_DEADLINE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '~');
    let version = text.trim();
    // Installed it is, whatever it says.
    let sane = !version.is_empty() && version.len() <= MAX_VERSION && version.chars().all(legal);
    Some(if sane { version.to_owned() } else { "unknown".to_owned() })
}

/// The switches for Bluetooth, by name, from `/sys/class/rfkill`.
fn switches(folder: &Path) -> Vec<Switch> {
    let read = |path: &Path, name: &str| std::fs::read_to_string(path.join(name)).ok();
    let mut switches: Vec<_> = entries(folder)
        .into_iter()
        .filter_map(|entry| {
            let path = folder.join(&entry);
            let is = |name: &str, value: &str| read(&path, name).is_some_and(|v| v.trim() == value);
            let name = read(&path, "name").map(|name| name.trim().to_owned());
            is("type", "bluetooth").then(|| Switch {
                name: name.filter(|name| !name.is_empty()).unwrap_or(entry),
                soft: is("soft", "1"),
                hard: is("hard", "1"),
            })
        })
        .collect();
    switches.sort_by(|a, b| a.name.cmp(&b.name));
    switches
}

/// `hci0`, but not `hci0:11`, which is a connection.
fn adapters(folder: &Path) -> Vec<String> {
    let mut names = entries(folder);
    names.retain(|name| name.starts_with("hci") && !name.contains(':'));
    names.sort();
    names
}

/// The names in a folder; none if there is no folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// From `/etc/group` and `/proc/self/status`.
fn group(groups: &str, status: &str) -> Group {
    let id = groups.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next()? == "bluetooth").then(|| parts.nth(1))?
    });
    let own = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    match id {
        None => Group::Missing,
        Some(id) if own.split_ascii_whitespace().any(|own| own == id) => Group::Inside,
        Some(_) => Group::Outside,
    }
}

fn l2cap() -> Result<(), String> {
    let (family, kind) = (AddressFamily::BLUETOOTH, SocketType::SEQPACKET);
    socket_with(family, kind, SocketFlags::CLOEXEC, None)
        .map(drop)
        .map_err(|error| std::io::Error::from(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn switches_for_bluetooth_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (number, kind, name, soft, hard) in [
            (0, "bluetooth", "tpacpi_bluetooth_sw", "1", "0"),
            (1, "wlan", "phy0", "1", "1"),
            (2, "bluetooth", "hci0", "0", "1"),
        ] {
            for (file_name, text) in
                [("type", kind), ("name", name), ("soft", soft), ("hard", hard)]
            {
                file(root, &format!("rfkill{number}/{file_name}"), &format!("{text}\n"));
            }
        }
        let switch = |name: &str, soft, hard| Switch { name: name.to_owned(), soft, hard };
        let found = [switch("hci0", false, true), switch("tpacpi_bluetooth_sw", true, false)];
        assert_eq!(switches(root), found);
        assert!(switches(&root.join("none")).is_empty());
        file(root, "rfkill3/type", "bluetooth\n");
        assert!(switches(root).contains(&switch("rfkill3", false, false)), "a name of its own");
    }

    #[test]
    fn connections_are_no_adapters() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hci1", "hci0", "hci0:11", "other"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        assert_eq!(adapters(folder.path()), ["hci0", "hci1"]);
    }

    #[test]
    fn the_group_is_looked_up_by_its_number() {
        let groups = "root:x:0:\nbluetooth-users:x:7:\nbluetooth:x:112:zoe\naudio:x:29:\n";
        assert_eq!(group(groups, "Name:\tx\nGroups:\t29 112 \n"), Group::Inside);
        assert_eq!(group(groups, "Groups:\t29 1112\n"), Group::Outside);
        assert_eq!(group(groups, ""), Group::Outside);
        assert_eq!(group("root:x:0:\nbluetooth", "Groups:\t0\n"), Group::Missing);
    }
}
