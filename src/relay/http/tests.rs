//! Which heads are upgraded, and which status the others get.

use super::*;

const TUNNEL: &str = "00112233445566778899AABBCCDDEEFF";
const HEADERS: [&str; 5] = [
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: fido.cable",
];

fn judge(head: &[u8]) -> Option<Verdict> {
    super::judge(head, None).map(|judged| judged.verdict)
}

fn head(line: &str, headers: &[&str]) -> Vec<u8> {
    format!("{line}\r\n{}\r\n\r\n", headers.join("\r\n")).into_bytes()
}

fn new(headers: &[&str]) -> Verdict {
    judge(&head(&format!("GET /cable/new/{TUNNEL} HTTP/1.1"), headers)).unwrap()
}

fn replaced(index: usize, header: &'static str) -> Vec<&'static str> {
    let mut headers = HEADERS.to_vec();
    headers[index] = header;
    headers
}

#[test]
fn a_good_head_is_upgraded() {
    let upgrade = new(&HEADERS).unwrap();
    assert_eq!(upgrade.endpoint, Endpoint::New(TUNNEL.parse().unwrap()));
    let response = upgrade.response(Some((ROUTING_ID_HEADER, "AB0001")));
    // The example of RFC 6455 section 1.3.
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains("\r\nX-caBLE-Routing-ID: AB0001\r\n"));
    assert!(response.contains("\r\nSec-WebSocket-Protocol: fido.cable\r\n"));
    assert!(response.ends_with("\r\n\r\n"));
    assert!(!upgrade.response(None).contains("Routing"));
}

#[test]
fn the_subprotocol_may_stand_among_others() {
    assert!(new(&replaced(4, "Sec-WebSocket-Protocol: chat, fido.cable")).is_ok());
    let twice = "Sec-WebSocket-Protocol: chat\r\nsec-websocket-protocol:fido.cable";
    assert!(new(&replaced(4, twice)).is_ok());
}

#[test]
fn missing_or_wrong_headers_are_refused() {
    for (index, header, status) in [
        (0, "X: y", Status::BadRequest),
        (1, "X: y", Status::BadRequest),
        (1, "Upgrade: h2c", Status::BadRequest),
        (2, "X: y", Status::Version),
        (2, "Sec-WebSocket-Version: 8", Status::Version),
        (3, "X: y", Status::BadRequest),
        (3, "Sec-WebSocket-Key: short", Status::BadRequest),
        (3, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===", Status::BadRequest),
        (4, "X: y", Status::BadRequest),
        (4, "Sec-WebSocket-Protocol: chat", Status::BadRequest),
        (4, "Sec-WebSocket-Protocol: xfido.cable", Status::BadRequest),
    ] {
        assert_eq!(new(&replaced(index, header)).unwrap_err(), status, "{header}");
    }
}

#[test]
fn lines_are_judged_before_headers() {
    let status = |line: &str, headers: &[&str]| judge(&head(line, headers)).unwrap().unwrap_err();
    assert_eq!(status("POST /cable/new/0 HTTP/1.1", &HEADERS), Status::Method);
    for path in [
        "/other",
        "/metrics/",
        "/cable/new/00",
        "/cable/new/zz112233445566778899AABBCCDDEEFF",
        "/cable/connect/00/00112233445566778899AABBCCDDEEFF",
        "http://host/cable/new/00112233445566778899AABBCCDDEEFF",
    ] {
        assert_eq!(status(&format!("GET {path} HTTP/1.1"), &["X: y"]), Status::NoPath);
    }
    for (path, page) in [
        ("/", Page::Landing),
        ("/healthz", Page::Health),
        ("/readyz?x=y", Page::Ready),
        ("/metrics", Page::Metrics),
    ] {
        assert_eq!(status(&format!("GET {path} HTTP/1.1"), &["X: y"]), Status::Page(page));
        let posted = status(&format!("POST {path} HTTP/1.1"), &["X: y"]);
        assert_eq!(posted, Status::Method);
    }
    let old = format!("GET /cable/new/{TUNNEL} HTTP/1.0");
    assert_eq!(status(&old, &HEADERS), Status::BadRequest);
    assert_eq!(judge(b"\x16\x03\x01\x02\x00").unwrap().unwrap_err(), Status::BadRequest);
}

#[test]
fn every_beginning_of_a_head_waits_for_more() {
    let whole = head(&format!("GET /cable/new/{TUNNEL} HTTP/1.1"), &HEADERS);
    for length in 0..whole.len() {
        assert!(judge(&whole[..length]).is_none(), "{length}");
    }
    let mut more = whole.clone();
    more.extend(b"\x82\x80abcd");
    assert_eq!(judge(&more).unwrap().unwrap().rest, b"\x82\x80abcd");
}

#[tokio::test]
async fn heads_are_bounded() {
    let (mut client, mut server) = tokio::io::duplex(64 * 1024);
    client.write_all(b"GET /").await.unwrap();
    client.write_all(&[b'a'; MAX_HEAD_LEN]).await.unwrap();
    assert_eq!(receive(&mut server, None).await.unwrap().verdict.unwrap_err(), Status::Head);

    let many = vec!["X: y"; MAX_HEADERS + 1];
    assert_eq!(new(&many).unwrap_err(), Status::Head);
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte_or_not_at_all() {
    let (mut client, mut server) = tokio::io::duplex(1);
    let whole = head(&format!("GET /cable/new/{TUNNEL} HTTP/1.1"), &HEADERS);
    let write = async { client.write_all(&whole).await.unwrap() };
    let (judged, ()) = tokio::join!(receive(&mut server, None), write);
    assert!(judged.unwrap().verdict.is_ok());
    client.write_all(b"G").await.unwrap();
    drop(client);
    assert!(receive(&mut server, None).await.is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_judge_panic(
        start in 0..200_usize,
        junk in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
    ) {
        let whole = head(&format!("GET /cable/new/{TUNNEL} HTTP/1.1"), &HEADERS);
        let mut spoiled = whole[..start].to_vec();
        spoiled.extend(&junk);
        spoiled.extend(b"\r\n\r\n");
        for head in [spoiled, junk] {
            let upgradable = matches!(judge(&head), Some(Ok(_)));
            proptest::prop_assert!(!upgradable);
        }
    }
}

#[test]
fn only_a_named_proxy_says_for_whom() {
    let proxies = Proxies { networks: vec!["10.0.0.0/8".parse().unwrap()], header: false };
    let with = |header: &'static str, proxies| {
        let headers: Vec<&str> = HEADERS.into_iter().chain([header]).collect();
        let whole = head(&format!("GET /cable/new/{TUNNEL} HTTP/1.1"), &headers);
        super::judge(&whole, proxies).unwrap()
    };
    let client = Some("192.0.2.7".parse().unwrap());
    for header in ["forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7, 10.0.0.1"] {
        let judged = with(header, Some(&proxies));
        assert!(judged.verdict.is_ok() && judged.client == client, "{header}");
        assert_eq!(with(header, None).client, None, "{header}");
    }
    let broken = with("Forwarded: for=x", Some(&proxies));
    assert_eq!(broken.verdict.unwrap_err(), Status::Forwarded);
    assert!(with("Forwarded: for=x", None).verdict.is_ok());
    assert_eq!(with("X: y", Some(&proxies)).client, None);
}
