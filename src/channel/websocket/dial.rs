//! From a tunnel service's URL to a connected byte stream: addresses, TCP, TLS.
//!
//! Depends on the errors and the TLS configuration of the channel layer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use crate::channel::{Error, tls};
use crate::hybrid::tunnel::ServiceUrl;

/// How long one address has before the next is tried beside it (RFC 8305 recommends this).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A connected socket, with or without TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Connects to `service` without TLS; other machines are refused unless `allow_remote`.
pub(super) async fn plain(service: &ServiceUrl, allow_remote: bool) -> Result<TcpStream, Error> {
    let addresses = resolve(service).await?;
    if !allow_remote && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(Error::Plain { service: service.authority() });
    }
    connect(service, addresses).await
}

/// Connects to `service`, whichever machine that is, and leaves TLS to [`secured`].
pub(super) async fn any(service: &ServiceUrl) -> Result<Box<dyn Socket>, Error> {
    Ok(Box::new(plain(service, true).await?))
}

/// Connects to the first address of `service` of the family of `from`, and from that address.
pub(super) async fn from(service: &ServiceUrl, from: IpAddr) -> Result<TcpStream, Error> {
    let failed = |source| Error::Connect { service: service.authority(), source };
    let addresses = resolve(service).await?;
    let same = addresses.into_iter().find(|address| address.is_ipv4() == from.is_ipv4());
    let address = same.ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
    let socket = match from {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(failed)?;
    socket.bind((from, 0).into()).map_err(failed)?;
    let socket = socket.connect(address).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(Error::Lost)?;
    Ok(socket)
}

/// Puts TLS with `service` onto a connection to it.
pub(super) async fn secured(
    service: &ServiceUrl,
    config: Arc<ClientConfig>,
    socket: Box<dyn Socket>,
) -> Result<Box<dyn Socket>, Error> {
    let failed = |source| Error::Tls { service: service.authority(), source };
    let name = ServerName::try_from(service.host().to_owned())
        .map_err(|_| failed(tls::Error::HostName))?;
    match TlsConnector::from(config).connect(name, socket).await {
        Ok(socket) => Ok(Box::new(socket)),
        Err(error) => Err(tls::classify(error).map_or_else(Error::Lost, failed)),
    }
}

async fn resolve(service: &ServiceUrl) -> Result<Vec<SocketAddr>, Error> {
    let failed = |source| Error::Resolve { host: service.host().to_owned(), source };
    let found = tokio::net::lookup_host((service.host(), service.port())).await.map_err(failed)?;
    let addresses: Vec<_> = found.collect();
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(alternate(addresses))
}

/// Keeps the resolver's order within each family, and changes family from one to the next.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut mixed = Vec::new();
    for address in first {
        mixed.push(address);
        mixed.extend(second.next());
    }
    mixed.extend(second);
    mixed
}

/// The first address that answers wins; one that fails makes place for the next at once.
async fn connect(service: &ServiceUrl, addresses: Vec<SocketAddr>) -> Result<TcpStream, Error> {
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    loop {
        attempts.extend(addresses.next().map(TcpStream::connect));
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(socket)) => {
                    // Handshake messages are small and come in pairs: never wait to fill a segment.
                    socket.set_nodelay(true).map_err(Error::Lost)?;
                    return Ok(socket);
                }
                Some(Err(error)) => last = error,
                None => {
                    return Err(Error::Connect { service: service.authority(), source: last });
                }
            },
            () = sleep(NEXT_ADDRESS_AFTER), if addresses.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate() {
        let parse = |text: &[&str]| -> Vec<SocketAddr> {
            text.iter().map(|address| address.parse().unwrap()).collect()
        };
        let given = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"]);
        let mixed = parse(&["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]);
        assert_eq!(alternate(given), mixed);
        let given = parse(&["1.0.0.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(alternate(given.clone()), given);
    }

    #[tokio::test]
    async fn a_dead_address_makes_place_for_a_living_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![dead.local_addr().unwrap(), listener.local_addr().unwrap()];
        drop(dead);
        let service = "ws://localhost".parse().unwrap();
        let socket = connect(&service, addresses).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(socket.nodelay().unwrap());
    }
}
