//! The one place where the command line touches clock, random source and signals.

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
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    tokio::select! {
        () = terminate => {}
        () = interrupt => {}
    }
}
