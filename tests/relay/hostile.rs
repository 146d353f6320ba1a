//! Peers that stall, flood, vanish or break the protocol: each ends, and is counted with its reason.

use super::framing::frame;
use super::*;

/// A phone or laptop that writes bytes, and the head that it was answered with.
pub(super) async fn upgraded(service: &Service, path: &str, header: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\n{header}{}\r\n\r\n", UPGRADE.join("\r\n"));
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        assert!(socket.read_buf(&mut answer).await.unwrap() > 0);
    }
    (socket, String::from_utf8(answer).unwrap())
}

async fn laptop(service: &Service, header: &str) -> (TcpStream, String) {
    upgraded(service, &format!("/cable/connect/{HERE}/{TUNNEL_PATH}"), header).await
}

/// The close code that the relay sends before it ends the connection, without other frames.
async fn farewell(socket: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    // A reset after the goodbye is an end, too.
    let _ = socket.read_to_end(&mut bytes).await;
    match bytes.as_slice() {
        [0x88, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[tokio::test]
async fn compression_is_offered_and_not_taken() {
    let service = plain().await;
    let mut phone = service.phone().await.unwrap();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let (mut socket, answer) = laptop(&service, offer).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("extensions"), "{answer}");
    socket.write_all(&frame(0x82, b"plain")).await.unwrap();
    assert_eq!(phone.recv().await.unwrap(), b"plain");
    // Whoever compresses nevertheless is not unpacked.
    socket.write_all(&frame(0xc2, b"bomb")).await.unwrap();
    assert_eq!(farewell(&mut socket).await, Some(1002));
    assert_eq!(close_code(&mut phone).await, Some(1008));
    drop((socket, phone));
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"protocol\"} 1").await;
}

#[tokio::test]
async fn broken_frames_end_a_tunnel() {
    let unmasked = [0x82, 1, 0];
    let unknown = frame(0x83, b"x");
    let long_ping = [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat();
    let split_ping = frame(0x09, b"x");
    let lone_rest = frame(0x80, b"x");
    let cases = [&unmasked[..], &unknown, &long_ping, &split_ping, &lone_rest];
    let service = plain().await;
    for bytes in cases {
        let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
        let (mut socket, _) = laptop(&service, "").await;
        socket.write_all(bytes).await.unwrap();
        assert_eq!(farewell(&mut socket).await, Some(1002), "{bytes:?}");
        assert_eq!(close_code(&mut phone).await, Some(1008));
    }
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"protocol\"} 5").await;
}

#[tokio::test]
async fn text_is_counted_before_and_after_a_laptop_came() {
    let service = plain().await;
    let (mut lonely, _) = upgraded(&service, &format!("/cable/new/{TUNNEL_PATH}"), "").await;
    lonely.write_all(&frame(0x81, b"text")).await.unwrap();
    assert_eq!(farewell(&mut lonely).await, Some(1003));
    service.counts("tunnels_ended_total{state=\"waiting\",reason=\"text\"} 1").await;

    let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
    let (mut socket, _) = laptop(&service, "").await;
    socket.write_all(&frame(0x81, b"text")).await.unwrap();
    assert_eq!(farewell(&mut socket).await, Some(1003));
    assert_eq!(close_code(&mut phone).await, Some(1008));
    drop((socket, phone));
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"text\"} 1").await;
}

#[tokio::test]
async fn pings_without_end_use_up_what_a_tunnel_may_carry() {
    let service = with(Limits { messages: 100, ..Limits::default() }).await;
    // Also before a laptop came, and by one that never reads the answers.
    let (mut lonely, _) = upgraded(&service, &format!("/cable/new/{TUNNEL_PATH}"), "").await;
    let flood = frame(0x89, &[7; 100]).repeat(1000);
    let _ = lonely.write_all(&flood).await;
    service.counts("tunnels_ended_total{state=\"waiting\",reason=\"quota\"} 1").await;

    let mut phone = eventually(|| service.phone(), Result::is_ok).await.unwrap();
    let (mut socket, _) = laptop(&service, "").await;
    let _ = socket.write_all(&flood).await;
    assert_eq!(close_code(&mut phone).await, Some(1008));
    drop((socket, phone));
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"quota\"} 1").await;
}

#[tokio::test]
async fn a_request_drop_by_drop_ends_with_its_deadline() {
    let head_deadline = Duration::from_millis(300);
    let service = with(Limits { head_deadline, ..Limits::default() }).await;
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    let (mut read, mut write) = socket.split();
    let dripping = async {
        let mut drops = tokio::time::interval(Duration::from_millis(5));
        write.write_all(b"GET /cable/new/").await.unwrap();
        loop {
            drops.tick().await;
            if write.write_all(b"5").await.is_err() {
                return std::future::pending::<()>().await;
            }
        }
    };
    // Each byte comes in time, the head does not.
    let mut answer = [0; 16];
    tokio::select! {
        () = dripping => unreachable!(),
        end = read.read(&mut answer) => assert_eq!(end.unwrap_or(0), 0),
    }
    service.counts("connections_unheard_total{reason=\"slow\"} 1").await;
}

