//! The client side against scripted services.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

mod proxied;

const TUNNEL: TunnelId = TunnelId::new([0xab; 16]);
const ROUTING: RoutingId = RoutingId::new([0xcd, 0, 1]);
const PATH_NEW: &str = "/cable/new/ABABABABABABABABABABABABABABABAB";
const PATH_CONNECT: &str = "/cable/connect/CD0001/ABABABABABABABABABABABABABABABAB";
const GOOD: &str = "Sec-WebSocket-Protocol: fido.cable\r\nX-caBLE-Routing-ID: cd0001\r\n";

/// A listener whose connections are answered by the test.
struct Service {
    listener: TcpListener,
    address: SocketAddr,
}

impl Service {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap(), listener }
    }

    fn url(&self) -> ServiceUrl {
        format!("ws://{}", self.address).parse().unwrap()
    }

    /// Takes one connection and reads its request.
    async fn request(&self) -> (TcpStream, String) {
        let (mut socket, _) = self.listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        (socket, String::from_utf8(head).unwrap())
    }

    /// Takes one connection and answers with `answer`.
    async fn answer(&self, answer: &str) -> (TcpStream, String) {
        let (mut socket, request) = self.request().await;
        socket.write_all(answer.as_bytes()).await.unwrap();
        (socket, request)
    }

    /// Takes one connection and switches protocols; `headers` and `frames` follow.
    async fn switch(&self, headers: &str, frames: &[u8]) -> (TcpStream, String) {
        let (mut socket, request) = self.request().await;
        let mut answer = switching(&request, headers).into_bytes();
        answer.extend(frames);
        socket.write_all(&answer).await.unwrap();
        (socket, request)
    }
}

/// The answer that agrees to a request.
fn switching(request: &str, headers: &str) -> String {
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap();
    let key = derive_accept_key(key.split("\r\n").next().unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: keep-alive, upgrade\r\n\
         upgrade: WebSocket\r\nsec-websocket-accept: {key}\r\n{headers}\r\n"
    )
}

fn connector() -> Connector {
    Connector::new(Trust::System)
}

async fn open(service: &Service) -> Result<(WebSocketChannel, RoutingId), Error> {
    connector().open_tunnel(&service.url(), TUNNEL).await
}

/// A channel on which the service has sent `frames` already, and the service's end.
async fn channel(frames: &[u8]) -> (WebSocketChannel, TcpStream) {
    let service = Service::new().await;
    let (channel, (socket, _)) = tokio::join!(open(&service), service.switch(GOOD, frames));
    (channel.unwrap().0, socket)
}

/// Reads frames of up to 125 bytes, unmasked, until the client hangs up.
async fn frames(socket: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Ok(opcode) = socket.read_u8().await {
        let length = usize::from(socket.read_u8().await.unwrap() & 0x7f);
        let mut mask = [0; 4];
        socket.read_exact(&mut mask).await.unwrap();
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).await.unwrap();
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        frames.push((opcode, payload));
    }
    frames
}

