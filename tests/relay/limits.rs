//! How many and how fast: rates, profiles, and the reasons that are counted.

use super::*;

/// Opens tunnels, and keeps them, until the relay takes no more; gives the answer to that.
async fn refusal_after_some(service: &Service) -> String {
    let mut open = Vec::new();
    for number in 0..200_u8 {
        let mut socket = TcpStream::connect(service.address).await.unwrap();
        let line = format!("GET /cable/new/{number:032X} HTTP/1.1");
        let head = format!("{line}\r\nHost: relay\r\n{}\r\n\r\n", UPGRADE.join("\r\n"));
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        if status != *b"HTTP/1.1 101" {
            let mut rest = String::new();
            socket.read_to_string(&mut rest).await.unwrap();
            return format!("{}{rest}", String::from_utf8_lossy(&status));
        }
        open.push(socket);
    }
    panic!("200 tunnels and no end");
}

#[tokio::test]
async fn new_tunnels_come_at_a_rate() {
    for (limits, status, reason) in [
        (Limits { tunnel_rate: 1, ..Limits::default() }, 503, "rate"),
        (Limits { tunnel_rate_per_address: 1, ..Limits::default() }, 429, "rate_per_address"),
    ] {
        let service = with(limits).await;
        let answer = refusal_after_some(&service).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
        let label = format!("{{status=\"{status}\",reason=\"{reason}\"}}");
        service.counts(&format!("requests_refused_total{label} 1")).await;
        // A laptop is not held up, and the next second has room for a phone.
        assert_eq!(status_of(service.laptop().await), 404);
        let mut tries = tokio::time::interval(Duration::from_millis(50));
        let mut came = false;
        for _ in 0..1000 {
            tries.tick().await;
            came = service.phone().await.is_ok();
            if came {
                break;
            }
        }
        assert!(came, "{reason}");
    }
}

#[tokio::test]
async fn refusals_say_when_to_come_again_and_are_told_apart() {
    let service = with(Limits { tunnels: 1, ..Limits::default() }).await;
    let answer = refusal_after_some(&service).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 60\r\n"));
    service.counts("requests_refused_total{status=\"503\",reason=\"tunnels\"} 1").await;

    let service = with(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let answer = refusal_after_some(&service).await;
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nRetry-After: 60\r\n"));
    let refused = "requests_refused_total{status=\"429\",reason=\"connections_per_address\"} 1";
    service.counts(refused).await;
    service.counts("connections_limit 20256").await;
}

#[tokio::test]
async fn the_strict_profile_takes_what_ceremonies_need() {
    let message_len = Limits::STRICT_MESSAGE_LEN;
    let service = with(Limits { message_len, ..Limits::default() }).await;
    let (mut phone, mut laptop) = service.pair().await;
    phone.send(&vec![1; 16 << 10]).await.unwrap();
    assert_eq!(laptop.recv().await.unwrap().len(), 16 << 10);
    phone.send(&vec![1; (16 << 10) + 1]).await.unwrap();
    assert_eq!(close_code(&mut phone).await, Some(1009));
    assert_eq!(close_code(&mut laptop).await, Some(1008));
    drop((phone, laptop));
    service.counts("tunnels_ended_total{state=\"joined\",reason=\"too_long\"} 1").await;
}
#[tokio::test]
async fn beyond_all_connections_nobody_is_accepted() {
    let service = with(Limits { connections: 2, ..Limits::default() }).await;
    let (mut phone, mut laptop) = service.pair().await;
    let mut third = TcpStream::connect(service.address).await.unwrap();
    third.write_all(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n").await.unwrap();
    // Nobody reads it while there is no room, and whoever is in goes on.
    for number in 0..50_u8 {
        phone.send(&[number]).await.unwrap();
        assert_eq!(laptop.recv().await.unwrap(), [number]);
    }
    let mut answer = [0; 12];
    let unread = std::io::ErrorKind::WouldBlock;
    assert_eq!(third.try_read(&mut answer).unwrap_err().kind(), unread);
    drop((phone, laptop));
    third.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"HTTP/1.1 200");
}
