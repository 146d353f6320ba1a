//! What the cases share: `cabled phone run --uhid` as a process of its own, and where its key is.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cabled::authenticator::store::{KdfCost, Pin, Store};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde_json::Value;

use crate::device::node;
use crate::program::{Ended, Program, binary};

/// Far beyond what anything here takes, on an emulated processor too: a case that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const NAME: &str = "cabled virtual FIDO2 key";
pub(crate) const PIN: &str = "314159";

/// How long an owner thinks who takes their time.
pub(crate) const THOUGHT: Duration = Duration::from_secs(20);

/// Whether `tests/run --full` was asked for.
pub(crate) fn is_full() -> bool {
    std::env::var("CABLED_FULL").is_ok_and(|value| value == "1")
}

/// What libfido2's tools read: a random challenge, the site, the account.
pub(crate) const REQUESTS: &str = "
    random() { head -c \"$1\" /dev/urandom | base64; }
    { random 32; echo passkeys.example; echo anna; random 16; } >registration
";

/// A key, and a folder for the programs that use it.
pub(crate) struct Key {
    folder: tempfile::TempDir,
    program: Program,
    pub(crate) node: PathBuf,
}

impl Key {
    /// One whose owner agrees to everything.
    pub(crate) async fn new() -> Self {
        Self::plugged_in(&["--auto-approve"]).await
    }

    /// The same, whose passkeys have a certificate.
    pub(crate) async fn certified() -> Self {
        Self::plugged_in(&["--auto-approve", "--attestation", "certificate"]).await
    }

    /// One whose owner is asked.
    pub(crate) async fn asking() -> Self {
        Self::plugged_in(&[]).await
    }

    async fn plugged_in(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        std::fs::write(&pin, format!("{PIN}\n")).unwrap();
        std::fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
        // What makes guessing a PIN dear takes an emulated processor three seconds at each look.
        let (cost, rng) =
            (KdfCost { memory_kib: 8, passes: 1, lanes: 1 }, &mut ChaCha20Rng::from_entropy());
        let code = Pin::new(PIN.to_owned()).unwrap();
        drop(Store::create_with_cost(&folder.path().join("store"), &code, cost, rng).unwrap());
        let mut command = of_folder(binary(), folder.path());
        command.args(["phone", "run", "--uhid"]).args(options).env("CABLED_PIN_FILE", &pin);
        let mut program = Program::of(command);
        program.begins("This machine has a security key now.");
        let node = tokio::time::timeout(PATIENCE, node(NAME)).await.unwrap();
        assert!(Command::new("udevadm").arg("settle").status().unwrap().success());
        Self { folder, program, node }
    }

    /// Begins a script of the shell in the folder, each line of which has to succeed. `$KEY` is the key's
    /// node, and `$CABLED` speaks to its service.
    pub(crate) fn begin(&self, script: &str) -> Program {
        let mut shell = of_folder(Command::new("bash"), self.folder.path());
        shell.args(["-euc", script]).env("KEY", &self.node);
        shell.env("CABLED", binary().get_program()).process_group(0);
        Program::of(shell)
    }

    /// Runs such a script to its end.
    pub(crate) fn script(&self, script: &str) -> Ended {
        self.begin(script).end().succeeded()
    }

    /// Waits for a line that the key tells its owner.
    pub(crate) fn tells(&mut self, start: &str) {
        self.program.begins(start);
    }

    /// Waits for the next question; gives its number.
    pub(crate) fn asks(&mut self) -> u64 {
        let words =
            |line: &str| line.starts_with("Question ") && line.contains("Did you start this?");
        let line = self.program.tells(words);
        line.split([' ', ':']).nth(1).unwrap().parse().unwrap()
    }

    /// The owner answers in another terminal, with the PIN from a file.
    pub(crate) fn owner(&self, answer: &[&str]) -> Ended {
        let mut command = of_folder(binary(), self.folder.path());
        command.arg("phone").args(answer).env("CABLED_PIN_FILE", self.folder.path().join("pin"));
        Program::of(command).end()
    }

    /// Ctrl-C, after which there is no key any more.
    pub(crate) fn stops(self) {
        self.stops_with(None);
    }

    /// The same, and that many passkeys are kept. Gives all that the owner was told.
    pub(crate) fn keeps(self, passkeys: usize) -> Vec<String> {
        self.stops_with(Some(passkeys))
    }

    fn stops_with(self, passkeys: Option<usize>) -> Vec<String> {
        self.program.signal("INT");
        let told = self.program.end().succeeded().err;
        assert!(!self.node.exists());
        let Some(passkeys) = passkeys else { return told };
        let mut command = of_folder(binary(), self.folder.path());
        command.args(["phone", "passkeys", "list", "--json"]);
        command.env("CABLED_PIN_FILE", self.folder.path().join("pin"));
        let listed = Program::of(command).end().succeeded().out;
        let listed: Value = serde_json::from_str(listed.last().unwrap()).unwrap();
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), passkeys, "{listed}");
        told
    }
}

/// What belongs to this key and no other.
fn of_folder(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env("HOME", folder);
    command.env("CABLED_STORE", folder.join("store"));
    command.env("CABLED_SOCKET", folder.join("run/phone.sock"));
    command
}
