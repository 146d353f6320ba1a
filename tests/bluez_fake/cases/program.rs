//! `cabled testbed bluez`, as the test suites of others start it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::world::{PATIENCE, passes};

/// A running `cabled testbed bluez`, with its own place for temporary files.
struct Testbed {
    child: Child,
    address: String,
    temporary: tempfile::TempDir,
}

fn cabled() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cabled"));
    command.env_remove("CABLED_RADIO").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Testbed {
    async fn start(air: &Path, more: &[&str]) -> Self {
        let temporary = tempfile::TempDir::new().unwrap();
        let radio = format!("air:{}", air.display());
        let mut command = cabled();
        command.args(["testbed", "bluez", "--radio", &radio]).args(more);
        let mut child = command.env("TMPDIR", temporary.path()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, output.read_line(&mut line)).await.unwrap().unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        assert!(address.starts_with("unix:path="), "{address}");
        Self { child, address, temporary }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for a good end after which nothing is left.
    async fn ends(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert!(status.success(), "{text}");
        // What stands before it is of dbus-daemon, which may complain about its limits.
        assert!(text.ends_with("Stopped.\n") && !text.contains("error:"), "{text}");
        assert!(std::fs::read_dir(self.temporary.path()).unwrap().next().is_none());
        passes(&self.address, "child_finds_no_service").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_meet_on_its_bus_and_nothing_is_left() {
    for signal in ["TERM", "INT"] {
        let air = tempfile::TempDir::new().unwrap();
        let testbed = Testbed::start(air.path(), &["--adapter", "hci0", "--adapter", "hci1"]).await;
        passes(&testbed.address, "child_meets_itself").await;
        testbed.signal(signal);
        testbed.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_begins_as_it_is_told() {
    let air = tempfile::TempDir::new().unwrap();
    let testbed = Testbed::start(air.path(), &["--off"]).await;
    passes(&testbed.address, "child_finds_it_all_off").await;
    testbed.signal("TERM");
    testbed.ends().await;
    let testbed = Testbed::start(air.path(), &["--no-adapter"]).await;
    passes(&testbed.address, "child_finds_no_adapter").await;
    testbed.signal("TERM");
    testbed.ends().await;
}
