//! Through a scripted proxy: what it is asked, and what each of its answers comes to.

use super::*;
use crate::channel::proxy::{Fault, Proxies};

/// Its name exists nowhere: looking it up is the proxy's job.
const SERVICE: &str = "wss://relay.invalid:8443";

impl Service {
    /// This machine as a proxy for everything but itself.
    fn proxies(&self, user: &str) -> Proxies {
        Proxies::new(format!("http://{user}{}", self.address).parse().unwrap(), "".parse().unwrap())
    }
}

/// Asks for a tunnel through a proxy that answers so; gives the proxy's fault and what it was asked.
async fn refused(answer: &str) -> (Fault, String) {
    let proxy = Service::new().await;
    let connector = connector().with_proxies(proxy.proxies("Aladdin:open%20sesame@"));
    let url = SERVICE.parse().unwrap();
    let (opened, (_socket, request)) = tokio::join!(connector.open_tunnel(&url, TUNNEL), async {
        let (mut socket, request) = proxy.request().await;
        socket.write_all(answer.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        (socket, request)
    });
    let error = opened.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("sesame"), "{error:?}");
    match error {
        Error::Proxy { proxy: named, source } => {
            assert_eq!(named, format!("http://{}", proxy.address));
            (source, request)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refusals_keep_their_number() {
    for status in [302, 401, 403, 407, 502, 503] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\nx");
        let (fault, request) = refused(&answer).await;
        assert!(matches!(fault, Fault::Status(number) if number == status), "{fault:?}");
        assert_eq!(
            request,
            "CONNECT relay.invalid:8443 HTTP/1.1\r\nHost: relay.invalid:8443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_said_to_be_none() {
    let endless = format!("HTTP/1.1 200 X\r\nA: {}", "x".repeat(20_000));
    for odd in
        ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 101 X\r\n\r\n", "HTTP/1.1 200 X\r\n\r\nhello", &endless]
    {
        let (fault, _) = refused(odd).await;
        assert!(matches!(fault, Fault::Answer), "{odd:.30}: {fault:?}");
    }
    let (fault, _) = refused("HTTP/1.1 200").await;
    let lost = matches!(&fault, Fault::Unreachable(why) if matches!(**why, Error::Lost(_)));
    assert!(lost, "{fault:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let proxy = Service::new().await;
    let proxies = proxy.proxies("");
    drop(proxy);
    let url = SERVICE.parse().unwrap();
    let error = connector().with_proxies(proxies).open_tunnel(&url, TUNNEL).await.unwrap_err();
    let Error::Proxy { source: Fault::Unreachable(why), .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**why, Error::Connect { .. }), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_has_no_more_time_than_a_service() {
    let proxy = Service::new().await;
    let connector = connector().with_proxies(proxy.proxies(""));
    let url = SERVICE.parse().unwrap();
    // It takes the request and never answers.
    let (opened, _held) = tokio::join!(connector.open_tunnel(&url, TUNNEL), proxy.request());
    assert!(matches!(opened, Err(Error::TimedOut)), "{opened:?}");
}

#[tokio::test]
async fn plain_services_go_through_the_proxy_too_if_they_are_allowed() {
    let proxy = Service::new().await;
    let connector = connector().with_proxies(proxy.proxies("")).allow_plain();
    let url: ServiceUrl = "ws://relay.invalid".parse().unwrap();
    let (opened, request) = tokio::join!(connector.open_tunnel(&url, TUNNEL), async {
        let (mut socket, request) = proxy.request().await;
        assert_eq!(request, "CONNECT relay.invalid:80 HTTP/1.1\r\nHost: relay.invalid:80\r\n\r\n");
        socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        switched(&mut socket).await
    });
    assert_eq!(opened.unwrap().1, ROUTING);
    assert!(request.contains("\r\nHost: relay.invalid\r\n"), "{request}");
}

/// Reads the upgrade that comes after CONNECT, and agrees to it.
async fn switched(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let request = String::from_utf8(head).unwrap();
    socket.write_all(switching(&request, GOOD).as_bytes()).await.unwrap();
    request
}

#[tokio::test]
async fn a_probe_tells_the_date_also_of_a_refusal() {
    let service = Service::new().await;
    let date = "Tue, 24 Nov 2026 06:29:49 GMT";
    let answer = format!("HTTP/1.1 404 X\r\nDate: {date}\r\n\r\n");
    let (connector, url) = (connector(), service.url());
    let (reply, (_, request)) =
        tokio::join!(connector.probe(&url, TUNNEL), service.answer(&answer));
    assert!(matches!(reply.outcome, Err(Error::Status { status: 404 })));
    assert_eq!(reply.date.as_deref(), Some(date));
    assert!(request.starts_with(&format!("GET {PATH_NEW} ")));
    let good = format!("{GOOD}Date: {date}\r\n");
    let (reply, goodbye) = tokio::join!(connector.probe(&url, TUNNEL), async {
        let (mut socket, _) = service.switch(&good, b"\x88\x02\x03\xe8").await;
        frames(&mut socket).await
    });
    assert_eq!((reply.outcome.unwrap(), reply.date.as_deref()), (ROUTING, Some(date)));
    assert_eq!(goodbye.last().map(|(opcode, _)| *opcode), Some(0x88), "no goodbye");
}
