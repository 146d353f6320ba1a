//! The drivers over pipes: one machine's memory radio, the other one's Unix socket, and between them the
//! conformance suite of all radios.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ephemeral, key};
use crate::ble::conformance::Suite;
use crate::ble::memory::MemoryRadio;
use crate::ble::remote::{Error, RemoteRadio, Shared, Trouble, receive, share};
use crate::ble::{
    self, Advertiser as _, Conditions, Outgoing, Radio, RadioSpec, Scan as _, Scanner, Sighting,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The machine without a radio: its socket, and a way to make it receive.
struct There {
    _folder: TempDir,
    socket: PathBuf,
}

/// A pipe between the machines, and what runs at both ends of it.
struct Line {
    here: JoinHandle<Error>,
    there: JoinHandle<Error>,
    told: mpsc::UnboundedReceiver<String>,
}

impl There {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("radio.sock");
        Self { _folder: folder, socket }
    }

    fn radio(&self) -> RemoteRadio {
        RemoteRadio::new(self.socket.clone())
    }

    /// Begins to share a radio with it.
    fn share<S: Scanner + 'static>(&self, radio: S, simulated: bool) -> Line {
        let (a, b) = tokio::io::duplex(1024);
        let (listeners, socket) = (accept(&self.socket), self.socket.clone());
        let there = tokio::spawn(async move {
            let (read, write) = tokio::io::split(a);
            let error = receive((read, write), listeners, key(7), ephemeral(2), || ()).await;
            std::fs::remove_file(socket).unwrap();
            error
        });
        let (tell, told) = mpsc::unbounded_channel();
        let here = tokio::spawn(async move {
            let (read, write) = tokio::io::split(b);
            let told = move |shared: Shared| drop(tell.send(format!("{shared:?}")));
            share((read, write), (&radio, simulated), vec![key(7)], ephemeral(1), told).await
        });
        Line { here, there, told }
    }
}

fn accept(socket: &Path) -> mpsc::Receiver<UnixStream> {
    let listener = UnixListener::bind(socket).unwrap();
    let (admit, listeners) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if admit.send(stream).await.is_err() {
                return;
            }
        }
    });
    listeners
}

impl Line {
    async fn told(&mut self) -> String {
        timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap()
    }

    /// The machine with the radio is gone, as if it was killed.
    async fn cut(self) {
        self.here.abort();
        let error = timeout(PATIENCE, self.there).await.unwrap().unwrap();
        assert!(matches!(error, Error::Closed), "{error:?}");
    }
}

fn memory() -> MemoryRadio {
    MemoryRadio::new(Conditions::default()).unwrap()
}

async fn hear(scan: &mut impl ble::Scan, data: &[u8]) -> Sighting {
    let search = async {
        loop {
            let sighting = scan.next().await.unwrap();
            if sighting.service_data == data {
                return sighting;
            }
        }
    };
    timeout(PATIENCE, search).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_radio_conforms() {
    let (there, air) = (There::new(), memory());
    let mut line = there.share(air.clone(), false);
    assert!(line.told().await.starts_with("Paired"));
    Suite::new(&there.radio(), &air, PATIENCE, 100, 0).run().await.unwrap();
    line.cut().await;
}

#[tokio::test]
async fn the_radio_rests_when_nobody_listens() {
    let (there, air) = (There::new(), memory());
    let mut line = there.share(air, false);
    assert!(line.told().await.starts_with("Paired"));
    for _ in 0..3 {
        let one = there.radio().scan().await.unwrap();
        assert_eq!(line.told().await, "Listening");
        let two = there.radio().scan().await.unwrap();
        drop(one);
        let three = there.radio().scan().await.unwrap();
        drop((two, three));
        assert_eq!(line.told().await, "Idle");
    }
}

#[tokio::test]
async fn nobody_shares_and_then_somebody_does_not_any_more() {
    let there = There::new();
    let absent = there.radio().scan().await.unwrap_err();
    assert!(matches!(absent, ble::Error::NobodyShares(_)), "{absent:?}");
    let line = there.share(memory(), false);
    let _scan = there.radio().scan().await.unwrap();
    line.cut().await;
    let absent = there.radio().scan().await.unwrap_err();
    assert!(matches!(absent, ble::Error::NobodyShares(_)), "{absent:?}");
}

#[tokio::test]
async fn a_scan_outlives_the_line() {
    let (there, air) = (There::new(), memory());
    let line = there.share(air.clone(), false);
    let mut scan = there.radio().scan().await.unwrap();
    let _advert = air.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    hear(&mut scan, &[1; 20]).await;
    line.cut().await;
    let silence = timeout(Duration::from_millis(600), scan.next()).await;
    assert!(!matches!(silence, Ok(Err(_))), "it waits");
    let _again = there.share(air.clone(), false);
    let _other = air.advertise(Outgoing::new(&[2; 20])).await.unwrap();
    hear(&mut scan, &[2; 20]).await;
}

/// A radio that is switched off, and says so to whoever wants to use it.
struct Off;

impl Scanner for Off {
    type Scan = crate::ble::memory::MemoryScan;

    async fn scan(&self) -> Result<Self::Scan, ble::Error> {
        Err(ble::Error::PoweredOff)
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_radio_is_told_where_it_is_wanted() {
    let there = There::new();
    let mut line = there.share(Off, false);
    assert!(line.told().await.starts_with("Paired"));
    for _ in 0..2 {
        let error = there.radio().scan().await.unwrap_err();
        assert!(matches!(error, ble::Error::ShareFailed(Trouble::PoweredOff)), "{error:?}");
        assert_eq!(line.told().await, "Failed(PoweredOff)");
    }
}

#[tokio::test]
async fn a_simulated_radio_is_refused_unless_it_may_be_one() {
    let (there, air) = (There::new(), memory());
    let _line = there.share(air.clone(), true);
    let error = there.radio().scan().await.unwrap_err();
    assert!(matches!(error, ble::Error::SimulatedShare), "{error:?}");
    let mut scan = there.radio().or_simulated(true).scan().await.unwrap();
    let _advert = air.advertise(Outgoing::new(&[1; 20])).await.unwrap();
    assert_eq!(hear(&mut scan, &[1; 20]).await.rssi, None);
}

#[tokio::test]
async fn a_program_that_does_not_read_harms_nobody() {
    let air = MemoryRadio::new(Conditions { foreign: 1000, ..Conditions::default() }).unwrap();
    let there = There::new();
    let _line = there.share(air.clone(), false);
    let _asleep = there.radio().scan().await.unwrap();
    let mut scan = there.radio().scan().await.unwrap();
    for _ in 0..1000 {
        timeout(PATIENCE, scan.next()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_shared_radio_neither_sends_nor_connects() {
    let spec: RadioSpec = "shared:/nonexistent/radio.sock".parse().unwrap();
    let radio = Radio::open(&spec).unwrap();
    assert!(!radio.is_simulated() && !radio.can_link());
    assert_eq!(radio.proximity().name(), "shared");
    let error = radio.advertise(Outgoing::new(&[1; 20])).await.unwrap_err();
    assert!(matches!(error, ble::Error::SharedOnlyHears), "{error:?}");
    let error = ble::Linker::listen(&radio).await.unwrap_err();
    assert!(matches!(error, ble::Error::SharedOnlyHears), "{error:?}");
    let error = radio.scan().await.unwrap_err();
    assert!(matches!(error, ble::Error::NobodyShares(_)), "{error:?}");
    let nowhere = Radio::open(&"shared".parse().unwrap()).unwrap_err();
    assert!(matches!(nowhere, ble::Error::NoShareSocket), "{nowhere:?}");
}