#[tokio::test]
async fn phone_and_laptop_ask_as_the_specification_says() {
    let service = Service::new().await;
    let (opened, (_, request)) = tokio::join!(open(&service), service.switch(GOOD, b""));
    assert_eq!(opened.unwrap().1, ROUTING);
    assert!(request.starts_with(&format!("GET {PATH_NEW} HTTP/1.1\r\n")));
    for header in [
        format!("Host: {}", service.address),
        format!("Origin: ws://{}", service.address),
        "Sec-WebSocket-Protocol: fido.cable".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }

    let (url, connector) = (service.url(), connector());
    let join = connector.join_tunnel(&url, ROUTING, TUNNEL);
    let only_subprotocol = "Sec-WebSocket-Protocol: fido.cable\r\n";
    let (joined, (_, request)) = tokio::join!(join, service.switch(only_subprotocol, b""));
    assert!(joined.is_ok());
    assert!(request.starts_with(&format!("GET {PATH_CONNECT} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn answers_that_are_not_good_enough() {
    let service = Service::new().await;
    for headers in ["", "X-caBLE-Routing-ID: cd0001\r\n", "Sec-WebSocket-Protocol: chat\r\n"] {
        let (opened, _) = tokio::join!(open(&service), service.switch(headers, b""));
        assert!(matches!(opened, Err(Error::Subprotocol)), "{headers}");
    }
    for value in ["", "X-caBLE-Routing-ID: cd00\r\n", "X-caBLE-Routing-ID: gg0001\r\n"] {
        let headers = format!("Sec-WebSocket-Protocol: fido.cable\r\n{value}");
        let (opened, _) = tokio::join!(open(&service), service.switch(&headers, b""));
        assert!(matches!(opened, Err(Error::RoutingId)), "{headers}");
    }
    let extension = format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let (opened, _) = tokio::join!(open(&service), service.switch(&extension, b""));
    assert!(matches!(opened, Err(Error::Upgrade)));

    let other_key = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{GOOD}\r\n"
    );
    let long = format!("HTTP/1.1 404 Not Found\r\nX: {}", "y".repeat(16 * 1024));
    for answer in [other_key.as_str(), &long, "SSH-2.0-OpenSSH\r\n", "\0\0"] {
        let (opened, _) = tokio::join!(open(&service), service.answer(answer));
        assert!(matches!(opened, Err(Error::Upgrade)));
    }
}

#[tokio::test]
async fn statuses_keep_their_number() {
    let service = Service::new().await;
    for status in [200, 400, 403, 404, 409, 410, 429, 500, 503] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let (opened, _) = tokio::join!(open(&service), service.answer(&answer));
        assert!(matches!(opened, Err(Error::Status { status: seen }) if seen == status));
    }
}

#[tokio::test]
async fn failures_before_the_upgrade_are_told_apart() {
    let service = Service::new().await;
    let url = service.url();
    let hung_up = async { drop(service.request().await) };
    let (opened, ()) = tokio::join!(open(&service), hung_up);
    assert!(matches!(opened, Err(Error::Lost(_))));

    let in_time = connector().with_deadline(Duration::from_millis(20));
    let (opened, _silent) = tokio::join!(in_time.open_tunnel(&url, TUNNEL), service.request());
    assert!(matches!(opened, Err(Error::TimedOut)));

    drop(service);
    let refused = connector().open_tunnel(&url, TUNNEL).await;
    assert!(matches!(refused, Err(Error::Connect { service, .. }) if service == url.authority()));

    let nameless = connector().open_tunnel(&"ws://a..b".parse().unwrap(), TUNNEL).await;
    assert!(matches!(nameless, Err(Error::Resolve { host, .. }) if host == "a..b"));

    let remote = connector().open_tunnel(&"ws://192.0.2.1".parse().unwrap(), TUNNEL).await;
    assert!(matches!(remote, Err(Error::Plain { service }) if service == "192.0.2.1"));
}

#[tokio::test]
async fn plain_to_other_machines_has_to_be_allowed() {
    let service = Service::new().await;
    // Not a loopback address, and yet this machine.
    let url = format!("ws://0.0.0.0:{}", service.address.port()).parse().unwrap();
    let refused = connector().open_tunnel(&url, TUNNEL).await;
    assert!(matches!(refused, Err(Error::Plain { .. })));
    let allowing = connector().allow_plain();
    let opening = allowing.open_tunnel(&url, TUNNEL);
    let (opened, _) = tokio::join!(opening, service.switch(GOOD, b""));
    assert!(opened.is_ok());
}

#[tokio::test]
async fn five_redirects_are_followed_and_not_a_sixth() {
    for (redirects, followed) in [(5, true), (6, false)] {
        let service = Service::new().await;
        let serve = async {
            for number in 0..redirects {
                let location = match number % 2 {
                    0 => format!("http://{}/elsewhere{number}?x=y", service.address),
                    _ => format!("/elsewhere{number}"),
                };
                let answer = format!("HTTP/1.1 302 X\r\nLocation: {location}\r\n\r\n");
                let (_, request) = service.answer(&answer).await;
                assert!(request.contains("\r\nSec-WebSocket-Protocol: fido.cable\r\n"));
            }
            match followed {
                true => service.switch(GOOD, b"").await.1,
                false => String::new(),
            }
        };
        let (opened, last) = tokio::join!(open(&service), serve);
        match opened {
            Ok(_) => assert!(followed && last.starts_with("GET /elsewhere4?x=y HTTP/1.1\r\n")),
            Err(Error::Redirect(RedirectFault::TooMany)) => assert!(!followed),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn redirects_to_nowhere_or_into_the_open_are_refused() {
    let service = Service::new().await;
    for (headers, plain) in [
        ("", false),
        ("Location: elsewhere\r\n", false),
        ("Location: ftp://127.0.0.1/\r\n", false),
        ("Location: ws://192.0.2.1/x\r\n", true),
    ] {
        let answer = format!("HTTP/1.1 307 X\r\n{headers}\r\n");
        let (opened, _) = tokio::join!(open(&service), service.answer(&answer));
        match opened {
            Err(Error::Redirect(RedirectFault::Target)) => assert!(!plain, "{headers}"),
            Err(Error::Plain { .. }) => assert!(plain, "{headers}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn encryption_is_never_given_up_by_a_redirect() {
    let secure: ServiceUrl = "wss://relay.example".parse().unwrap();
    let url = secure.endpoint(&Endpoint::New(TUNNEL));
    let to = |location: &str| {
        let location = Some(location.to_owned());
        let rest = Vec::new();
        let answer = Answer {
            status: 302,
            subprotocol: false,
            valid: false,
            routing_id: None,
            location,
            date: None,
            rest,
        };
        redirected(&url, &answer)
    };
    for target in ["ws://127.0.0.1/x", "http://relay.example/x"] {
        assert!(matches!(to(target), Err(Error::Redirect(RedirectFault::Downgrade))));
    }
    assert_eq!(to("/x").unwrap().expose(), "wss://relay.example/x");
    assert_eq!(to("https://b.example/x").unwrap().expose(), "wss://b.example/x");
}

#[tokio::test]
async fn frames_that_come_with_the_head_are_read() {
    let (mut channel, _socket) = channel(b"\x82\x03one\x02\x01t\x00\x01w\x80\x01o\x82\x00").await;
    assert_eq!(channel.recv().await.unwrap(), b"one");
    assert_eq!(channel.recv().await.unwrap(), b"two");
    assert_eq!(channel.recv().await.unwrap(), b"");
}

#[tokio::test]
async fn pings_are_answered_and_not_delivered() {
    let (mut channel, mut socket) = channel(b"\x89\x02hi\x8a\x00\x82\x01m").await;
    assert_eq!(channel.recv().await.unwrap(), b"m");
    channel.send(b"x").await.unwrap();
    drop(channel);
    assert_eq!(frames(&mut socket).await, [(0x8a, b"hi".to_vec()), (0x82, b"x".to_vec())]);
}

#[tokio::test]
async fn broken_rules_are_named_and_answered() {
    let oversize = [b"\x82\x7f".as_slice(), &(MAX_MESSAGE_LEN as u64 + 1).to_be_bytes()].concat();
    for (sent, code) in [
        (b"\x81\x02hi".as_slice(), 1003_u16),
        (b"\x81\x01\xff", 1003),
        (&oversize, 1009),
        (b"\x83\x00", 1002),
        (b"\xc2\x01x", 1002),
    ] {
        let (mut channel, mut socket) = channel(sent).await;
        let error = channel.recv().await.unwrap_err();
        match code {
            1003 => assert!(matches!(error, Error::Text)),
            1009 => assert!(matches!(error, Error::TooLong)),
            _ => assert!(matches!(error, Error::Protocol(_))),
        }
        let again = channel.recv().await;
        assert!(matches!(again, Err(Error::Closed { code: Some(seen) }) if seen == code));
        assert!(channel.send(b"x").await.is_err());
        drop(channel);
        assert_eq!(frames(&mut socket).await, [(0x88, code.to_be_bytes().to_vec())]);
    }
}

#[tokio::test]
async fn fragments_over_the_limit_are_too_long_together() {
    let (mut channel, mut socket) = channel(b"").await;
    let half = MAX_MESSAGE_LEN / 2 + 1;
    let send = async {
        for opcode in [0x02, 0x80] {
            let head = [&[opcode, 0x7f], (half as u64).to_be_bytes().as_slice()].concat();
            socket.write_all(&head).await.unwrap();
            socket.write_all(&vec![0; half]).await.unwrap();
        }
    };
    let (received, ()) = tokio::join!(channel.recv(), send);
    assert!(matches!(received, Err(Error::TooLong)));
}

#[tokio::test]
async fn the_close_code_is_passed_on_and_answered() {
    let (mut channel, mut socket) = channel(b"\x82\x01m\x88\x04\x03\xf0no").await;
    assert_eq!(channel.recv().await.unwrap(), b"m");
    for _ in 0..2 {
        assert!(matches!(channel.recv().await, Err(Error::Closed { code: Some(1008) })));
    }
    channel.close().await;
    drop(channel);
    assert_eq!(frames(&mut socket).await.len(), 1);
}

#[tokio::test]
async fn a_lost_connection_is_no_goodbye() {
    let (mut channel, socket) = channel(b"\x82\x01m\x82\x05half").await;
    drop(socket);
    assert_eq!(channel.recv().await.unwrap(), b"m");
    assert!(matches!(channel.recv().await, Err(Error::Lost(_))));
    assert!(matches!(channel.recv().await, Err(Error::Closed { code: None })));
}

#[tokio::test]
async fn closing_says_goodbye_and_waits_for_the_answer() {
    let (mut channel, mut socket) = channel(b"").await;
    let answer = async {
        let mut goodbye = [0; 8];
        socket.read_exact(&mut goodbye).await.unwrap();
        socket.write_all(b"\x82\x01m\x88\x02\x03\xe8").await.unwrap();
        socket.shutdown().await.unwrap();
        goodbye[0]
    };
    let ((), opcode) = tokio::join!(channel.close(), answer);
    assert_eq!(opcode, 0x88);
    assert!(matches!(channel.recv().await, Err(Error::Closed { code: Some(1000) })));
}
