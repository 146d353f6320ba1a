//! The server's half of the WebSocket upgrade: request heads in, 101 or a refusal out.
//!
//! Depends on `hybrid::tunnel` for paths and headers. Heads are bounded before they are parsed.

use std::net::IpAddr;

use httparse::{EMPTY_HEADER, Request, Status as Parsed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::contact::Asked;
use super::page::Page;
use super::proxy::{Malformed, Proxies, forwarded};
use super::status::Status;
use crate::hybrid::linking::ClientPayload;
#[cfg(any(fuzzing, test))]
use crate::hybrid::tunnel::ROUTING_ID_HEADER;
use crate::hybrid::tunnel::{
    CLIENT_PAYLOAD_HEADER, Endpoint, SIGNAL_CONNECTION_HEADER, SUBPROTOCOL, decode_client_payload,
};

/// How long a request head may be.
pub(super) const MAX_HEAD_LEN: usize = 8 * 1024;
pub(super) const MAX_HEADERS: usize = 64;

/// A header's name and value.
pub(super) type Header<'a> = (&'a str, &'a str);

/// A request that may be upgraded.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) endpoint: Endpoint,
    /// What a ring says; there with that endpoint alone.
    pub(super) asked: Option<Asked>,
    /// Bytes that came after the head: the first frames of an impatient client.
    pub(super) rest: Vec<u8>,
    accept: String,
}

impl Upgrade {
    /// The 101 response, with one header of the endpoint's own.
    pub(super) fn response(&self, header: Option<Header<'_>>) -> String {
        let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\
             {header}\r\n",
            self.accept,
        )
    }
}

/// Reads one head and judges it. `None` if the connection ends first.
///
/// Waits as long as the peer likes: the caller sets the deadline.
pub(super) async fn receive(
    socket: &mut (impl AsyncRead + Unpin),
    proxies: Option<&Proxies>,
) -> Option<Judged> {
    receive_with(socket, |head| judge(head, proxies), Judged::refused(Status::Head)).await
}

/// Reads one head, until `judge` knows what to do about it, or `too_long`.
pub(super) async fn receive_with<T>(
    socket: &mut (impl AsyncRead + Unpin),
    judge: impl Fn(&[u8]) -> Option<T>,
    too_long: T,
) -> Option<T> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(verdict) = judge(&head) {
            return Some(verdict);
        }
        let room = (MAX_HEAD_LEN - head.len()) as u64;
        if room == 0 {
            return Some(too_long);
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

/// What a head says.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// For whom a named proxy sends it, if it says so.
    pub(super) client: Option<IpAddr>,
}

impl Judged {
    fn refused(status: Status) -> Self {
        Self { verdict: Err(status), client: None }
    }
}

/// With `proxies` the head comes from one of them.
pub(super) fn judge(head: &[u8], proxies: Option<&Proxies>) -> Option<Judged> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Complete(length)) => {
            let Ok(client) = proxies.map_or(Ok(None), |proxies| client(&request, proxies)) else {
                return Some(Judged::refused(Status::Forwarded));
            };
            let rest = head.get(length..).unwrap_or_default();
            let verdict = check(&request).map(|(endpoint, asked, accept)| Upgrade {
                endpoint,
                asked,
                accept,
                rest: rest.to_vec(),
            });
            Some(Judged { verdict, client })
        }
        Err(httparse::Error::TooManyHeaders) => Some(Judged::refused(Status::Head)),
        Err(_) => Some(Judged::refused(Status::BadRequest)),
    }
}

fn client(request: &Request<'_, '_>, proxies: &Proxies) -> Result<Option<IpAddr>, Malformed> {
    let (standard, usual) = (values(request, "forwarded"), values(request, "x-forwarded-for"));
    forwarded::client(standard, usual, proxies)
}

/// What comes of one head, for the fuzz target alone: endpoint, rest and answer, or the refusal.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_request_head(head: &[u8]) -> Option<Result<(Endpoint, Vec<u8>, String), String>> {
    let answered = |upgrade: Upgrade| {
        let answer = upgrade.response(Some((ROUTING_ID_HEADER, "010203")));
        (upgrade.endpoint, upgrade.rest, answer)
    };
    judge(head, None).map(|judged| judged.verdict.map(answered).map_err(Status::response))
}

/// Method and path first, so that a browser that strays here gets 404 rather than 400.
fn check(request: &Request<'_, '_>) -> Result<(Endpoint, Option<Asked>, String), Status> {
    if request.method != Some("GET") {
        return Err(Status::Method);
    }
    let path = request.path.unwrap_or_default();
    if let Some(page) = Page::parse(path) {
        return Err(Status::Page(page));
    }
    let endpoint = Endpoint::parse(path);
    let endpoint = endpoint.map_err(|_| Status::NoPath)?;
    if !lists(request, "connection", "upgrade") || !lists(request, "upgrade", "websocket") {
        return Err(Status::BadRequest);
    }
    if !lists(request, "sec-websocket-version", "13") {
        return Err(Status::Version);
    }
    let key = key(request).filter(|_| request.version == Some(1)).ok_or(Status::BadRequest)?;
    // The subprotocol may stand among others, in one header or in several.
    if !lists(request, "sec-websocket-protocol", SUBPROTOCOL) {
        return Err(Status::BadRequest);
    }
    let asked = match endpoint {
        Endpoint::Contact(_) => Some(asked(request).ok_or(Status::BadRequest)?),
        _ => None,
    };
    Ok((endpoint, asked, derive_accept_key(key)))
}

/// What a laptop says when it rings: the one payload that can be read.
fn asked(request: &Request<'_, '_>) -> Option<Asked> {
    let mut payloads = values(request, CLIENT_PAYLOAD_HEADER);
    let only = payloads.next().filter(|_| payloads.next().is_none())?;
    let payload = decode_client_payload(str::from_utf8(only.trim_ascii()).ok()?).ok()?;
    let payload = ClientPayload::decode(&payload)?;
    Some(Asked { payload, signal: lists(request, SIGNAL_CONNECTION_HEADER, "true") })
}

pub(super) fn values<'a>(
    request: &'a Request<'_, '_>,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
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
