//! Certificate and key that are read again when their files change.
//!
//! Depends on the file system and tokio. A pair that cannot be used changes nothing: the last good one
//! stays. Connections that there are keep what they began with.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsAcceptor;

use super::metrics::Metrics;
use super::tls::{Pair, TlsError, TlsFiles};
use super::validity::Validity;

/// What can be seen of a file without reading it: inode, time of change in seconds and nanoseconds,
/// length. A link counts as what it leads to.
type Stamp = (u64, i64, i64, u64);

/// The pair in use, and the files that it was read from.
pub(super) struct Reloading {
    files: TlsFiles,
    /// None as long as there is none yet.
    current: Mutex<Option<Pair>>,
    /// Of the files when they were last read, also if in vain.
    seen: Mutex<[Option<Stamp>; 2]>,
}

impl Reloading {
    /// Reads the files for the first time.
    pub(super) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        // Before the files, so that a change meanwhile is seen the next time.
        let seen = Mutex::new(stamps(&files));
        let current = Mutex::new(Some(Pair::read(&files)?));
        Ok(Self { files, current, seen })
    }

    /// The same, for files that may still have to come.
    pub(super) fn awaiting(files: TlsFiles) -> Self {
        let seen = Mutex::new(stamps(&files));
        let current = match Pair::read(&files) {
            Ok(pair) => Some(pair),
            Err(TlsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "the stored certificate is not used");
                None
            }
        };
        Self { files, current: Mutex::new(current), seen }
    }

    fn current(&self) -> MutexGuard<'_, Option<Pair>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new connection is to use.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.current().as_ref().map(|pair| pair.acceptor.clone())
    }

    /// When the certificate in use is valid.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.current().as_ref().and_then(|pair| pair.validity)
    }

    /// Looks every so often; never ends.
    pub(super) async fn watch(self: Arc<Self>, every: Duration, metrics: Arc<impl AsRef<Metrics>>) {
        // An interval of nothing would panic.
        let every = every.max(Duration::from_millis(1));
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh((*metrics).as_ref()).await;
        }
    }

    /// Looks now.
    pub(super) async fn refresh(self: &Arc<Self>, metrics: &Metrics) {
        let files = self.clone();
        let looked = tokio::task::spawn_blocking(move || files.look()).await;
        match looked {
            Ok(None) => {}
            Ok(Some(Ok(()))) => {
                metrics.reloaded(true);
                tracing::info!("certificate and key were read again");
            }
            Ok(Some(Err(error))) => {
                metrics.reloaded(false);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the old certificate stays in use");
            }
            Err(_) => tracing::error!("reading the certificate ended by a defect of the relay"),
        }
    }

    /// Reads the files again if they have changed.
    fn look(&self) -> Option<Result<(), TlsError>> {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        let loaded = Pair::read(&self.files).map(|pair| *self.current() = Some(pair));
        Some(loaded)
    }
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let stamp = |found: std::fs::Metadata| {
            (found.ino(), found.mtime(), found.mtime_nsec(), found.len())
        };
        let found: io::Result<Stamp> = std::fs::metadata(path).map(stamp);
        found.ok()
    })
}
