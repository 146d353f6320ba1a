//! Who a client is when it comes through a proxy, and who is believed about that.

use super::*;

const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb";

fn behind(trusted: &str, proxy_protocol: bool) -> Config {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let trusted_proxies = vec![trusted.parse().unwrap()];
    Config { trusted_proxies, proxy_protocol, ..local(limits) }
}

async fn with_config(config: Config) -> Service {
    serve(config, Connector::new(Trust::System)).await
}

/// Connects, opens a tunnel of its own, and gives socket and status; `first` goes before the head.
async fn open(service: &Service, number: u8, first: &[u8], header: &str) -> (TcpStream, u16) {
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    let line = format!("GET /cable/new/{number:032X} HTTP/1.1");
    let head = format!("{line}\r\n{header}{}\r\n\r\n", UPGRADE.join("\r\n"));
    socket.write_all(&[first, head.as_bytes()].concat()).await.unwrap();
    let mut answer = [0; 12];
    let status = match socket.read_exact(&mut answer).await {
        Ok(_) => std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap(),
        Err(_) => 0,
    };
    (socket, status)
}

/// The statuses of phones that come one after the other and stay.
async fn statuses(service: &Service, phones: &[(&[u8], &str)]) -> Vec<u16> {
    let mut open_ones = Vec::new();
    for (number, (first, header)) in (0..).zip(phones) {
        open_ones.push(open(service, number, first, header).await);
    }
    open_ones.into_iter().map(|(_, status)| status).collect()
}

const ONE: &str = "X-Forwarded-For: 192.0.2.1\r\n";
const OTHER: &str = "Forwarded: for=192.0.2.2\r\n";

#[tokio::test]
async fn a_named_proxy_says_for_whom_it_connects() {
    let service = with_config(behind("127.0.0.0/8", false)).await;
    let phones = [(&b""[..], ONE), (b"", OTHER), (b"", ONE), (b"", OTHER)];
    assert_eq!(statuses(&service, &phones).await, [101, 101, 429, 429]);
    // What the client itself claims stands further left.
    let service = with_config(behind("127.0.0.0/8", false)).await;
    let claims = "X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n";
    assert_eq!(statuses(&service, &[(b"", ONE), (b"", claims)]).await, [101, 429]);
    // Without a word the proxy itself is counted.
    let service = with_config(behind("127.0.0.0/8", false)).await;
    assert_eq!(statuses(&service, &[(b"", ""), (b"", ONE), (b"", "")]).await, [101, 101, 429]);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let service = with_config(behind("192.0.2.0/24", true)).await;
    assert_eq!(statuses(&service, &[(b"", ONE), (b"", OTHER)]).await, [101, 429]);
    let service = with_config(behind("192.0.2.0/24", true)).await;
    assert_eq!(statuses(&service, &[(V2, "")]).await, [400]);
    let service = with_config(behind("192.0.2.0/24", true)).await;
    assert_eq!(statuses(&service, &[(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "")]).await, [400]);
}

#[tokio::test]
async fn ipv6_clients_are_told_apart_by_their_network() {
    let client = |address: &str| format!("Forwarded: for=\"[{address}]\"\r\n");
    let (one, near, far) =
        (client("2001:db8:1:1::1"), client("2001:db8:1:1::2"), client("2001:db8:1:2::1"));
    let service = with_config(behind("127.0.0.1", false)).await;
    let phones = [(&b""[..], one.as_str()), (b"", &near), (b"", &far)];
    assert_eq!(statuses(&service, &phones).await, [101, 429, 101]);
    let mut config = behind("127.0.0.1", false);
    config.limits.ipv6_prefix = 48;
    let service = with_config(config).await;
    assert_eq!(statuses(&service, &phones).await, [101, 429, 0], "the third is a flood");
}

#[tokio::test]
async fn unreadable_headers_of_a_proxy_are_refused_and_counted() {
    let service = with_config(behind("127.0.0.1", false)).await;
    for header in [
        "Forwarded: for=\"192.0.2.1\r\n",
        "X-Forwarded-For: nonsense\r\n",
        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2\r\n",
    ] {
        let (_, status) = open(&service, 0, b"", header).await;
        assert_eq!(status, 400, "{header}");
    }
    let sample = "requests_refused_total{status=\"400\",reason=\"forwarded\"} 3";
    service.counts(sample).await;
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let service = with_config(behind("127.0.0.1", true)).await;
    let v1 = &b"PROXY TCP4 192.0.2.8 198.51.100.1 12345 443\r\n"[..];
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    // The client is no named proxy, so its own header is nothing.
    let phones = [(V2, ""), (v1, ONE), (V2, ""), (v1, OTHER), (local, "")];
    assert_eq!(statuses(&service, &phones).await, [101, 101, 429, 429, 101]);
}

#[tokio::test]
async fn a_named_proxy_without_its_header_is_cut_off_and_counted() {
    let service = with_config(behind("127.0.0.1", true)).await;
    for first in [&b""[..], b"PROXY TCP4 192.0.2.8\r\n", &V2[1..]] {
        assert_eq!(open(&service, 0, first, "").await.1, 0);
    }
    let head = "PROXY UNKNOWN\r\nGET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n";
    let counted = "cabled_relay_connections_unheard_total{reason=\"proxy\"} 3\n";
    let ask = async || {
        let mut socket = TcpStream::connect(service.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    eventually(ask, |answer| answer.contains(counted)).await;
}

#[tokio::test]
async fn a_flood_from_behind_a_proxy_is_dropped_and_others_come_through() {
    let service = with_config(behind("127.0.0.1", true)).await;
    let phones = [(V2, ""), (V2, ""), (V2, "")];
    let mut open_ones = Vec::new();
    for (number, (first, header)) in (0..).zip(phones) {
        open_ones.push(open(&service, number, first, header).await);
    }
    let seen: Vec<u16> = open_ones.iter().map(|(_, status)| *status).collect();
    assert_eq!(seen[..2], [101, 429]);
    assert!(open(&service, 9, b"PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n", "").await.1 == 101);
}

#[tokio::test]
async fn the_proxy_protocol_goes_before_tls() {
    use rustls::pki_types::ServerName;
    let authority = Authority::new();
    let files = authority.issue("localhost", false);
    let config = Config { tls: Some(files), ..behind("127.0.0.1", true) };
    let service = serve(config, Connector::new(Trust::System)).await;
    let config = client_config(&Trust::Only(authority.certificate.clone())).unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    socket.write_all(V2).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut socket = connector.connect(name, socket).await.unwrap();
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"HTTP/1.1 200");
}

#[tokio::test]
async fn the_proxy_protocol_needs_a_named_proxy() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config { proxy_protocol: true, ..Config::new(listen) };
    assert!(matches!(Relay::bind(config).await, Err(relay::Error::NoProxy)));
}
