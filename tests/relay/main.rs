//! The relay over real sockets, asked by our own client side and by hand-written requests.
//!
//! No sleeps: short deadlines are configured and their effect is waited for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod dashboard;
mod framing;
mod hostile;
mod limits;
#[cfg(feature = "cli")]
mod mixed;
mod operation;
mod proxies;
mod rings;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cabled::channel::tls::{self, Trust, client_config};
use cabled::channel::websocket::{Connector, WebSocketChannel};
use cabled::channel::{DataChannel, Error, conformance};
use cabled::hybrid::tunnel::{RoutingId, ServiceUrl, TunnelId};
use cabled::relay::{self, Config, Limits, Relay, TlsFiles};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const HERE: RoutingId = RoutingId::new([0xab, 0xcd, 0xef]);
const TUNNEL: TunnelId = TunnelId::new([0x5a; 16]);
/// For what happens at once on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
const TUNNEL_PATH: &str = "5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A";

/// A relay that runs until it is stopped or dropped with its test.
struct Service {
    address: SocketAddr,
    url: ServiceUrl,
    connector: Connector,
    drain: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn serve(config: Config, connector: Connector) -> Service {
    run(Relay::bind(config).await.unwrap(), connector)
}

fn run(relay: Relay, connector: Connector) -> Service {
    let (address, url) = (relay.local_addr(), relay.url().parse().unwrap());
    let (drain, (stop, stopped)) = (Arc::new(Notify::new()), oneshot::channel());
    let asked = Arc::clone(&drain);
    let drained = async move { asked.notified().await };
    let stopped = async { drop(stopped.await) };
    let served = tokio::spawn(relay.serve_and_drain(drained, stopped));
    Service { address, url, connector, drain, stop, served }
}

fn local(limits: Limits) -> Config {
    let listen = "127.0.0.1:0".parse().unwrap();
    Config { routing_id: Some(HERE), limits, ..Config::new(listen) }
}

async fn with(limits: Limits) -> Service {
    serve(local(limits), Connector::new(Trust::System)).await
}

async fn plain() -> Service {
    with(Limits::default()).await
}

impl Service {
    async fn phone(&self) -> Result<WebSocketChannel, Error> {
        let (channel, routing_id) = self.connector.open_tunnel(&self.url, TUNNEL).await?;
        assert_eq!(routing_id, HERE);
        Ok(channel)
    }

    async fn laptop(&self) -> Result<WebSocketChannel, Error> {
        self.connector.join_tunnel(&self.url, HERE, TUNNEL).await
    }

    async fn pair(&self) -> (WebSocketChannel, WebSocketChannel) {
        let phone = self.phone().await.unwrap();
        (phone, self.laptop().await.unwrap())
    }

    /// A client without our checks and limits.
    async fn raw(&self, path: &str) -> WebSocketStream<TcpStream> {
        let url = format!("ws://{}{path}", self.address);
        let mut request = url.into_client_request().unwrap();
        let protocol = "fido.cable".parse().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let socket = TcpStream::connect(self.address).await.unwrap();
        tokio_tungstenite::client_async(request, socket).await.unwrap().0
    }

    async fn raw_laptop(&self) -> WebSocketStream<TcpStream> {
        self.raw(&format!("/cable/connect/{HERE}/{TUNNEL_PATH}")).await
    }

    /// The whole answer to a plain GET.
    async fn page(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Asks for the metrics until they hold this sample.
    async fn counts(&self, sample: &str) {
        let line = format!("cabled_relay_{sample}\n");
        let asking = async {
            let mut tries = tokio::time::interval(Duration::from_millis(5));
            while !self.page("/metrics").await.contains(&line) {
                tries.tick().await;
            }
        };
        if timeout(PATIENCE, asking).await.is_err() {
            panic!("{sample} is not in {}", self.page("/metrics").await);
        }
    }

    /// Sends a request head and gives the answer's status.
    async fn status(&self, line: &str, headers: &[&str]) -> u16 {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{line}\r\nHost: relay\r\n{}\r\n\r\n", headers.join("\r\n"));
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).await.unwrap();
        std::str::from_utf8(&answer).unwrap().strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
    }
}

const UPGRADE: [&str; 5] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: chat, fido.cable",
];

