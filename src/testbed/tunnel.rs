//! The bench's tunnel service, and what lets browsers and programs find and believe it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Error;
use super::authority;
use super::gate::{Book, Gate};
use crate::authenticator::Random;
use crate::hybrid::tunnel::ServiceUrl;
use crate::relay::{self, Relay};

/// The names of the public tunnel services, which are the only ones that stock browsers know.
const NAMES: [&str; 2] = ["cable.ua5v.com", "cable.auth.com"];
/// Longer than a relay takes for its goodbyes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay that runs; ends when dropped.
pub(super) struct Tunnel {
    gate: Gate,
    book: Book,
    /// SHA-256 of its public key, base64.
    pin: String,
    authority: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tunnel {
    /// Issues its certificate, with all files in `folder`, and serves on a port of the system's choice.
    pub(super) async fn start(folder: &Path, rng: Random<'_>) -> Result<Self, Error> {
        let issued = authority::issue(&[&NAMES[..], &["localhost"]].concat(), rng);
        let authority = folder.join("ca.pem");
        std::fs::write(&authority, &issued.authority).map_err(Error::Folder)?;
        // Plain, because the gate ends TLS.
        let relay = Relay::bind(relay::Config::new(([127, 0, 0, 1], 0).into())).await?;
        let book = Book::default();
        let gate = Gate::open(&issued, relay.local_addr(), book.clone()).await;
        let gate = gate.map_err(Error::Folder)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(relay.serve(async move {
            // A sender that ends without a word is an end too.
            let _either = stopped.await;
        }));
        Ok(Self { gate, book, pin: issued.pin, authority, stop: Some(stop), task })
    }

    pub(super) fn address(&self) -> String {
        format!("wss://localhost:{}", self.gate.port())
    }

    pub(super) fn url(&self) -> Result<ServiceUrl, Error> {
        // A number of 16 bits always makes a good one.
        self.address().parse().map_err(|error| Error::Folder(io::Error::other(error)))
    }

    /// Which ceremony a tunnel belongs to.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn authority(&self) -> &Path {
        &self.authority
    }

    /// Where it is, that its certificate is fine, and that nothing else is on the net.
    pub(super) fn browser_arguments(&self) -> [String; 2] {
        let here =
            NAMES.map(|name| format!("MAP {name} 127.0.0.1:{}", self.gate.port())).join(", ");
        let rest = "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1";
        [
            format!("--host-resolver-rules={here}, {rest}"),
            format!("--ignore-certificate-errors-spki-list={}", self.pin),
        ]
    }

    /// Ends it in order, as far as ten seconds suffice.
    pub(super) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // One that ended by itself needs no word.
            let _over = stop.send(());
        }
        let _late = timeout(PATIENCE, &mut self.task).await;
    }
}