#[tokio::test]
async fn a_message_drop_by_drop_ends_with_its_tunnel() {
    let service = with(Limits { life: Duration::from_millis(300), ..Limits::default() }).await;
    let mut phone = service.phone().await.unwrap();
    let (mut socket, _) = laptop(&service, "").await;
    // The beginning of a message of 1 MiB.
    socket.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]).await.unwrap();
    socket.write_all(&[7; 1000]).await.unwrap();
    assert_eq!(close_code(&mut phone).await, Some(1008));
    assert_eq!(farewell(&mut socket).await, Some(1008));
    drop((socket, phone));
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"expired\"} 1").await;
}

#[tokio::test]
async fn a_half_closed_connection_ends_its_tunnel() {
    let service = plain().await;
    let mut phone = service.phone().await.unwrap();
    let (mut socket, _) = laptop(&service, "").await;
    socket.write_all(&frame(0x82, b"last words")).await.unwrap();
    socket.shutdown().await.unwrap();
    // It would still read, and never says goodbye.
    assert_eq!(phone.recv().await.unwrap(), b"last words");
    assert_eq!(close_code(&mut phone).await, Some(1001));
    drop(phone);
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"dropped\"} 1").await;
    service.counts("tunnels{state=\"joined\"} 0").await;
}

#[tokio::test]
async fn one_who_is_silently_gone_costs_no_more_than_a_tunnels_life() {
    let limits = Limits { life: Duration::from_millis(100), ..Limits::default() };
    let service = with(limits).await;
    let mut phone = service.phone().await.unwrap();
    // Reads nothing, says nothing, and its connection never ends: as a machine without power.
    let (silent, _) = laptop(&service, "").await;
    let sending = async {
        loop {
            if phone.send(&[7; 1 << 20]).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, sending).await.unwrap();
    service.counts("tunnels{state=\"joined\"} 0").await;
    let sample = "tunnels_ended_total{state=\"joined\",reason=\"expired\"} 1";
    service.counts(sample).await;
    drop(silent);
}

#[tokio::test]
async fn one_who_is_gone_before_the_answer_to_a_good_request_is_counted() {
    let service = plain().await;
    for (path, sample) in [
        (format!("/cable/new/{TUNNEL_PATH}"), "tunnels_ended_total{state=\"waiting\",reason="),
        (format!("/cable/listen/{}", "A".repeat(43)), "listeners_ended_total{reason="),
    ] {
        let mut socket = TcpStream::connect(service.address).await.unwrap();
        socket.set_zero_linger().unwrap();
        let head = format!("GET {path} HTTP/1.1\r\n{}\r\n\r\n", UPGRADE.join("\r\n"));
        // Both in one go on this thread: the relay reads the request of a connection that is reset.
        socket.write_all(head.as_bytes()).await.unwrap();
        drop(socket);
        service.counts(&format!("{sample}\"dropped\"}} 1")).await;
    }
    service.counts("tunnels{state=\"waiting\"} 0").await;
}

#[tokio::test]
async fn one_who_is_never_joined_is_told_and_counted() {
    let limits = Limits { waiting: Duration::from_millis(100), ..Limits::default() };
    let service = with(limits).await;
    let (mut silent, _) = upgraded(&service, &format!("/cable/new/{TUNNEL_PATH}"), "").await;
    assert_eq!(farewell(&mut silent).await, Some(1008));
    service.counts("tunnels_ended_total{state=\"waiting\",reason=\"expired\"} 1").await;
    service.counts("tunnels{state=\"waiting\"} 0").await;
}

/// The second of two small messages, written by a peer with Nagle's algorithm on, goes out when the
/// first is acknowledged, which the kernel puts off by 40 ms unless it is told not to. This is the one test
/// that looks at the clock: the time is what it is about, and three of four may be late.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn two_small_messages_of_one_who_delays_arrive_together() {
    let service = plain().await;
    let (mut phone, _) = upgraded(&service, &format!("/cable/new/{TUNNEL_PATH}"), "").await;
    let mut laptop = service.laptop().await.unwrap();
    phone.set_nodelay(false).unwrap();
    let mut times = Vec::new();
    for _ in 0..60 {
        // As in a ceremony: a question, and the answer in two parts.
        laptop.send(&[1; 100]).await.unwrap();
        let mut question = [0; 102];
        phone.read_exact(&mut question).await.unwrap();
        #[allow(clippy::disallowed_methods, reason = "what a person waits is measured")]
        let asked = std::time::Instant::now();
        phone.write_all(&frame(0x82, &[2; 100])).await.unwrap();
        phone.write_all(&frame(0x82, &[3; 100])).await.unwrap();
        assert_eq!(laptop.recv().await.unwrap(), [2; 100]);
        assert_eq!(laptop.recv().await.unwrap(), [3; 100]);
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    println!("two small messages: median {:?}, slowest {:?}", times[30], times[59]);
    // A busy machine delays some of them, a delayed acknowledgement most.
    assert!(times[15] < Duration::from_millis(20), "{times:?}");
}
