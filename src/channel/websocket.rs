//! The tunnel as a data channel: the client side of the WebSocket, for laptop and phone alike.
//!
//! Depends on `hybrid::tunnel` for the grammar. The only file outside `relay` that imports the
//! WebSocket crate. CTAP 2.2 section 11.5.1.2.

mod connect;
mod dial;
mod head;
mod probe;
mod raw;
mod ring;
mod route;
mod upgrade;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use self::dial::Socket;
use self::upgrade::{Answer, Header, Key};
#[cfg(fuzzing)]
pub use self::{connect::fuzz_connect_answer, upgrade::fuzz_upgrade_answer};
pub use self::{probe::Reply, raw::Raw, ring::Bell};
use super::proxy::Proxies;
use super::tls::Trust;
use super::{DataChannel, Error, MAX_MESSAGE_LEN, RedirectFault, check_len};
use crate::hybrid::tunnel::{Endpoint, RoutingId, ServiceUrl, TunnelId, TunnelUrl};

/// How long address, connection, TLS and upgrade may take together, redirects included.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// How long a goodbye waits for its answer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
const MAX_REDIRECTS: usize = 5;
/// One transaction's messages are some hundred bytes; larger ones grow the buffer.
const READ_BUFFER_LEN: usize = 8 * 1024;

/// Opens WebSockets to tunnel services. Cheap to clone; certificates are loaded with the first
/// `wss://` connection and kept.
#[derive(Debug, Clone)]
pub struct Connector {
    trust: Trust,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
    proxies: Proxies,
    deadline: Duration,
    allow_plain: bool,
}

impl Connector {
    /// Believes the given authorities, uses no proxy, waits at most 30 seconds, and refuses `ws://`
    /// to other machines.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        let (config, proxies) = Default::default();
        Self { trust, config, proxies, deadline: DEFAULT_DEADLINE, allow_plain: false }
    }

    /// Goes through a proxy where these name one; it then looks up the service's name too.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Changes how long address, connection, TLS and upgrade may take together.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Permits `ws://` to other machines too: whoever is on the path sees the tunnel id.
    #[must_use]
    pub fn allow_plain(self) -> Self {
        Self { allow_plain: true, ..self }
    }

    /// Opens a tunnel, as the phone does, and gives the routing id to put into the advert.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] up to [`Error::TimedOut`].
    pub async fn open_tunnel(
        &self,
        service: &ServiceUrl,
        tunnel: TunnelId,
    ) -> Result<(WebSocketChannel, RoutingId), Error> {
        let (channel, answer) = self.connect(service, &Endpoint::New(tunnel), None).await?;
        Ok((channel, routing_id(&answer)?))
    }

    /// Joins the phone's tunnel, as the laptop does, with the routing id from the advert.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] up to [`Error::TimedOut`] but [`Error::RoutingId`]; status 404
    /// means that the phone is not, or no longer, there.
    pub async fn join_tunnel(
        &self,
        service: &ServiceUrl,
        routing_id: RoutingId,
        tunnel: TunnelId,
    ) -> Result<WebSocketChannel, Error> {
        let endpoint = Endpoint::Connect(routing_id, tunnel);
        let (channel, _) = self.connect(service, &endpoint, None).await?;
        Ok(channel)
    }

    async fn connect(
        &self,
        service: &ServiceUrl,
        endpoint: &Endpoint,
        header: Option<Header<'_>>,
    ) -> Result<(WebSocketChannel, Answer), Error> {
        let following = self.follow(service.endpoint(endpoint), header, |_| {});
        timeout(self.deadline, following).await.unwrap_or(Err(Error::TimedOut))
    }

    /// Asks with one header of the endpoint's own, also where it is sent on to; shows each answer to
    /// `witness`, also those that are not good enough.
    async fn follow(
        &self,
        mut url: TunnelUrl,
        header: Option<Header<'_>>,
        mut witness: impl FnMut(&Answer),
    ) -> Result<(WebSocketChannel, Answer), Error> {
        for _ in 0..=MAX_REDIRECTS {
            let mut socket = self.dial(url.service()).await?;
            let key = new_key();
            let mut answer = upgrade::exchange(&mut *socket, &url, &key, header).await?;
            witness(&answer);
            match answer.status {
                101 => {
                    check(&answer)?;
                    let rest = std::mem::take(&mut answer.rest);
                    return Ok((WebSocketChannel::new(socket, rest).await, answer));
                }
                301 | 302 | 303 | 307 | 308 => url = redirected(&url, &answer)?,
                status => return Err(Error::Status { status }),
            }
        }
        Err(Error::Redirect(RedirectFault::TooMany))
    }
}

