//! The one place where the command line touches clock, random source and signals.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

/// The operating system's random source.
#[allow(clippy::disallowed_types, reason = "this is where randomness enters the program")]
pub(crate) fn random() -> rand_core::OsRng {
    rand_core::OsRng
}

/// Unix time in seconds; 0 on a machine whose clock stands before 1970.
#[allow(clippy::disallowed_methods, reason = "this is where time enters the program")]
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Resolves when the user presses Ctrl-C or the system asks the program to end.
///
/// Signals count from this call on, not from the first poll: call it before anything is printed
/// that somebody may answer with a signal. Needs a tokio runtime.
pub(crate) fn interrupted() -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    // A signal that cannot be listened for keeps its usual effect, which ends the program too.
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
    let received = |signal: Option<Signal>| async {
        match signal {
            Some(mut signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    };
    let [interrupt, terminate] = signals.map(received);
    async {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    }
}
