//! The least that can stand between two sockets: after the upgrades, bytes are copied from one to the
//! other as they come.
//!
//! `cabled bench relay` drives it as it drives a relay, because it speaks the same paths and answers with
//! the same heads. It reads no frames, undoes no masks, limits and counts nothing, acknowledges as the
//! kernel likes; whoever reads behind it gets frames that are still masked.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The same as the relay's, so that the kernel is asked as often.
const BUFFER_LEN: usize = 4096;
const MAX_HEAD_LEN: usize = 8192;
const DEADLINE: Duration = Duration::from_secs(10);
const WAITING: Duration = Duration::from_secs(120);

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<TcpStream>>>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    let waiting = Waiting::default();
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(serve(socket, waiting.clone()));
    }
}

/// Whatever goes wrong ends this connection and no other.
async fn serve(mut socket: TcpStream, waiting: Waiting) {
    let _ = socket.set_nodelay(true);
    let Ok(Some((path, key))) = timeout(DEADLINE, head(&mut socket)).await else { return };
    let id = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let lock = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
    if path.starts_with("/cable/new/") {
        let (sender, receiver) = oneshot::channel();
        lock().insert(id.clone(), sender);
        if answer(&mut socket, &key).await.is_ok()
            && let Ok(Ok(mut other)) = timeout(WAITING, receiver).await
        {
            let _ = copy_bidirectional_with_sizes(&mut socket, &mut other, BUFFER_LEN, BUFFER_LEN).await;
        }
        lock().remove(&id);
    } else {
        let other = lock().remove(&id);
        if let Some(other) = other
            && answer(&mut socket, &key).await.is_ok()
        {
            let _ = other.send(socket);
        }
    }
}

/// Path and key of a request; `None` if it is none.
async fn head(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD_LEN || socket.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?.to_owned();
    Some((path, key))
}

async fn answer(socket: &mut TcpStream, key: &str) -> io::Result<()> {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: fido.cable\r\n\
         X-caBLE-Routing-ID: 000000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await
}
