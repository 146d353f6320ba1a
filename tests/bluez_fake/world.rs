//! A bus with a fake BlueZ on it, and the children that use it.

use std::process::Stdio;
use std::time::Duration;

use cabled::ble::memory::MemoryRadio;
use cabled::ble::{Conditions, Radio};
use cabled::testbed::{Counts, FakeBluez, PrivateBus};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

pub(crate) fn memory(interval: Duration) -> Radio {
    let conditions = Conditions { interval, ..Conditions::default() };
    Radio::Memory(MemoryRadio::new(conditions).unwrap())
}

/// A bus with a fake BlueZ on it and a radio behind that.
pub(crate) struct World {
    pub(crate) fake: FakeBluez,
    pub(crate) radio: Radio,
    pub(crate) bus: PrivateBus,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(memory(Duration::from_millis(5)), &["hci0", "hci1"]).await
    }

    pub(crate) async fn with(radio: Radio, adapters: &[&str]) -> Self {
        let bus = PrivateBus::start().await.unwrap();
        let fake = FakeBluez::start(bus.address(), radio.clone(), adapters).await.unwrap();
        Self { fake, radio, bus }
    }

    pub(crate) async fn passes(&self, part: &str) -> String {
        passes(self.bus.address(), part).await
    }

    pub(crate) async fn until(&self, wanted: impl Fn(Counts) -> bool + Send) -> Counts {
        timeout(PATIENCE, self.fake.until(wanted)).await.expect("did not come about")
    }
}

pub(crate) fn command(address: &str, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("children::{part}"), "--ignored", "--nocapture"])
        .env(ADDRESS, address);
    command.kill_on_drop(true);
    command
}

/// Runs a child to its end and gives what it printed.
pub(crate) async fn passes(address: &str, part: &str) -> String {
    let output = timeout(PATIENCE, command(address, part).output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{part}: {text}{errors}");
    text
}

/// A child that is told when to go on.
pub(crate) struct Led {
    pub(crate) child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

impl Led {
    pub(crate) fn start(world: &World, part: &str) -> Self {
        let mut command = command(world.bus.address(), part);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from: BufReader::new(from).lines() }
    }

    /// Waits for a line that ends so, and gives it.
    pub(crate) async fn says(&mut self, wanted: &str) -> String {
        let search = async {
            while let Some(line) = self.from.next_line().await.unwrap() {
                if line.ends_with(wanted) {
                    return line;
                }
            }
            panic!("the child ended without {wanted:?}");
        };
        timeout(PATIENCE, search).await.unwrap()
    }

    pub(crate) async fn go_on(&mut self) {
        self.to.write_all(b"\n").await.unwrap();
    }

    pub(crate) async fn passes(mut self) {
        self.says("ok").await;
        assert!(timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success());
    }
}

/// What this process has in memory.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What this process has taken of the processor so far. The kernel counts it in hundredths of a second.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}
