//! Connections over real Bluetooth: L2CAP credit-based channels, through the kernel's sockets.
//!
//! Linux only, and without D-Bus but for one question: which address the adapter has. The sockets
//! come from the crate bluer, because raw ones need unsafe code. Depends on bluer, tokio, and on the
//! BlueZ backend for that address.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bluer::l2cap::{Security, SecurityLevel, Socket, SocketAddr, Stream, StreamListener};
use tokio::time::{sleep, timeout};

use super::bluez::BluezAdvertiser;
use super::link::{DYNAMIC_PSMS, Link, Linker, Listener};
use super::{Address, AddressType, Error};
use crate::hybrid::advert::Psm;

/// For a connection, from finding the peer to its first credits. A phone that advertises ten times a
/// second is found at once; the kernel alone would wait for forty seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at a socket that is being connected.
const LOOK: Duration = Duration::from_millis(20);
/// Connections that wait to be taken.
const BACKLOG: u32 = 4;

/// Makes and takes connections on a Bluetooth adapter.
#[derive(Debug, Clone)]
pub struct BluerLinker {
    adapter: BluezAdvertiser,
}

impl BluerLinker {
    /// Uses the adapter of this advertiser; asks the system nothing yet.
    #[must_use]
    pub fn new(adapter: BluezAdvertiser) -> Self {
        Self { adapter }
    }

    /// A socket at the adapter's own address, and at a free port.
    async fn socket(&self) -> Result<Socket<Stream>, Error> {
        let here = self.adapter.address().await?;
        let socket = Socket::new_stream().map_err(reason)?;
        // "Low" asks for nothing; zero is refused.
        let security = Security { level: SecurityLevel::Low, key_size: 0 };
        socket.set_security(security).map_err(reason)?;
        socket.bind(place(here, Psm(0))).map_err(reason)?;
        Ok(socket)
    }
}

impl Linker for BluerLinker {
    type Listener = BluerListener;

    async fn connect(&self, peer: Address, psm: Psm) -> Result<Link, Error> {
        let socket = self.socket().await?;
        let connecting = async {
            let stream = socket.connect(place(peer, psm)).await?;
            settle(&stream).await?;
            Ok(stream)
        };
        let connected = timeout(DEADLINE, connecting).await;
        let stream = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
        stream.map(Link::over).map_err(Error::Unreachable)
    }

    async fn listen(&self) -> Result<BluerListener, Error> {
        let socket = self.socket().await?;
        let listener = socket.listen(BACKLOG).map_err(reason)?;
        let psm = listener.as_ref().local_addr().map_err(reason)?.psm;
        match DYNAMIC_PSMS.contains(&psm) {
            true => Ok(BluerListener { listener, psm }),
            false => Err(Error::NoFreePort),
        }
    }
}

/// A listener of a [`BluerLinker`].
#[derive(Debug)]
#[must_use = "dropping a listener ends it"]
pub struct BluerListener {
    listener: StreamListener,
    psm: u16,
}

impl Listener for BluerListener {
    fn psm(&self) -> Psm {
        Psm(self.psm)
    }

    async fn accept(&mut self) -> Result<Link, Error> {
        let accepted = self.listener.accept().await;
        accepted.map(|(stream, _)| Link::over(stream)).map_err(Error::Link)
    }
}

/// Waits until the peer has said how much it takes at once, which is when the connection is there:
/// `connect` may return before, and what is written then goes out in crumbs of 16 bytes, at which
/// some phones give up.
async fn settle(stream: &Stream) -> io::Result<()> {
    loop {
        match stream.as_ref().send_mtu() {
            Err(cause) if cause.kind() == ErrorKind::NotConnected => {
                if stream.peer_addr().is_err() {
                    return Err(failure(stream).await.unwrap_or(cause));
                }
                sleep(LOOK).await;
            }
            // A system that does not tell is not waited for.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// Why a socket is not connected any more: a read says it.
async fn failure(stream: &Stream) -> Option<io::Error> {
    timeout(LOOK, stream.peek(&mut [0])).await.ok()?.err()
}

fn place(address: Address, psm: Psm) -> SocketAddr {
    let kind = match address.kind {
        AddressType::Public => bluer::AddressType::LePublic,
        AddressType::Random => bluer::AddressType::LeRandom,
    };
    SocketAddr::new(bluer::Address::new(address.bytes), kind, psm.0)
}

/// Why there is no socket.
fn reason(cause: io::Error) -> Error {
    match cause.kind() {
        ErrorKind::PermissionDenied => Error::PermissionDenied,
        // The adapter has no such address any more.
        ErrorKind::AddrNotAvailable => Error::NoAdapter,
        _ => Error::Link(cause),
    }
}
