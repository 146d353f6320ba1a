//! A channel inside one process, for tests and embedders.
//!
//! Depends on its parent. Behaves as a WebSocket through the relay does: the same limits, close
//! code 1000 for a goodbye, 1001 for an end that was dropped.

use tokio::sync::mpsc;

use super::{DataChannel, Error, check_len};

/// Messages that one direction holds before its sender waits.
const DEPTH: usize = 4;

/// One end of a pair made by [`pair`].
#[derive(Debug)]
pub struct MemoryChannel {
    outgoing: Option<mpsc::Sender<Item>>,
    incoming: mpsc::Receiver<Item>,
    ended: Option<u16>,
}

#[derive(Debug)]
enum Item {
    Message(Vec<u8>),
    Goodbye,
}

/// Makes two connected ends.
#[must_use]
pub fn pair() -> (MemoryChannel, MemoryChannel) {
    let (left, from_left) = mpsc::channel(DEPTH);
    let (right, from_right) = mpsc::channel(DEPTH);
    (MemoryChannel::new(left, from_right), MemoryChannel::new(right, from_left))
}

impl MemoryChannel {
    fn new(outgoing: mpsc::Sender<Item>, incoming: mpsc::Receiver<Item>) -> Self {
        Self { outgoing: Some(outgoing), incoming, ended: None }
    }

    fn closed(&self) -> Error {
        Error::Closed { code: self.ended }
    }

    fn end(&mut self, code: u16) -> Error {
        self.ended = Some(code);
        self.outgoing = None;
        self.closed()
    }
}

impl DataChannel for MemoryChannel {
    async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        check_len(message)?;
        let outgoing = self.outgoing.as_ref().ok_or_else(|| self.closed())?;
        let sent = outgoing.send(Item::Message(message.to_vec())).await;
        sent.map_err(|_| Error::Closed { code: Some(1001) })
    }

    async fn recv(&mut self) -> Result<Vec<u8>, Error> {
        if self.outgoing.is_none() {
            return Err(self.closed());
        }
        match self.incoming.recv().await {
            Some(Item::Message(message)) => Ok(message),
            Some(Item::Goodbye) => Err(self.end(1000)),
            None => Err(self.end(1001)),
        }
    }

    async fn close(&mut self) {
        self.incoming.close();
        self.ended.get_or_insert(1000);
        if let Some(outgoing) = self.outgoing.take() {
            // A full queue: the peer reads the end of the channel in place of the goodbye.
            let _ = outgoing.try_send(Item::Goodbye);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::run(async || Ok(pair())).await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_end_is_no_goodbye() {
        let (mut left, right) = pair();
        drop(right);
        assert!(matches!(left.recv().await, Err(Error::Closed { code: Some(1001) })));
        assert!(matches!(left.send(b"x").await, Err(Error::Closed { code: Some(1001) })));
    }
}
