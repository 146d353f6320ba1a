//! What an operator does: new certificates, pages on an address of their own, HTTP to HTTPS.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use super::*;

async fn page_at(address: SocketAddr, head: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str) -> String {
    page_at(address, &format!("GET {path} HTTP/1.1\r\nHost: relay.example\r\n\r\n")).await
}

async fn sample(address: SocketAddr, name: &str) -> u64 {
    let text = get(address, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// Asks every few milliseconds, for as long as patience lasts.
async fn until<F: Future<Output = bool>>(mut done: impl FnMut() -> F, what: &str) {
    let waiting = async {
        let mut tries = tokio::time::interval(Duration::from_millis(5));
        while !done().await {
            tries.tick().await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

/// A relay with TLS, its pages apart, and what they are.
struct Secure {
    service: Service,
    pages: SocketAddr,
    redirects: SocketAddr,
    authority: Authority,
    files: TlsFiles,
}

async fn secure() -> Secure {
    let authority = Authority::new();
    let files = authority.issue("127.0.0.1", false);
    let any = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        tls: Some(files.clone()),
        tls_poll: Duration::from_millis(10),
        metrics_listen: Some(any),
        redirect_listen: Some(any),
        ..local(Limits::default())
    };
    let relay = Relay::bind(config).await.unwrap();
    let (pages, redirects) = (relay.metrics_addr().unwrap(), relay.redirect_addr().unwrap());
    let connector = Connector::new(Trust::Only(authority.certificate.clone()));
    Secure { service: run(relay, connector), pages, redirects, authority, files }
}

/// The certificate that the relay shows now.
async fn shown(secure: &Secure) -> CertificateDer<'static> {
    let config = client_config(&Trust::Only(secure.authority.certificate.clone())).unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let socket = TcpStream::connect(secure.service.address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let socket = connector.connect(name, socket).await.unwrap();
    socket.get_ref().1.peer_certificates().unwrap().first().unwrap().clone().into_owned()
}

const USED: &str = "cabled_relay_tls_reloads_total{result=\"used\"}";
const REFUSED: &str = "cabled_relay_tls_reloads_total{result=\"refused\"}";

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let secure = secure().await;
    let on_disk = || CertificateDer::from_pem_file(&secure.files.certificate).unwrap();
    let (mut phone, mut laptop) = secure.service.pair().await;
    let first = shown(&secure).await;
    assert_eq!(first, on_disk());
    assert_eq!(sample(secure.pages, USED).await + sample(secure.pages, REFUSED).await, 0);

    secure.authority.issue("127.0.0.1", false);
    let second = on_disk();
    assert_ne!(first, second);
    until(async || shown(&secure).await == second, "the new certificate").await;
    assert!(sample(secure.pages, USED).await >= 1);

    // A pair that does not fit is not used, and said once.
    let refused = sample(secure.pages, REFUSED).await;
    std::fs::write(&secure.files.key, "nonsense").unwrap();
    until(async || sample(secure.pages, REFUSED).await > refused, "the refusal").await;
    assert_eq!(shown(&secure).await, second);
    std::fs::remove_file(&secure.files.certificate).unwrap();
    until(async || sample(secure.pages, REFUSED).await > refused + 1, "the refusal").await;
    assert_eq!(shown(&secure).await, second);

    // And whatever comes after it is.
    secure.authority.issue("127.0.0.1", false);
    let third = on_disk();
    until(async || shown(&secure).await == third, "the third certificate").await;

    // The tunnel of the first certificate's time noticed nothing.
    for number in 0..20_u8 {
        phone.send(&[number]).await.unwrap();
        assert_eq!(laptop.recv().await.unwrap(), [number]);
    }
}

#[tokio::test]
async fn pages_for_operators_can_have_an_address_of_their_own() {
    let any = "127.0.0.1:0".parse().unwrap();
    let config = Config { metrics_listen: Some(any), ..local(Limits::default()) };
    let relay = Relay::bind(config).await.unwrap();
    let pages = relay.metrics_addr().unwrap();
    let service = run(relay, Connector::new(Trust::System));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(get(pages, path).await.starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
        assert!(service.page(path).await.starts_with("HTTP/1.1 404 "), "{path}");
    }
    assert!(service.page("/").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // Nothing else is there, no tunnel either.
    let upgrade =
        format!("GET /cable/new/{TUNNEL_PATH} HTTP/1.1\r\n{}\r\n\r\n", UPGRADE.join("\r\n"));
    assert!(page_at(pages, &upgrade).await.starts_with("HTTP/1.1 404 "));
    assert!(get(pages, "/").await.starts_with("HTTP/1.1 404 "));
    assert!(page_at(pages, "POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(9000));
    assert!(page_at(pages, &long).await.starts_with("HTTP/1.1 431 "));
    assert!(get(pages, "/metrics").await.contains("\ncabled_relay_connections 0\n"));
    // They say that it drains until it has ended.
    let _phone = service.phone().await.unwrap();
    service.drain.notify_one();
    until(async || get(pages, "/readyz").await.starts_with("HTTP/1.1 503 "), "draining").await;
    service.stop.send(()).unwrap();
    timeout(PATIENCE, service.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(pages).await.is_err());
}

#[tokio::test]
async fn http_is_sent_to_https() {
    let secure = secure().await;
    let answer = get(secure.redirects, "/cable/new/0?x=y").await;
    assert!(answer.starts_with("HTTP/1.1 308 Permanent Redirect\r\n"), "{answer}");
    let port = secure.service.address.port();
    let location = format!("\r\nLocation: https://relay.example:{port}/cable/new/0?x=y\r\n");
    assert!(answer.contains(&location), "{answer}");
    let nowhere = page_at(secure.redirects, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(nowhere.starts_with("HTTP/1.1 400 "), "{nowhere}");

    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config { redirect_listen: Some(listen), ..Config::new(listen) };
    assert!(matches!(Relay::bind(config).await, Err(relay::Error::NoHttps)));
}

#[tokio::test]
async fn side_listeners_cut_off_who_is_slow() {
    let any = "127.0.0.1:0".parse().unwrap();
    let limits = Limits { head_deadline: Duration::from_millis(30), ..Limits::default() };
    let config = Config { metrics_listen: Some(any), ..local(limits) };
    let relay = Relay::bind(config).await.unwrap();
    let pages = relay.metrics_addr().unwrap();
    let _service = run(relay, Connector::new(Trust::System));
    let mut socket = TcpStream::connect(pages).await.unwrap();
    socket.write_all(b"GET /metr").await.unwrap();
    assert_eq!(socket.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_listener_that_there_is_can_be_taken_over() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = Relay::adopt(listener, local(Limits::default())).await.unwrap();
    assert_eq!(relay.local_addr(), address);
    let service = run(relay, Connector::new(Trust::System));
    let (mut phone, mut laptop) = service.pair().await;
    phone.send(b"hello").await.unwrap();
    assert_eq!(laptop.recv().await.unwrap(), b"hello");
    // What an address may do is judged by the listener's, not by what was configured.
    let open = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = Relay::adopt(open, local(Limits::default())).await;
    assert!(matches!(refused, Err(relay::Error::Plain { .. })));
}

#[test]
fn settings_can_be_checked_without_listening() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::new(taken.local_addr().unwrap());
    assert!(Relay::check(&config).is_ok());
    let missing = TlsFiles { certificate: "/nonexistent".into(), key: "/nonexistent".into() };
    let config = Config { tls: Some(missing), ..config };
    assert!(matches!(Relay::check(&config), Err(relay::Error::Tls(_))));
}
