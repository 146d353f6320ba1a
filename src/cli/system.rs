//! The one place where the command line touches clock, random source and signals.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};

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
    let [interrupt, terminate] = both().map(|signal| received(signal, 1));
    either(interrupt, terminate)
}

/// Two ends: a first one for a system that asks the program to end when it can, and a second one for a
/// user who presses Ctrl-C, or a system that asks again. As [`interrupted`] otherwise.
pub(crate) fn asked_to_end() -> (impl Future<Output = ()> + Send, impl Future<Output = ()> + Send) {
    let [_, terminate] = both();
    let [interrupt, again] = both();
    (received(terminate, 1), either(received(interrupt, 1), received(again, 2)))
}

/// Ctrl-C, and what the system sends. One that cannot be listened for keeps its usual effect, which ends
/// the program too.
fn both() -> [Option<Signal>; 2] {
    [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok())
}

async fn received(signal: Option<Signal>, times: u32) {
    let Some(mut signal) = signal else { return std::future::pending().await };
    for _ in 0..times {
        signal.recv().await;
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}
