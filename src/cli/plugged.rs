//! A virtual security key as a task of the program, whichever role answers behind it.

use std::future::Future;

use tokio::task::JoinHandle;

use super::advice;
use super::failure::{Failure, Status};
use crate::uhid::Error;

/// A key that is plugged in until it is dropped.
pub(super) struct Key(JoinHandle<Failure>);

impl Key {
    /// Serves programs in a task; needs a tokio runtime.
    pub(super) fn new(serving: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self(tokio::spawn(async {
            match serving.await {
                Ok(()) => Failure::new(Status::Failure, "the virtual key ended", "run it again"),
                Err(error) => advice::uhid(&error),
            }
        }))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why the key is gone; without one, never.
pub(super) async fn ended(key: Option<Key>) -> Failure {
    let Some(mut key) = key else { return std::future::pending().await };
    let hint = "run it again with -v";
    (&mut key.0).await.unwrap_or_else(|error| Failure::because(Status::Failure, &error, hint))
}