fn status_of<T>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Status { status }) => status,
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    }
}

async fn close_code(channel: &mut WebSocketChannel) -> Option<u16> {
    match channel.recv().await {
        Err(Error::Closed { code }) => code,
        other => panic!("{other:?}"),
    }
}

async fn raw_close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("{other:?}"),
    }
}

/// Asks again until `done`: the relay frees an id a moment after it has closed a socket.
async fn eventually<T, F: Future<Output = T>>(ask: impl Fn() -> F, done: impl Fn(&T) -> bool) -> T {
    for _ in 0..1000 {
        let answer = ask().await;
        if done(&answer) {
            return answer;
        }
    }
    panic!("never");
}

#[tokio::test]
async fn a_tunnel_is_a_data_channel() {
    let service = plain().await;
    let number = std::sync::atomic::AtomicU8::new(0);
    let pair = async || {
        let tunnel = TunnelId::new([number.fetch_add(1, std::sync::atomic::Ordering::Relaxed); 16]);
        let (phone, routing_id) = service.connector.open_tunnel(&service.url, tunnel).await?;
        let laptop = service.connector.join_tunnel(&service.url, routing_id, tunnel).await?;
        Ok((phone, laptop))
    };
    conformance::run(pair).await.unwrap();
    let reversed = async || pair().await.map(|(phone, laptop)| (laptop, phone));
    conformance::run(reversed).await.unwrap();
}

#[tokio::test]
async fn a_thousand_messages_each_way_arrive_in_order() {
    let service = plain().await;
    let (mut phone, mut laptop) = service.pair().await;
    let message = |from: u8, number: usize| -> Vec<u8> {
        let length = number * 37 % 3000;
        (0..length).map(|i| (i * 7 + number) as u8 ^ from).chain([from]).collect()
    };
    let (mut phone_sent, mut laptop_sent) = (0, 0);
    for number in 0..1000 {
        phone.send(&message(1, number)).await.unwrap();
        phone_sent += 1;
        // Uneven bursts, so that both directions are under way at once.
        if number % 3 == 0 {
            for _ in 0..3 {
                if laptop_sent < 1000 {
                    laptop.send(&message(2, laptop_sent)).await.unwrap();
                    laptop_sent += 1;
                }
            }
        }
        assert_eq!(laptop.recv().await.unwrap(), message(1, number));
    }
    assert_eq!((phone_sent, laptop_sent), (1000, 1000));
    for number in 0..1000 {
        assert_eq!(phone.recv().await.unwrap(), message(2, number));
    }
    phone.close().await;
    assert_eq!(close_code(&mut laptop).await, Some(1000));
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let service = plain().await;
    let (mut phone, mut laptop) = service.pair().await;
    let sending = tokio::spawn(async move {
        for number in 0..15_u8 {
            phone.send(&vec![number; 1 << 20]).await.unwrap();
        }
        phone.close().await;
    });
    // The laptop answers nothing and reads nothing until it has been through this.
    for _ in 0..3 {
        assert_eq!(service.status("GET /", &[]).await, 400);
    }
    for number in 0..15_u8 {
        assert!(laptop.recv().await.unwrap() == vec![number; 1 << 20]);
    }
    assert_eq!(close_code(&mut laptop).await, Some(1000));
    sending.await.unwrap();
}

