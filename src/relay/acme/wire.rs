//! Requests to an ACME server and its answers, within bounds: TLS always, one connection each, 30 seconds, 256 KiB.
//!
//! Depends on hyper for HTTP and on rustls for TLS, with the system's authorities or those of a file.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::setting::names_host;
use crate::relay::tls::{self, TlsError};

type Asked = Request<BodyWrapper<Bytes>>;

/// How long a request and its answer may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long an answer may be; a chain of certificates is 4 KiB.
const LONGEST: usize = 256 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Obstacle {
    #[error("the server names a URL that is not https://")]
    NotHttps,
    #[error("its name has no address")]
    Name(#[source] io::Error),
    #[error("nobody answers there")]
    Away(#[source] io::Error),
    #[error("TLS with it fails")]
    Tls(#[source] io::Error),
    #[error("it does not speak HTTP")]
    Http(#[source] hyper::Error),
    #[error("its answer broke off, or is longer than 256 KiB")]
    Body(#[source] Box<dyn StdError + Send + Sync>),
    #[error("it does not answer within 30 seconds")]
    Slow,
}

/// A way to the server; a copy is the same way.
#[derive(Clone)]
pub(super) struct Wire {
    tls: TlsConnector,
    /// For how many seconds the last answer wished that nobody asks; 0 is no wish.
    wish: Arc<AtomicU64>,
}

impl Wire {
    /// Reads the authorities; connects to nobody.
    pub(super) fn new(authority: Option<&Path>) -> Result<Self, TlsError> {
        let tls = TlsConnector::from(Arc::new(client(authority)?));
        Ok(Self { tls, wish: Arc::default() })
    }

    /// What the last answer wished, once.
    pub(super) fn take_wish(&self) -> Option<u64> {
        Some(self.wish.swap(0, Ordering::Relaxed)).filter(|wish| *wish > 0)
    }

    async fn exchange(self, request: Asked) -> Result<BytesResponse, Obstacle> {
        self.wish.store(0, Ordering::Relaxed);
        let url = request.uri();
        if !names_host(url) {
            return Err(Obstacle::NotHttps);
        }
        let name = name(url).to_owned();
        let socket = connect(&name, url.port_u16().unwrap_or(443)).await?;
        let name = ServerName::try_from(name).map_err(|_| Obstacle::NotHttps)?;
        let socket = self.tls.connect(name, socket).await.map_err(Obstacle::Tls)?;
        let (response, body) = speak(socket, request).await?.into_parts();
        let wish = response.headers.get(RETRY_AFTER).and_then(seconds);
        self.wish.store(wish.unwrap_or_default(), Ordering::Relaxed);
        Ok(BytesResponse { parts: response, body: Box::new(body) })
    }
}

impl HttpClient for Wire {
    fn request(
        &self,
        request: Asked,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let exchange = self.clone().exchange(request);
        Box::pin(async move {
            let answered = timeout(DEADLINE, exchange).await.unwrap_or(Err(Obstacle::Slow));
            answered.map_err(|obstacle| Error::Other(Box::new(obstacle)))
        })
    }
}

fn client(authority: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let believed = match authority {
        Some(path) => tls::authorities(path)?,
        None => {
            let mut believed = RootCertStore::empty();
            // What cannot be read believes nobody, and is said when the server is not believed.
            believed.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            believed
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::Pair)?;
    Ok(builder.with_root_certificates(believed).with_no_client_auth())
}

/// `Retry-After` in seconds; as a date it says nothing that our own pauses do not.
fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// The host, an IPv6 address without its brackets.
fn name(url: &Uri) -> &str {
    url.host().unwrap_or_default().trim_matches(['[', ']'])
}

async fn connect(name: &str, port: u16) -> Result<TcpStream, Obstacle> {
    let found: Vec<_> = lookup_host((name, port)).await.map_err(Obstacle::Name)?.collect();
    TcpStream::connect(&found[..]).await.map_err(Obstacle::Away)
}

/// Sends the request as one to an origin, and reads the whole answer.
async fn speak(
    socket: TlsStream<TcpStream>,
    mut request: Asked,
) -> Result<Response<Bytes>, Obstacle> {
    let url = request.uri();
    let host = url.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    let path = url.path_and_query().map_or("/", |path| path.as_str()).parse();
    let (Some(host), Ok(path)) = (host, path) else { return Err(Obstacle::NotHttps) };
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, host);
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await.map_err(Obstacle::Http)?;
    // Ends with this function, by being dropped.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await.map_err(Obstacle::Http)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(Obstacle::Body)?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
