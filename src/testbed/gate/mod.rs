//! A gate before the test bed's tunnel service: ends TLS, hands WebSocket frames on one by one, and lets
//! go wrong what a ceremony's script wants.
//!
//! ```text
//!  laptop ──TLS──┐                      ┌──> relay, plain on loopback
//!                ├──> head ──> frames ──┤
//!  phone  ──TLS──┘      └──> Trace: which faults, what was seen
//! ```
//!
//! A tunnel belongs to the ceremony whose code its name comes from, so that faults of one test do not
//! reach the others. Frames are not opened: they are encrypted end to end, which is what is tested.

mod fault;
mod frame;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::frame::Frame;
use super::KEPT_CEREMONIES;
use super::authority::Issued;
use super::trace::Trace;
use crate::hybrid::tunnel::{Endpoint, TunnelId};

pub use self::fault::{Fault, Harm, Side};

/// For a TLS handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what the relay still says to somebody who has left.
const GOODBYE: Duration = Duration::from_secs(5);
/// Longer than any head that the relay takes.
const MAX_HEAD: usize = 9 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Which ceremony a tunnel belongs to.
#[derive(Clone, Default)]
pub(super) struct Book(Arc<Mutex<Entries>>);

/// The newest last.
type Entries = VecDeque<(TunnelId, Arc<Trace>)>;

impl Book {
    /// Nothing panics while it is held.
    fn open(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, tunnel: TunnelId, trace: Arc<Trace>) {
        let mut book = self.open();
        book.push_back((tunnel, trace));
        if book.len() > KEPT_CEREMONIES {
            book.pop_front();
        }
    }

    /// The one that was entered last.
    fn find(&self, tunnel: TunnelId) -> Option<Arc<Trace>> {
        let book = self.open();
        let mut entries = book.iter().rev();
        entries.find(|(known, _)| *known == tunnel).map(|(_, trace)| Arc::clone(trace))
    }
}

/// A gate that is open; ends, with all that goes through it, when dropped.
pub(super) struct Gate {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Listens on 127.0.0.1, on a port of the system's choice, before the relay at `inner`.
    pub(super) async fn open(issued: &Issued, inner: SocketAddr, book: Book) -> io::Result<Self> {
        let acceptor = acceptor(issued).map_err(io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { port, task: tokio::spawn(serve(listener, acceptor, inner, book)) })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

fn acceptor(issued: &Issued) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(issued.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, inner: SocketAddr, book: Book) {
    // Dropped with this, and what they do ends then.
    let mut visitors = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = visitors.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (acceptor, book) = (acceptor.clone(), book.clone());
                    // A visitor that goes wrong is its own affair, and the trace has what there was.
                    visitors.spawn(async move { visit(stream, acceptor, inner, book).await.ok() });
                }
                // No descriptors are left: some are given back soon.
                Err(_) => sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn visit(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    inner: SocketAddr,
    book: Book,
) -> io::Result<()> {
    let entering = async {
        let mut outer = acceptor.accept(stream).await?;
        let head = head(&mut outer).await?;
        Ok::<_, io::Error>((outer, head))
    };
    let (mut outer, head) = timeout(PATIENCE, entering).await??;
    let tunnel = tunnel(&head).and_then(|(side, id)| Some((side, book.find(id)?)));
    if let Some(status) = tunnel.as_ref().and_then(|(side, trace)| trace.connection(*side)) {
        let refusal = format!(
            "HTTP/1.1 {status} Refused by the test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        outer.write_all(refusal.as_bytes()).await?;
        return outer.shutdown().await;
    }
    let mut relay = TcpStream::connect(inner).await?;
    relay.set_nodelay(true)?;
    relay.write_all(&head).await?;
    let (mut from_outer, mut to_outer) = split(outer);
    let (mut from_relay, mut to_relay) = relay.split();
    let up = async {
        match &tunnel {
            Some((side, trace)) => pump(&mut from_outer, &mut to_relay, *side, trace).await?,
            None => copy(&mut from_outer, &mut to_relay).await.map(|_| ())?,
        }
        // Whoever left may still be told something; a break is an error and ends all at once.
        to_relay.shutdown().await?;
        sleep(GOODBYE).await;
        Ok(())
    };
    let down = async {
        copy(&mut from_relay, &mut to_outer).await?;
        to_outer.shutdown().await
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// A request's head with nothing after it: what comes next are frames.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(END_OF_HEAD) {
        // TLS hands out of its buffer, so that single bytes cost little.
        head.push(from.read_u8().await?);
        if head.len() > MAX_HEAD {
            return Err(io::Error::other("the head of a request is too long"));
        }
    }
    Ok(head)
}

/// Whose connection to which tunnel a request asks for.
fn tunnel(head: &[u8]) -> Option<(Side, TunnelId)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let path = std::str::from_utf8(line).ok()?.split(' ').nth(1)?;
    match Endpoint::parse(path).ok()? {
        Endpoint::New(id) => Some((Side::Phone, id)),
        Endpoint::Connect(_, id) => Some((Side::Laptop, id)),
        _ => None,
    }
}

/// Hands frames on until the sender ends, or a fault ends both.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: Side,
    trace: &Trace,
) -> io::Result<()> {
    while let Some(mut frame) = Frame::read(from).await? {
        let harm = if frame.is_data() { trace.frame(side) } else { None };
        match harm {
            Some(Harm::Drop) => continue,
            Some(Harm::Delay(delay)) => sleep(delay).await,
            Some(Harm::Corrupt) => frame.corrupt(trace.seed()),
            Some(Harm::Close) | None => {}
        }
        to.write_all(frame.bytes()).await?;
        if harm == Some(Harm::Close) {
            return Err(io::Error::other("closed by the test"));
        }
    }
    Ok(())
}