#[tokio::test]
async fn requests_that_are_none_get_their_status() {
    let service = plain().await;
    let new = format!("GET /cable/new/{TUNNEL_PATH} HTTP/1.1");
    let connect = format!("GET /cable/connect/{HERE}/{TUNNEL_PATH} HTTP/1.1");
    for (line, headers, status) in [
        (format!("POST /cable/new/{TUNNEL_PATH} HTTP/1.1").as_str(), &UPGRADE[..], 405),
        ("GET / HTTP/1.1", &UPGRADE, 200),
        ("GET /other HTTP/1.1", &UPGRADE, 404),
        ("GET /cable/new/5A HTTP/1.1", &UPGRADE, 404),
        ("GET /cable/connect/ABCD/5A HTTP/1.1", &UPGRADE, 404),
        ("GET /cable/contact/AAAA HTTP/1.1", &UPGRADE, 400),
        (&connect, &UPGRADE, 404),
        (&new, &[], 400),
        (&new, &UPGRADE[..4], 400),
        (&new, &[&UPGRADE[..2], &UPGRADE[3..]].concat(), 426),
        ("nonsense", &[], 400),
    ] {
        assert_eq!(service.status(line, headers).await, status, "{line}");
    }
    let long = format!("X: {}", "y".repeat(9000));
    assert_eq!(service.status(&new, &[&long]).await, 431);
    // Lower case, a query, and the subprotocol among others are as good.
    let lower = format!("GET /cable/new/{}?x=y HTTP/1.1", TUNNEL_PATH.to_lowercase());
    assert_eq!(service.status(&lower, &UPGRADE).await, 101);
}

