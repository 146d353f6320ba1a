//! The place in a driver for the one channel of its transaction, which is empty at first and at the
//! end.
//!
//! Depends on the trait of its parent.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use super::{DataChannel, Error};

/// A channel, or none.
#[derive(Debug)]
pub(crate) struct Slot<C>(Option<Box<C>>);

impl<C: DataChannel> Slot<C> {
    /// No channel yet.
    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    /// Puts a channel in; one that was there is dropped, which breaks it.
    pub(crate) fn fill(&mut self, channel: Box<C>) {
        self.0 = Some(channel);
    }

    /// Drops the channel, after an error ended it.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Whether there is one.
    pub(crate) fn is_filled(&self) -> bool {
        self.0.is_some()
    }

    /// Sends within `deadline`. A message that cannot be sent is a channel that broke, and its
    /// reader will say so; without a channel there is nobody to tell.
    pub(crate) async fn send(&mut self, message: &[u8], deadline: Duration) {
        if let Some(channel) = &mut self.0
            && !matches!(timeout(deadline, channel.send(message)).await, Ok(Ok(())))
        {
            tracing::debug!("the channel did not take a message");
        }
    }

    /// Waits for the next message, for ever when there is no channel. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Result<Vec<u8>, Error> {
        match &mut self.0 {
            Some(channel) => channel.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Takes leave in order and empties the slot.
    pub(crate) async fn close(&mut self) {
        if let Some(mut channel) = self.0.take() {
            channel.close().await;
        }
    }
}

/// A future that a driver keeps while it waits for other things too.
pub(crate) type Kept<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Waits for a kept future, for ever when there is none. Cancel safe; empty the place afterwards.
pub(crate) async fn kept<T>(future: &mut Option<Kept<T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
