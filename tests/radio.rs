//! The simulated radio as users have it: through `Radio`, and between processes.
//!
//! The other process is this very test program, told by its environment which part to play.
#![cfg(feature = "io")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests, which clippy takes for production code"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cabled::ble::conformance::Suite;
use cabled::ble::memory::MemoryRadio;
use cabled::ble::{
    Advertisement, Advertiser, Conditions, Error, Outgoing, Radio, RadioAdvertisement, RadioSpec,
    Scan as _, Scanner as _, ServiceUuid,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
const FOLDER: &str = "CABLED_TEST_AIR";

fn air(folder: &Path, options: &str) -> Radio {
    let spec: RadioSpec = format!("air:{}{options}", folder.display()).parse().unwrap();
    assert!(spec.is_simulated());
    Radio::open(&spec).unwrap()
}

async fn hear(radio: &Radio, data: &[u8]) {
    let mut scan = radio.scan().await.unwrap();
    let search = async { while scan.next().await.unwrap().service_data != data {} };
    timeout(PATIENCE, search).await.expect("not heard in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_radio_conforms() {
    let dir = TempDir::new().unwrap();
    let memory = Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap());
    for radio in [memory, air(dir.path(), ""), air(dir.path(), ",interval=1ms,loss=0.3,foreign=50")]
    {
        assert!(radio.is_simulated());
        Suite::new(&radio, &radio, PATIENCE, 50, 0).run().await.unwrap();
    }
}

#[tokio::test]
async fn clones_and_second_handles_are_on_the_same_air() {
    let dir = TempDir::new().unwrap();
    let (one, two) = (air(dir.path(), ""), air(dir.path(), ""));
    Suite::new(&one, &two, PATIENCE, 10, 0).run().await.unwrap();
    let memory = Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap());
    Suite::new(&memory.clone(), &memory, PATIENCE, 10, 0).run().await.unwrap();
}

#[cfg(not(feature = "bluetooth"))]
#[test]
fn bluetooth_is_said_to_be_missing() {
    use std::error::Error as _;
    let spec: RadioSpec = "bluez:hci1".parse().unwrap();
    assert!(!spec.is_simulated());
    let error = Radio::open(&spec).unwrap_err();
    assert!(matches!(error, Error::SimulatedOnly));
    assert!(error.source().is_none());
    assert_eq!(
        error.to_string(),
        "this build has only the simulated radio (air:DIR), no Bluetooth"
    );
}

#[test]
fn debug_output_shows_no_advert() {
    let shown = format!("{:?}", Outgoing::new(&[0xab; 20]));
    assert!(!shown.contains("171") && !shown.contains("ab, ab") && shown.contains("20"), "{shown}");
}

#[tokio::test]
async fn two_processes_conform() {
    let dir = TempDir::new().unwrap();
    let scanner = air(dir.path(), "");
    let advertiser = OtherProcess::start(dir.path());
    Suite::new(&scanner, &advertiser, PATIENCE, 1000, 0).run().await.unwrap();
}

#[tokio::test]
async fn many_processes_hear_and_are_heard() {
    let dir = TempDir::new().unwrap();
    let others = [(); 3].map(|()| OtherProcess::start(dir.path()));
    let radio = air(dir.path(), "");
    let mut adverts = Vec::new();
    for (other, data) in others.iter().zip(1_u8..) {
        adverts.push(other.advertise(Outgoing::new(&[data; 20])).await.unwrap());
    }
    for data in 1..=3 {
        hear(&radio, &[data; 20]).await;
    }
    let _ours = radio.advertise(Outgoing::new(&[9; 20])).await.unwrap();
    for other in &others {
        assert_eq!(other.ask(&format!("hear {}", hex(&[9; 20]))).await, "heard");
    }
}

