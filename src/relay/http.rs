//! The server's half of the WebSocket upgrade: request heads in, 101 or a refusal out.
//!
//! Depends on `hybrid::tunnel` for paths and headers. Heads are bounded before they are parsed.

use httparse::{EMPTY_HEADER, Request, Status as Parsed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::page::Page;
use crate::hybrid::tunnel::{Endpoint, ROUTING_ID_HEADER, RoutingId, SUBPROTOCOL};

/// How long a request head may be.
pub(super) const MAX_HEAD_LEN: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// What the relay answers in place of 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    Conflict,
    UpgradeRequired,
    TooManyRequests,
    HeadTooLarge,
    Unavailable,
    /// No refusal: a page was asked for.
    Page(Page),
}

impl Status {
    /// Every refusal, for the counters.
    pub(super) const REFUSALS: [Self; 8] = [
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::UpgradeRequired,
        Self::TooManyRequests,
        Self::HeadTooLarge,
        Self::Unavailable,
    ];

    /// The three digits.
    pub(super) fn code(self) -> &'static str {
        self.line().get(..3).unwrap_or_default()
    }

    /// Status line and the headers that belong to it.
    fn line(self) -> &'static str {
        match self {
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed\r\nAllow: GET",
            Self::Conflict => "409 Conflict",
            Self::UpgradeRequired => "426 Upgrade Required\r\nSec-WebSocket-Version: 13",
            Self::TooManyRequests => "429 Too Many Requests\r\nRetry-After: 60",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable\r\nRetry-After: 60",
            Self::Page(_) => "200 OK",
        }
    }

    /// The whole response.
    pub(super) fn response(self) -> String {
        format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", self.line())
    }
}

/// A request that may be upgraded.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) endpoint: Endpoint,
    /// Bytes that came after the head: the first frames of an impatient client.
    pub(super) rest: Vec<u8>,
    accept: String,
}

impl Upgrade {
    /// The 101 response; an authenticator is told the routing id.
    pub(super) fn response(&self, routing_id: Option<RoutingId>) -> String {
        let routing_id =
            routing_id.map(|id| format!("{ROUTING_ID_HEADER}: {id}\r\n")).unwrap_or_default();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\
             {routing_id}\r\n",
            self.accept,
        )
    }
}

/// Reads one head and judges it. `None` if the connection ends first.
///
/// Waits as long as the peer likes: the caller sets the deadline.
pub(super) async fn receive(socket: &mut (impl AsyncRead + Unpin)) -> Option<Verdict> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(verdict) = judge(&head) {
            return Some(verdict);
        }
        let room = (MAX_HEAD_LEN - head.len()) as u64;
        if room == 0 {
            return Some(Err(Status::HeadTooLarge));
        }
        match (&mut *socket).take(room).read_buf(&mut head).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Sends a head.
pub(super) async fn send(
    socket: &mut (impl AsyncWrite + Unpin),
    head: &str,
) -> std::io::Result<()> {
    socket.write_all(head.as_bytes()).await?;
    socket.flush().await
}

/// A complete head's fate.
pub(super) type Verdict = Result<Upgrade, Status>;

fn judge(head: &[u8]) -> Option<Verdict> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Complete(length)) => {
            let rest = head.get(length..).unwrap_or_default();
            Some(check(&request).map(|(endpoint, accept)| Upgrade {
                endpoint,
                accept,
                rest: rest.to_vec(),
            }))
        }
        Err(httparse::Error::TooManyHeaders) => Some(Err(Status::HeadTooLarge)),
        Err(_) => Some(Err(Status::BadRequest)),
    }
}

/// What comes of one head, for the fuzz target alone: endpoint, rest and answer, or the refusal.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_request_head(head: &[u8]) -> Option<Result<(Endpoint, Vec<u8>, String), String>> {
    let answered = |upgrade: Upgrade| {
        let answer = upgrade.response(Some(RoutingId::new([1, 2, 3])));
        (upgrade.endpoint, upgrade.rest, answer)
    };
    judge(head).map(|verdict| verdict.map(answered).map_err(Status::response))
}

/// Method and path first, so that a browser that strays here gets 404 rather than 400.
fn check(request: &Request<'_, '_>) -> Result<(Endpoint, String), Status> {
    if request.method != Some("GET") {
        return Err(Status::MethodNotAllowed);
    }
    let path = request.path.unwrap_or_default();
    if let Some(page) = Page::parse(path) {
        return Err(Status::Page(page));
    }
    let endpoint = Endpoint::parse(path);
    let endpoint = endpoint.map_err(|_| Status::NotFound)?;
    if !lists(request, "connection", "upgrade") || !lists(request, "upgrade", "websocket") {
        return Err(Status::BadRequest);
    }
    if !lists(request, "sec-websocket-version", "13") {
        return Err(Status::UpgradeRequired);
    }
    let key = key(request).filter(|_| request.version == Some(1)).ok_or(Status::BadRequest)?;
    // The subprotocol may stand among others, in one header or in several.
    if !lists(request, "sec-websocket-protocol", SUBPROTOCOL) {
        return Err(Status::BadRequest);
    }
    Ok((endpoint, derive_accept_key(key)))
}

fn values<'a>(request: &'a Request<'_, '_>, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = request.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value)
}

/// Whether a comma-separated header holds `token`, in any case.
fn lists(request: &Request<'_, '_>, name: &str, token: &str) -> bool {
    values(request, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The one key: base64 of 16 bytes.
fn key<'a>(request: &'a Request<'_, '_>) -> Option<&'a [u8]> {
    let mut keys = values(request, "sec-websocket-key");
    let only = keys.next().filter(|_| keys.next().is_none())?.trim_ascii();
    let digits = only.strip_suffix(b"==").filter(|digits| digits.len() == 22)?;
    let legal = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    digits.iter().all(legal).then_some(only)
}

#[cfg(test)]
mod tests;
