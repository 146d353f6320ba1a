//! `cabled testbed bluez`, as the test suites of others start it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::world::{ADDRESS, PATIENCE, World, passes};

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
        assert_eq!(text, "Stopped.\n");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_one_that_was_killed() {
    let air = tempfile::TempDir::new().unwrap();
    let mut testbed = Testbed::start(air.path(), &[]).await;
    testbed.child.kill().await.unwrap();
    // The bus's keeper holds standard error open for as long as it has work.
    let mut output = String::new();
    let end = testbed.child.stderr.as_mut().unwrap().read_to_string(&mut output);
    timeout(PATIENCE, end).await.unwrap().unwrap();
    passes(&testbed.address, "child_finds_no_service").await;
    assert!(std::fs::read_dir(testbed.temporary.path()).unwrap().next().is_none());
}

/// The two lines with which the program failed for want of a radio.
async fn fails(child: Child) -> String {
    let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    text[text.find("error:").unwrap()..].to_owned()
}

/// Starts a program and waits for a line of the wanted stream that begins so.
async fn says(command: &mut Command, start: &str, of: fn(&mut Child) -> Stream) -> (Child, String) {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(of(&mut child)).lines();
    let search = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it ended");
            if line.starts_with(start) {
                return line;
            }
        }
    };
    let line = timeout(PATIENCE, search).await.unwrap();
    (child, line)
}

type Stream = Box<dyn tokio::io::AsyncRead + Unpin + Send>;

fn register(radio: &str, relay: &str) -> Command {
    let mut command = cabled();
    command.args(["register", "--rp-id", "shop.example", "--user", "anna", "--qr", "url"]);
    command.args(["--radio", radio, "--relay", relay]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_laptop_says_that_its_adapter_was_pulled_out() {
    let world = World::new().await;
    let mut laptop = register("bluez:hci1", "ws://127.0.0.1:9");
    let laptop = laptop.env(ADDRESS, world.bus.address()).spawn().unwrap();
    world.until(|now| now.discovering == 1).await;
    world.fake.unplug("hci1").await.unwrap();
    let text = fails(laptop).await;
    assert!(text.starts_with("error: "), "{text}");
    assert!(
        text.contains("the Bluetooth adapter was removed\nhint: plug the adapter in"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_says_that_bluez_has_ended() {
    let place = tempfile::TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(path("pin"), "314159").unwrap();
    std::fs::set_permissions(path("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let out = |child: &mut Child| Box::new(child.stdout.take().unwrap()) as Stream;
    let err = |child: &mut Child| Box::new(child.stderr.take().unwrap()) as Stream;
    let (_relay, line) = says(cabled().arg("relay"), "listening on ", out).await;
    let relay = line.trim_start_matches("listening on ");
    let mut laptop = register(&format!("air:{}", path("air")), relay);
    let (_laptop, code) = says(&mut laptop, "FIDO:/", err).await;
    let world = World::new().await;
    let mut phone = cabled();
    phone.args(["phone", "scan", &code, "--radio", "bluez", "--relay", relay, "--auto-approve"]);
    phone.args(["--store", &path("store"), "--pin-file", &path("pin")]);
    let phone = phone.env(ADDRESS, world.bus.address()).spawn().unwrap();
    world.until(|now| now.on_air == 1).await;
    world.fake.stop().await.unwrap();
    let text = fails(phone).await;
    assert!(text.contains("the Bluetooth service ended or was restarted\nhint: run"), "{text}");
}
