//! Connections of the mixed load: requests as they should be and as they should not be, frames, and ends of
//! every kind.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand_core::RngCore as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::super::wire::{BINARY, CLOSE, append, code, parse};
use super::fault::Fault;
use super::script::{PING, Script};
use crate::cli::system;
use crate::hybrid::tunnel::{Endpoint, ROUTING_ID_HEADER, RoutingId, TunnelId};

const PONG: u8 = 0x8a;
const READ_LEN: usize = 16 * 1024;
/// Longer than any head or page that is read whole.
const MAX_HEAD_LEN: usize = 64 * 1024;

/// The relay that is driven.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) address: SocketAddr,
    pub(super) host: String,
    pub(super) deadline: Duration,
}

/// What a request was answered with.
#[derive(Debug)]
pub(super) enum Answer {
    Upgraded(Option<RoutingId>),
    /// Status, and the seconds of `Retry-After`, or 0.
    Refused(u16, u16),
}

/// What a side of a tunnel was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The message that was due.
    Message,
    Close(u16),
}

/// A connection and what has been read from it.
#[derive(Debug)]
pub(super) struct Link {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Service {
    pub(super) async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        timeout(self.deadline, step).await.unwrap_or(Err(Fault::Late))
    }

    pub(super) async fn connect(&self, from: Ipv4Addr) -> Result<Link, Fault> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let socket = socket.connect(self.address).await?;
        socket.set_nodelay(true)?;
        Ok(Link { socket, read: Vec::new() })
    }

    /// A request for an upgrade that can be served.
    pub(super) fn request(&self, endpoint: &Endpoint) -> String {
        self.odd_request("GET", &endpoint.path(), "13", "fido.cable")
    }

    pub(super) fn odd_request(
        &self,
        method: &str,
        path: &str,
        version: &str,
        protocol: &str,
    ) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n\r\n",
            self.host
        )
    }

    /// Sends a head and reads what is answered.
    pub(super) async fn ask(&self, from: Ipv4Addr, head: &str) -> Result<(Link, Answer), Fault> {
        let mut link = self.connect(from).await?;
        link.send(head.as_bytes()).await?;
        let answer = link.answer().await?;
        Ok((link, answer))
    }

    /// The whole answer to a plain GET.
    pub(super) async fn page(&self, from: Ipv4Addr, path: &str) -> Result<String, Fault> {
        let mut link = self.connect(from).await?;
        link.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).as_bytes()).await?;
        link.socket.take(MAX_HEAD_LEN as u64).read_to_end(&mut link.read).await?;
        Ok(String::from_utf8_lossy(&link.read).into_owned())
    }
}

/// An id that no tunnel has.
pub(super) fn fresh_id() -> TunnelId {
    let mut id = [0; 16];
    system::random().fill_bytes(&mut id);
    TunnelId::new(id)
}

impl Answer {
    fn parse(head: &str) -> Option<Self> {
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let value = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.trim())
        };
        Some(match status {
            101 => Self::Upgraded(value(ROUTING_ID_HEADER).and_then(|id| id.parse().ok())),
            _ => {
                let retry = value("Retry-After").and_then(|seconds| seconds.parse().ok());
                Self::Refused(status, retry.unwrap_or(0))
            }
        })
    }

    /// It has to be a refusal with this status.
    pub(super) fn refused_with(&self, status: u16, due: &'static str) -> Result<(), Fault> {
        match self {
            Self::Refused(came, _) if *came == status => Ok(()),
            other => Err(Fault::Answer { due, came: format!("{other:?}") }),
        }
    }
}

impl Link {
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        Ok(self.socket.write_all(bytes).await?)
    }

    pub(super) async fn answer(&mut self) -> Result<Answer, Fault> {
        loop {
            let end = self.read.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                let head = String::from_utf8_lossy(&head);
                return Answer::parse(&head).ok_or_else(|| Fault::Answer {
                    due: "HTTP",
                    came: head.lines().next().unwrap_or_default().to_owned(),
                });
            }
            more(&mut self.socket, &mut self.read).await?;
        }
    }

    pub(super) fn halves(&mut self) -> (Reader<'_>, WriteHalf<'_>) {
        let (half, writer) = self.socket.split();
        (Reader { half, read: &mut self.read }, writer)
    }

    /// Says no more, and still reads.
    pub(super) async fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.socket.shutdown().await?)
    }

    /// Resets the connection.
    pub(super) fn reset(self) -> Result<(), Fault> {
        Ok(self.socket.set_zero_linger()?)
    }

    /// Sends a goodbye, which the relay returns.
    pub(super) async fn goodbye(mut self) -> Result<(), Fault> {
        let mut wire = Vec::new();
        append(&mut wire, CLOSE, &1000_u16.to_be_bytes());
        self.send(&wire).await?;
        self.closes(1000).await
    }

    /// Nothing comes but a close frame with this code.
    pub(super) async fn closes(&mut self, due: u16) -> Result<(), Fault> {
        let came = self.halves().0.close().await?;
        if came == due { Ok(()) } else { Err(Fault::Code { due, came }) }
    }

    /// Until the relay ends the connection, whatever it says before.
    pub(super) async fn until_gone(mut self) -> Vec<u8> {
        while more(&mut self.socket, &mut self.read).await.is_ok() {
            if self.read.len() > MAX_HEAD_LEN {
                break;
            }
        }
        self.read
    }
}

/// The reading half of a connection.
pub(super) struct Reader<'a> {
    half: ReadHalf<'a>,
    read: &'a mut Vec<u8>,
}

impl Reader<'_> {
    /// The next message, which has to be the one that is due, or the end. May be dropped and asked again.
    pub(super) async fn hear(&mut self, script: &Script, due: u32) -> Result<Heard, Fault> {
        let (opcode, payload) = self.frame().await?;
        match opcode {
            BINARY => script.judge(due, &payload).map(|()| Heard::Message),
            CLOSE => Ok(Heard::Close(code(&payload))),
            other => Err(Fault::Frame(other)),
        }
    }

    /// How many messages come before the end, and its code.
    pub(super) async fn rest(&mut self, script: &Script) -> Result<(u32, u16), Fault> {
        let mut due = 0;
        loop {
            match self.hear(script, due).await? {
                Heard::Message => due += 1,
                Heard::Close(code) => return Ok((due, code)),
            }
        }
    }

    /// The code of a close frame, before which no message comes.
    pub(super) async fn close(&mut self) -> Result<u16, Fault> {
        match self.frame().await? {
            (CLOSE, payload) => Ok(code(&payload)),
            (other, _) => Err(Fault::Frame(other)),
        }
    }

    /// The next frame but for answers to pings.
    async fn frame(&mut self) -> Result<(u8, Vec<u8>), Fault> {
        loop {
            match parse(self.read) {
                Some(((PONG, payload), used)) if payload == PING.1 => drop(self.read.drain(..used)),
                Some((frame, used)) => {
                    self.read.drain(..used);
                    return Ok(frame);
                }
                None => more(&mut self.half, self.read).await?,
            }
        }
    }
}

/// Reads what there is; an end is an error.
async fn more(socket: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Result<(), Fault> {
    read.reserve(READ_LEN);
    match socket.read_buf(read).await? {
        0 => Err(Fault::Lost(std::io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}
