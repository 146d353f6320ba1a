//! What the cases share: `cabled phone run --uhid` as a process of its own, and where its key is.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::device::node;
use crate::program::{Ended, Program};

/// Far beyond what anything here takes, on an emulated processor too: a case that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const NAME: &str = "cabled virtual FIDO2 key";

/// A key whose owner agrees to everything, and a folder for the programs that use it.
pub(crate) struct Key {
    folder: tempfile::TempDir,
    program: Program,
    pub(crate) node: PathBuf,
}

impl Key {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, "314159\n").unwrap();
        std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
        let (store, pin) = (folder.path().join("store"), pin.to_str().unwrap().to_owned());
        let store = store.to_str().unwrap();
        let socket = folder.path().join("run/phone.sock");
        let options = ["--store", store, "--pin-file", &pin, "--uhid", "--auto-approve"];
        let options = [&options[..], &["--socket", socket.to_str().unwrap()]].concat();
        let mut program = Program::start(&[&["phone", "run"], &options[..]].concat());
        program.begins("This machine has a security key now.");
        let node = tokio::time::timeout(PATIENCE, node(NAME)).await.unwrap();
        assert!(Command::new("udevadm").arg("settle").status().unwrap().success());
        Self { folder, program, node }
    }

    /// Runs a script of the shell in the folder; `$KEY` is the key's node. Each line has to succeed.
    pub(crate) fn script(&self, script: &str) -> Ended {
        let mut shell = Command::new("bash");
        shell.args(["-euc", script]).current_dir(self.folder.path());
        shell.env("KEY", &self.node).env("HOME", self.folder.path());
        Program::of(shell).end().succeeded()
    }

    /// Waits for a line that the key tells its owner.
    pub(crate) fn tells(&mut self, start: &str) {
        self.program.begins(start);
    }

    /// Ctrl-C, after which there is no key any more.
    pub(crate) fn stops(self) {
        self.program.signal("INT");
        self.program.end().succeeded();
        assert!(!self.node.exists());
    }
}