#[tokio::test]
async fn a_killed_scanner_harms_nobody_and_is_cleaned_up() {
    let dir = TempDir::new().unwrap();
    let other = OtherProcess::start(dir.path());
    assert_eq!(other.ask("scan").await, "scanning");
    let left = sockets(dir.path());
    assert_eq!(left.len(), 1);
    drop(other);
    assert_eq!(sockets(dir.path()), left, "a kill leaves the socket behind");
    let radio = air(dir.path(), "");
    let _advert = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&radio, &[1; 20]).await;
    assert_eq!(sockets(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_advertiser_is_silent() {
    let dir = TempDir::new().unwrap();
    let other = OtherProcess::start(dir.path());
    let radio = air(dir.path(), "");
    let advert = other.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&radio, &[1; 20]).await;
    // The kill has been waited for when the drop is over.
    drop(other);
    drop(advert);
    let mut scan = radio.scan().await.unwrap();
    let _advert = radio.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    for _ in 0..5 {
        let heard = timeout(PATIENCE, scan.next()).await.unwrap().unwrap();
        assert_eq!(heard.service_data, [2; 20]);
    }
}

/// The parent's handle: an advertiser whose adverts are sent by another process.
struct OtherProcess {
    child: Child,
    input: Arc<Mutex<ChildStdin>>,
    answers: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

impl OtherProcess {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = Arc::new(Mutex::new(child.stdin.take().unwrap()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = mpsc::unbounded_channel();
        // Ends with the child, whose end closes the pipe.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // What stands before the mark is the test harness's.
                if let Some((_, answer)) = line.split_once('@') {
                    let _ = sender.send(answer.to_owned());
                }
            }
        });
        Self { child, input, answers: answers.into() }
    }

    async fn ask(&self, command: &str) -> String {
        let mut answers = self.answers.lock().await;
        tell(&self.input, command).unwrap();
        let answer = timeout(PATIENCE, answers.recv()).await;
        answer.expect("no answer in time").expect("the other process has ended")
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Advertiser for OtherProcess {
    type Advertisement = RemoteAdvertisement;

    async fn advertise(&self, advert: Outgoing<'_>) -> Result<RemoteAdvertisement, Error> {
        let (service, data) = (advert.service.short(), hex(advert.service_data));
        let answer = self.ask(&format!("advertise {service} {} {data}", advert.connectable)).await;
        match answer.split(' ').collect::<Vec<_>>()[..] {
            ["on", id] => {
                let (input, id) = (Arc::clone(&self.input), id.parse().unwrap());
                Ok(RemoteAdvertisement { input, id })
            }
            ["too-long", len, max] => {
                Err(Error::TooLong { len: len.parse().unwrap(), max: max.parse().unwrap() })
            }
            _ => panic!("{answer}"),
        }
    }
}

struct RemoteAdvertisement {
    input: Arc<Mutex<ChildStdin>>,
    id: usize,
}

impl Drop for RemoteAdvertisement {
    fn drop(&mut self) {
        // Commands are obeyed in order, so this is before any later advert. A process that was
        // killed does not listen.
        let _ = tell(&self.input, &format!("drop {}", self.id));
    }
}

impl Advertisement for RemoteAdvertisement {
    async fn stop(self) -> Result<(), Error> {
        Ok(())
    }
}

fn tell(input: &Mutex<ChildStdin>, command: &str) -> std::io::Result<()> {
    input.lock().unwrap().write_all(format!("{command}\n").as_bytes())
}

/// The other side of [`OtherProcess`]: obeys the commands on standard input until it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the second process of the tests above, started by them"]
async fn the_other_process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        // Run by hand: this is a part to play, not a check.
        return;
    };
    let radio = air(Path::new(&folder), "");
    let (mut adverts, mut scans) = (Vec::new(), Vec::new());
    let (sender, mut commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
    });
    while let Some(command) = commands.recv().await {
        match command.split(' ').collect::<Vec<_>>()[..] {
            ["advertise", service, connectable, data] => {
                let advert = (service, connectable, data);
                println!("@{}", advertise(&radio, advert, &mut adverts).await);
            }
            ["drop", id] => drop(adverts[id.parse::<usize>().unwrap()].take()),
            ["hear", data] => {
                hear(&radio, &unhex(data)).await;
                println!("@heard");
            }
            ["scan"] => {
                scans.push(radio.scan().await.unwrap());
                println!("@scanning");
            }
            _ => panic!("{command}"),
        }
    }
}

async fn advertise(
    radio: &Radio,
    (service, connectable, data): (&str, &str, &str),
    adverts: &mut Vec<Option<RadioAdvertisement>>,
) -> String {
    let service = ServiceUuid::from_short(service.parse().unwrap()).unwrap();
    let connectable = connectable.parse().unwrap();
    match radio.advertise(Outgoing { service, service_data: &unhex(data), connectable }).await {
        Ok(advert) => {
            adverts.push(Some(advert));
            format!("on {}", adverts.len() - 1)
        }
        Err(Error::TooLong { len, max }) => format!("too-long {len} {max}"),
        Err(error) => panic!("{error}"),
    }
}

fn sockets(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}
