//! Something between a side and its relay: cuts the connection after so many messages, or is the
//! HTTP proxy that all has to go through.
//!
//! It knows just enough of WebSockets to count whole frames, and of HTTP to read CONNECT.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cabled::hybrid::tunnel::ServiceUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Which way the messages go that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToRelay,
    FromRelay,
}

/// Takes one connection, and cuts it in both directions after `messages` in the given one.
pub(crate) async fn cutting(relay: SocketAddr, way: Way, messages: usize) -> ServiceUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (inside, _) = listener.accept().await.unwrap();
        let outside = TcpStream::connect(relay).await.unwrap();
        let (from_side, to_side) = inside.into_split();
        let (from_relay, to_relay) = outside.into_split();
        let limit = |direction| if direction == way { messages } else { usize::MAX };
        // Whichever ends first takes the other one, and both sockets, with it.
        tokio::select! {
            () = carry(from_side, to_relay, limit(Way::ToRelay), way == Way::ToRelay) => {}
            () = carry(from_relay, to_side, limit(Way::FromRelay), false) => {}
        }
    });
    format!("ws://{address}").parse().unwrap()
}

/// Carries an HTTP head, then frames. The request must not be cut before its answer came, so the
/// limit of nothing at all waits in that direction for the first frame, and does not pass it on.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, frames: usize, request: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = from.read_u8().await else { return };
        head.push(byte);
    }
    if to.write_all(&head).await.is_err() {
        return;
    }
    for _ in 0..frames {
        let Some(frame) = frame(&mut from).await else { return };
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
    if request && frames == 0 {
        let _withheld = frame(&mut from).await;
    }
}

/// One frame, whole; `None` at the end of the stream.
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame).await.ok()?;
    let masked = usize::from(frame[1] >> 7) * 4;
    let (extra, short) = match frame[1] & 0x7f {
        126 => (2, None),
        127 => (8, None),
        length => (0, Some(usize::from(length))),
    };
    let mut long = vec![0; extra];
    from.read_exact(&mut long).await.ok()?;
    let length =
        short.unwrap_or_else(|| long.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)));
    let mut rest = vec![0; masked + length];
    from.read_exact(&mut rest).await.ok()?;
    frame.extend(long);
    frame.extend(rest);
    Some(frame)
}

/// An HTTP proxy that sends everything to one relay, whatever name it is asked for, and keeps what
/// it was asked.
pub(crate) struct HttpProxy {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    listens: JoinHandle<()>,
}

impl HttpProxy {
    pub(crate) async fn to(relay: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let log = Arc::clone(&asked);
        let listens = tokio::spawn(async move {
            while let Ok((inside, _)) = listener.accept().await {
                tokio::spawn(connect(inside, relay, Arc::clone(&log)));
            }
        });
        Self { address, asked, listens }
    }

    /// Takes no more connections, and gives what was asked for those that came.
    pub(crate) fn stop(self) -> Vec<String> {
        self.listens.abort();
        self.asked.lock().unwrap().clone()
    }
}

async fn connect(mut inside: TcpStream, relay: SocketAddr, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = inside.read_u8().await else { return };
        head.push(byte);
    }
    log.lock().unwrap().push(String::from_utf8(head).unwrap());
    let mut outside = TcpStream::connect(relay).await.unwrap();
    inside.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // Either end may be gone without a goodbye.
    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
}