#[tokio::test]
async fn pages_tell_how_the_relay_is() {
    let service = with(Limits { tunnels: 1, ..Limits::default() }).await;
    let page = async |path: &str| service.page(path).await;
    assert!(page("/").await.contains("<h1>Tunnel service</h1>"));
    assert!(page("/healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(page("/readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));

    let (mut phone, mut laptop) = service.pair().await;
    assert!(page("/readyz").await.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    assert!(page("/healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let text = page("/metrics").await;
    for line in [
        "cabled_relay_tunnels{state=\"waiting\"} 0",
        "cabled_relay_tunnels{state=\"joined\"} 1",
        "cabled_relay_tunnels_limit 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing in {text}");
    }
    phone.send(b"12345").await.unwrap();
    assert_eq!(laptop.recv().await.unwrap(), b"12345");
    laptop.close().await;
    assert_eq!(close_code(&mut phone).await, Some(1000));
    // The tunnel is counted when both sides have read their goodbye.
    drop((phone, laptop));
    let ended = "cabled_relay_tunnels_ended_total{state=\"joined\",reason=\"goodbye\"} 1\n";
    let text = eventually(|| service.page("/metrics"), |text| text.contains(ended)).await;
    // The goodbye is counted as a reason, not as a message.
    assert!(text.contains("\ncabled_relay_messages_total 1\n"));
    assert!(text.contains("\ncabled_relay_bytes_total 5\n"));
    assert!(!text.contains(TUNNEL_PATH) && !text.contains("127.0.0.1"));
}

#[tokio::test]
async fn whatever_is_turned_away_is_counted_with_its_reason() {
    let head_deadline = Duration::from_millis(500);
    let waiting = Duration::from_millis(30);
    let service = with(Limits { head_deadline, waiting, ..Limits::default() }).await;
    let counted = async |sample: &str| {
        let line = format!("cabled_relay_{sample} 1\n");
        eventually(|| service.page("/metrics"), |text| text.contains(&line)).await;
    };
    let mut slow = TcpStream::connect(service.address).await.unwrap();
    slow.write_all(b"GET /cable/new/").await.unwrap();
    assert_eq!(slow.read(&mut [0; 16]).await.unwrap_or(0), 0);
    counted("connections_unheard_total{reason=\"slow\"}").await;

    drop(TcpStream::connect(service.address).await.unwrap());
    counted("connections_unheard_total{reason=\"no_request\"}").await;

    assert_eq!(status_of(service.laptop().await), 404);
    counted("requests_refused_total{status=\"404\",reason=\"no_tunnel\"}").await;

    assert_eq!(close_code(&mut service.phone().await.unwrap()).await, Some(1008));
    counted("tunnels_ended_total{state=\"waiting\",reason=\"expired\"}").await;

    let service = with(Limits { messages: 2, ..Limits::default() }).await;
    let (mut phone, mut laptop) = (service.phone().await.unwrap(), service.raw_laptop().await);
    for _ in 0..3 {
        laptop.send(Message::Ping("flood".into())).await.unwrap();
    }
    assert_eq!(close_code(&mut phone).await, Some(1008));
    drop((phone, laptop));
    let line = "tunnels_ended_total{state=\"joined\",reason=\"quota\"} 1\n";
    eventually(|| service.page("/metrics"), |text| text.contains(line)).await;
}

#[tokio::test]
async fn one_phone_and_one_laptop_per_tunnel() {
    let service = plain().await;
    assert_eq!(status_of(service.laptop().await), 404);
    let mut phone = service.phone().await.unwrap();
    assert_eq!(status_of(service.phone().await), 409);
    let elsewhere = RoutingId::new([0, 0, 0]);
    let wrong = service.connector.join_tunnel(&service.url, elsewhere, TUNNEL).await;
    assert_eq!(status_of(wrong), 404);

    let mut laptop = service.laptop().await.unwrap();
    assert_eq!(status_of(service.laptop().await), 404);
    assert_eq!(status_of(service.phone().await), 409);
    laptop.send(b"undisturbed").await.unwrap();
    assert_eq!(phone.recv().await.unwrap(), b"undisturbed");

    laptop.close().await;
    assert_eq!(close_code(&mut phone).await, Some(1000));
    drop(phone);
    eventually(|| service.phone(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn a_phone_that_has_left_is_not_found() {
    let service = plain().await;
    let mut phone = service.phone().await.unwrap();
    phone.close().await;
    eventually(|| service.laptop(), |laptop| matches!(laptop, Err(Error::Status { status: 404 })))
        .await
        .unwrap_err();
    drop(service.phone().await.unwrap());
    eventually(|| service.laptop(), |laptop| matches!(laptop, Err(Error::Status { status: 404 })))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn what_the_phone_says_early_is_kept() {
    for limits in [
        Limits { early_messages: 3, ..Limits::default() },
        Limits { early_bytes: 150, ..Limits::default() },
        Limits {
            early_messages: 0,
            waiting: Duration::MAX,
            life: Duration::MAX,
            ..Limits::default()
        },
    ] {
        let service = with(limits).await;
        let mut phone = service.phone().await.unwrap();
        for number in 0..20_u8 {
            phone.send(&[number; 100]).await.unwrap();
        }
        let mut laptop = service.laptop().await.unwrap();
        for number in 0..20_u8 {
            assert_eq!(laptop.recv().await.unwrap(), [number; 100]);
        }
    }
}

#[tokio::test]
async fn time_limits_end_tunnels() {
    let soon = Duration::from_millis(30);
    let service = with(Limits { waiting: soon, ..Limits::default() }).await;
    assert_eq!(close_code(&mut service.phone().await.unwrap()).await, Some(1008));

    let service = with(Limits { life: soon, ..Limits::default() }).await;
    let (mut phone, mut laptop) = service.pair().await;
    assert_eq!(close_code(&mut phone).await, Some(1008));
    assert_eq!(close_code(&mut laptop).await, Some(1008));
}

#[tokio::test]
async fn slow_requests_are_cut_off() {
    let head_deadline = Duration::from_millis(30);
    let limits = Limits { head_deadline, ..Limits::default() };
    let service = with(limits).await;
    for sent in ["", "GET /cable/new/", "GET / HTTP/1.1\r\nX: y\r\n"] {
        let mut socket = TcpStream::connect(service.address).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    let authority = Authority::new();
    let service = authority.serve("127.0.0.1", limits).await;
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    socket.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn text_and_oversize_are_refused() {
    let service = with(Limits { message_len: 1000, ..Limits::default() }).await;
    for (message, code) in [
        (Message::Text("text".into()), 1003),
        (Message::Binary(vec![0; 1001].into()), 1009),
        (Message::Binary(vec![0; 4 << 20].into()), 1009),
    ] {
        let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
        let mut laptop = service.raw_laptop().await;
        laptop.send(Message::Binary(vec![0; 1000].into())).await.unwrap();
        laptop.send(message).await.unwrap();
        assert_eq!(raw_close_code(&mut laptop).await, code);
        assert_eq!(phone.recv().await.unwrap(), [0; 1000]);
        assert_eq!(close_code(&mut phone).await, Some(1008));
    }
    // Also while nobody has joined.
    let path = "/cable/new/00000000000000000000000000000000";
    let mut phone = service.raw(path).await;
    phone.send(Message::Text("text".into())).await.unwrap();
    assert_eq!(raw_close_code(&mut phone).await, 1003);
}

#[tokio::test]
async fn fragments_are_joined_and_pings_stay_here() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let service = plain().await;
    let mut phone = service.phone().await.unwrap();
    let mut laptop = service.raw_laptop().await;
    let fragment = |kind, last, bytes: &'static [u8]| {
        Message::Frame(Frame::message(bytes, OpCode::Data(kind), last))
    };
    laptop.send(fragment(Data::Binary, false, b"to")).await.unwrap();
    laptop.send(Message::Ping("ping".into())).await.unwrap();
    laptop.send(fragment(Data::Continue, true, b"gether")).await.unwrap();
    assert_eq!(phone.recv().await.unwrap(), b"together");
    assert_eq!(laptop.next().await.unwrap().unwrap(), Message::Pong("ping".into()));
}

#[tokio::test]
async fn a_vanished_side_is_told_from_a_goodbye() {
    let service = plain().await;
    let (phone, mut laptop) = service.pair().await;
    drop(phone);
    assert_eq!(close_code(&mut laptop).await, Some(1001));
    drop(laptop);
    let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
    drop(service.laptop().await.unwrap());
    assert_eq!(close_code(&mut phone).await, Some(1001));
}

#[tokio::test]
async fn last_words_are_delivered_though_their_sender_reset_the_connection() {
    let service = plain().await;
    for _ in 0..50 {
        let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
        let mut laptop = service.laptop().await.unwrap();
        // Never read, so that the phone's end goes with a reset.
        laptop.send(&[0; 10_000]).await.unwrap();
        phone.send(b"reply").await.unwrap();
        phone.send(b"shutdown").await.unwrap();
        phone.send(b"shutdown").await.unwrap();
        drop(phone);
        for expected in [&b"reply"[..], b"shutdown", b"shutdown"] {
            assert_eq!(laptop.recv().await.unwrap(), expected);
        }
        assert_eq!(close_code(&mut laptop).await, Some(1001));
    }
}

/// It may have ended before the relay has brought both together, though the laptop has its answer.
#[tokio::test]
async fn a_phone_that_leaves_while_its_laptop_comes_is_heard_out() {
    let service = with(Limits { tunnel_rate_per_address: 1000, ..Limits::default() }).await;
    for _ in 0..50 {
        let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
        let mut laptop = service.laptop().await.unwrap();
        phone.send(b"last words").await.unwrap();
        drop(phone);
        assert_eq!(laptop.recv().await.unwrap(), b"last words");
        assert_eq!(close_code(&mut laptop).await, Some(1001));
    }
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"dropped\"} 50").await;
    service.counts("messages_total 50").await;
}

#[tokio::test]
async fn quotas_are_kept() {
    let service = with(Limits { messages: 2, ..Limits::default() }).await;
    let (mut phone, mut laptop) = service.pair().await;
    for _ in 0..3 {
        phone.send(b"x").await.unwrap();
    }
    assert_eq!(laptop.recv().await.unwrap(), b"x");
    assert_eq!(laptop.recv().await.unwrap(), b"x");
    assert_eq!(close_code(&mut laptop).await, Some(1008));
    assert_eq!(close_code(&mut phone).await, Some(1008));

    let service = with(Limits { tunnels: 1, ..Limits::default() }).await;
    let (_phone, _laptop) = service.pair().await;
    let other = TunnelId::new([1; 16]);
    assert_eq!(status_of(service.connector.open_tunnel(&service.url, other).await), 503);

    let service = with(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let (phone, laptop) = service.pair().await;
    assert_eq!(status_of(service.phone().await), 429);
    drop((phone, laptop));
    eventually(|| service.phone(), Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn a_flood_from_one_address_is_dropped_without_a_word() {
    let service = with(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let _phone = service.phone().await.unwrap();
    let _over = TcpStream::connect(service.address).await.unwrap();
    let mut flood = TcpStream::connect(service.address).await.unwrap();
    assert_eq!(flood.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_stopped_relay_says_goodbye_and_ends() {
    let service = plain().await;
    let (mut phone, mut laptop) = service.pair().await;
    let other = TunnelId::new([1; 16]);
    let (mut lonely, _) = service.connector.open_tunnel(&service.url, other).await.unwrap();
    service.stop.send(()).unwrap();
    for channel in [&mut phone, &mut laptop, &mut lonely] {
        assert_eq!(close_code(channel).await, Some(1001));
    }
    drop((phone, laptop, lonely));
    service.served.await.unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}

#[tokio::test]
async fn a_draining_relay_lets_tunnels_finish_and_takes_no_new_ones() {
    let service = plain().await;
    let (mut phone, mut laptop) = service.pair().await;
    let other = TunnelId::new([1; 16]);
    let (lonely, _) = service.connector.open_tunnel(&service.url, other).await.unwrap();
    assert_eq!(service.status("GET /readyz HTTP/1.1", &[]).await, 200);
    service.drain.notify_one();
    // Readiness goes first, and a new phone is turned away.
    let ready = || service.status("GET /readyz HTTP/1.1", &[]);
    assert_eq!(eventually(ready, |status| *status == 503).await, 503);
    let third = service.connector.open_tunnel(&service.url, TunnelId::new([2; 16])).await;
    assert_eq!(status_of(third), 503);
    // A laptop still comes to the phone that waits, and what is joined goes on.
    let late = service.connector.join_tunnel(&service.url, HERE, other).await.unwrap();
    phone.send(b"still here").await.unwrap();
    assert_eq!(laptop.recv().await.unwrap(), b"still here");
    drop((phone, laptop));
    assert!(!service.served.is_finished());
    drop((late, lonely));
    // With the last tunnel the relay ends, long before its time.
    timeout(PATIENCE, service.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}

#[tokio::test]
async fn a_draining_relay_ends_in_time() {
    let limits = Limits { drain: Duration::from_millis(200), ..Limits::default() };
    let service = with(limits).await;
    let (mut phone, mut laptop) = service.pair().await;
    service.drain.notify_one();
    for channel in [&mut phone, &mut laptop] {
        assert_eq!(close_code(channel).await, Some(1001));
    }
    drop((phone, laptop));
    timeout(PATIENCE, service.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn addresses_that_cannot_be_served_are_named() {
    let open = Relay::bind(Config::new("0.0.0.0:0".parse().unwrap())).await;
    assert!(matches!(open, Err(relay::Error::Plain { .. })));
    let listen = "0.0.0.0:0".parse().unwrap();
    let allowed = Config { allow_plain: true, ..Config::new(listen) };
    assert!(Relay::bind(allowed).await.is_ok());

    let service = plain().await;
    let taken = Relay::bind(Config::new(service.address)).await;
    assert!(
        matches!(taken, Err(relay::Error::Listen { address, .. }) if address == service.address)
    );

    let missing = TlsFiles { certificate: "/nonexistent".into(), key: "/nonexistent".into() };
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config { tls: Some(missing), ..Config::new(listen) };
    assert!(matches!(Relay::bind(config).await, Err(relay::Error::Tls(_))));
}

#[tokio::test]
async fn routing_ids_are_random_unless_given() {
    let mut ids = std::collections::HashSet::new();
    for _ in 0..8 {
        let relay = Relay::bind(Config::new("127.0.0.1:0".parse().unwrap())).await.unwrap();
        ids.insert(relay.routing_id());
    }
    assert!(ids.len() > 1);
}

/// A throw-away certificate authority.
struct Authority {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(parameters, key), certificate }
    }

    fn issue(&self, name: &str, expired: bool) -> TlsFiles {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let files = TlsFiles {
            certificate: self.folder.path().join("cert.pem"),
            key: self.folder.path().join("key.pem"),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    async fn serve(&self, name: &str, limits: Limits) -> Service {
        self.serve_with(self.issue(name, false), limits, &self.certificate).await
    }

    async fn serve_with(&self, files: TlsFiles, limits: Limits, trusted: &Path) -> Service {
        let config = Config { tls: Some(files), ..local(limits) };
        serve(config, Connector::new(Trust::Only(trusted.to_owned()))).await
    }
}

#[tokio::test]
async fn tunnels_run_over_tls() {
    let authority = Authority::new();
    let service = authority.serve("127.0.0.1", Limits::default()).await;
    assert!(service.url.is_secure());
    let (mut phone, mut laptop) = service.pair().await;
    let large = vec![7; 1 << 20];
    let (sent, received) = tokio::join!(phone.send(&large), laptop.recv());
    sent.unwrap();
    assert!(received.unwrap() == large);
    let ((), code) = tokio::join!(phone.close(), close_code(&mut laptop));
    assert_eq!(code, Some(1000));
    // Plain HTTP at a TLS port is no request.
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[tokio::test]
async fn certificates_are_checked_and_the_fault_is_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls_error = async |files, trusted: &Path| {
        let service = authority.serve_with(files, Limits::default(), trusted).await;
        match service.phone().await {
            Err(Error::Tls { source, service: named }) => {
                assert_eq!(named, service.address.to_string());
                source
            }
            other => panic!("{other:?}"),
        }
    };
    let good = || authority.issue("127.0.0.1", false);
    let unknown = tls_error(good(), &other.certificate).await;
    assert!(matches!(unknown, tls::Error::UnknownAuthority(_)), "{unknown:?}");
    let elsewhere = authority.issue("relay.example", false);
    let wrong_name = tls_error(elsewhere, &authority.certificate).await;
    assert!(matches!(wrong_name, tls::Error::WrongName(_)), "{wrong_name:?}");
    let expired = authority.issue("127.0.0.1", true);
    let wrong_time = tls_error(expired, &authority.certificate).await;
    assert!(matches!(wrong_time, tls::Error::WrongTime(_)), "{wrong_time:?}");

    let files = good();
    let mut service = authority.serve_with(files, Limits::default(), &authority.certificate).await;
    service.connector = Connector::new(Trust::Only("/nonexistent".into()));
    assert!(matches!(service.phone().await, Err(Error::Trust(tls::Error::File { .. }))));

    let service = plain().await;
    let url = service.url.to_string().replace("ws://", "wss://").parse().unwrap();
    let trust = Trust::Only(authority.certificate.clone());
    let not_tls = Connector::new(trust).open_tunnel(&url, TUNNEL).await;
    assert!(matches!(not_tls, Err(Error::Tls { source: tls::Error::Handshake(_), .. })));
}

#[tokio::test]
async fn both_tls_versions_are_served() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::version::{TLS12, TLS13};
    let authority = Authority::new();
    let service = authority.serve("127.0.0.1", Limits::default()).await;
    for version in [&TLS12, &TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&authority.certificate).unwrap()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider().into();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let socket = TcpStream::connect(service.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let socket = connector.connect(name, socket).await.unwrap();
        assert_eq!(socket.get_ref().1.protocol_version(), Some(version.version));
    }
}
