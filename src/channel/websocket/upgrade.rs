//! The client's half of the WebSocket upgrade: one request head out, one response head in.
//!
//! Depends on the head reader beside it. Not left to the WebSocket crate, whose handshake writes the
//! request path, and with it the tunnel id, to its log, and reads heads without a bound of ours.

use httparse::Response;
use tokio::io::AsyncWriteExt;

use super::dial::Socket;
use super::head::{self, header};
use crate::channel::Error;
use crate::hybrid::tunnel::{self, TunnelUrl};

/// A header's name and value.
pub(super) type Header<'a> = (&'static str, &'a str);

/// The key of a request, and the answer that proves that it was understood.
pub(super) struct Key {
    pub(super) request: String,
    pub(super) answer: String,
}

/// What the service said to an upgrade.
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// The selected subprotocol is ours.
    pub(super) subprotocol: bool,
    /// The upgrade headers are as RFC 6455 section 4.1 wants them.
    pub(super) valid: bool,
    pub(super) routing_id: Option<String>,
    pub(super) location: Option<String>,
    /// What the service's clock shows, in the form of HTTP.
    pub(super) date: Option<String>,
    /// What followed the head: first frames.
    pub(super) rest: Vec<u8>,
}

/// Sends the request and reads the answer's head.
pub(super) async fn exchange(
    socket: &mut dyn Socket,
    url: &TunnelUrl,
    key: &Key,
    header: Option<Header<'_>>,
) -> Result<Answer, Error> {
    socket.write_all(request(url, key, header).as_bytes()).await.map_err(Error::Lost)?;
    socket.flush().await.map_err(Error::Lost)?;
    head::receive(socket, |head| parse(head, key)).await
}

fn request(url: &TunnelUrl, key: &Key, header: Option<Header<'_>>) -> String {
    let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\
         Sec-WebSocket-Protocol: {}\r\nOrigin: {}\r\n{header}\r\n",
        url.target(),
        url.service().authority(),
        key.request,
        tunnel::SUBPROTOCOL,
        url.service().origin(),
    )
}

fn parse(head: &[u8], key: &Key) -> Result<Option<Answer>, Error> {
    head::parse(head, |response, rest| answer(response, key, rest))
}

fn answer(response: &Response<'_, '_>, key: &Key, rest: Vec<u8>) -> Answer {
    let value = |name| header(response, name);
    let is = |name, expected: &str| {
        value(name).is_some_and(|found| found.eq_ignore_ascii_case(expected))
    };
    let upgrades = value("connection")
        .is_some_and(|list| list.split(',').any(|t| t.trim().eq_ignore_ascii_case("upgrade")));
    Answer {
        status: response.code.unwrap_or_default(),
        subprotocol: value("sec-websocket-protocol") == Some(tunnel::SUBPROTOCOL),
        valid: upgrades
            && is("upgrade", "websocket")
            && value("sec-websocket-accept") == Some(&key.answer)
            && value("sec-websocket-extensions").is_none(),
        routing_id: value(tunnel::ROUTING_ID_HEADER).map(str::to_owned),
        location: value("location").map(str::to_owned),
        date: value("date").map(str::to_owned),
        rest,
    }
}

/// Reads one answer's head, for the fuzz target alone: status, whether the upgrade is valid, and
/// what followed.
///
/// # Errors
///
/// As a connection would fail.
#[cfg(fuzzing)]
pub fn fuzz_upgrade_answer(
    head: &[u8],
    accept: &str,
) -> Result<Option<(u16, bool, Vec<u8>)>, Error> {
    let key = Key { request: String::new(), answer: accept.to_owned() };
    Ok(parse(head, &key)?.map(|answer| (answer.status, answer.valid, answer.rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            start in 0..80_usize,
            junk in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let key = Key { request: String::new(), answer: "answer".to_owned() };
            let whole = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: answer\r\nX: yyyyyyyyyyyyy\r\n";
            let spoiled = [&whole[..start], &junk].concat();
            if let Ok(Some(answer)) = parse(&spoiled, &key) {
                prop_assert!(!answer.valid);
            }
        }
    }

    #[test]
    fn a_header_that_stands_there_twice_is_none() {
        let key = Key { request: String::new(), answer: "a".to_owned() };
        let head = b"HTTP/1.1 302 X\r\nLocation: /a\r\nlocation: /b\r\n\r\nrest";
        let answer = parse(head, &key).unwrap().unwrap();
        assert_eq!((answer.status, answer.location), (302, None));
        assert_eq!(answer.rest, b"rest");
    }
}