fn new_key() -> Key {
    let request = generate_key();
    Key { answer: derive_accept_key(request.as_bytes()), request }
}

fn routing_id(answer: &Answer) -> Result<RoutingId, Error> {
    answer.routing_id.as_deref().and_then(|id| id.parse().ok()).ok_or(Error::RoutingId)
}

fn check(answer: &Answer) -> Result<(), Error> {
    match answer {
        Answer { valid: false, .. } => Err(Error::Upgrade),
        Answer { subprotocol: false, .. } => Err(Error::Subprotocol),
        _ => Ok(()),
    }
}

/// Plain to plain stays possible; [`dial::plain`] then asks for loopback again.
fn redirected(url: &TunnelUrl, answer: &Answer) -> Result<TunnelUrl, Error> {
    let location = answer.location.as_deref().ok_or(Error::Redirect(RedirectFault::Target))?;
    let target = url.redirect(location).map_err(|_| Error::Redirect(RedirectFault::Target))?;
    if url.service().is_secure() && !target.service().is_secure() {
        return Err(Error::Redirect(RedirectFault::Downgrade));
    }
    Ok(target)
}

/// A tunnel through a relay. Made by a [`Connector`].
pub struct WebSocketChannel {
    socket: WebSocketStream<Box<dyn Socket>>,
    /// Set with the first error; what later calls return.
    ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    code: Option<u16>,
}

impl fmt::Debug for WebSocketChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketChannel").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl WebSocketChannel {
    async fn new(socket: Box<dyn Socket>, rest: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_LEN)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_LEN))
            .max_frame_size(Some(MAX_MESSAGE_LEN));
        let socket =
            WebSocketStream::from_partially_read(socket, rest, Role::Client, Some(config)).await;
        Self { socket, ended: None }
    }

    fn check_open(&self) -> Result<(), Error> {
        self.ended.map_or(Ok(()), |ended| Err(Error::Closed { code: ended.code }))
    }

    /// Ends the channel: the peer closed.
    async fn closed(&mut self, code: Option<u16>) -> Error {
        self.ended = Some(Ended { code });
        // The answer to a close frame is queued by the WebSocket layer and goes out with a flush;
        // a peer that is already gone does not get it.
        let _ = timeout(CLOSE_DEADLINE, self.socket.flush()).await;
        Error::Closed { code }
    }

    /// Ends the channel: the peer broke a rule, and is told which.
    async fn refuse(&mut self, code: CloseCode, error: Error) -> Error {
        self.ended = Some(Ended { code: Some(code.into()) });
        let frame = CloseFrame { code, reason: "".into() };
        let _ = timeout(CLOSE_DEADLINE, self.socket.send(Message::Close(Some(frame)))).await;
        error
    }

    async fn fail(&mut self, error: WsError) -> Error {
        match error {
            WsError::Capacity(_) => self.refuse(CloseCode::Size, Error::TooLong).await,
            WsError::Utf8(_) => self.refuse(CloseCode::Unsupported, Error::Text).await,
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.lost(std::io::ErrorKind::UnexpectedEof.into())
            }
            WsError::Io(error) => self.lost(error),
            WsError::ConnectionClosed | WsError::AlreadyClosed => self.closed(None).await,
            error => self.refuse(CloseCode::Protocol, Error::Protocol(Box::new(error))).await,
        }
    }

    fn lost(&mut self, error: std::io::Error) -> Error {
        self.ended = Some(Ended { code: None });
        Error::Lost(error)
    }

    async fn say_goodbye(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.next().await {}
        }
        // The connection ends here, not when the channel happens to be dropped.
        let _ = self.socket.get_mut().shutdown().await;
    }
}

impl DataChannel for WebSocketChannel {
    async fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        check_len(message)?;
        self.check_open()?;
        match self.socket.send(Message::Binary(Bytes::copy_from_slice(message))).await {
            Ok(()) => Ok(()),
            // What the peer had sent, perhaps why it went, can still be received.
            Err(WsError::Io(error)) => Err(Error::Lost(error)),
            Err(error) => Err(self.fail(error).await),
        }
    }

    async fn recv(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            self.check_open()?;
            match self.socket.next().await {
                Some(Ok(Message::Binary(message))) => return Ok(message.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    return Err(self.refuse(CloseCode::Unsupported, Error::Text).await);
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(self.closed(frame.map(|frame| frame.code.into())).await);
                }
                Some(Err(error)) => return Err(self.fail(error).await),
                None => return Err(self.closed(None).await),
            }
        }
    }

    async fn close(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(Ended { code: Some(CloseCode::Normal.into()) });
            let _ = timeout(CLOSE_DEADLINE, self.say_goodbye()).await;
        }
    }
}

#[cfg(test)]
mod tests;
