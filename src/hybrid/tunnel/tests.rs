//! The published and the independently computed vectors of domains, paths and contact URLs.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::array(value.as_str().unwrap()).unwrap()
}

fn domain(id: u16) -> Result<String, Error> {
    TunnelServiceId::new(id).domain()
}

#[test]
fn published_domains() {
    let vectors = &vectors("public")["tunnel_domains"];
    let values = vectors["values"].as_array().unwrap();
    assert_eq!(values.len(), 8);
    for value in values {
        let id = value["id"].as_u64().unwrap().try_into().unwrap();
        assert_eq!(domain(id).unwrap(), value["domain"].as_str().unwrap());
    }
    for id in vectors["unassigned_must_reject"].as_array().unwrap() {
        let id = id.as_u64().unwrap().try_into().unwrap();
        assert_eq!(domain(id), Err(Error::UnassignedService(id)));
    }
}

#[test]
fn independent_domains() {
    let vectors = &vectors("oracle")["domains"];
    let values = vectors["decode"].as_object().unwrap();
    assert!(values.len() > 100);
    for (id, expected) in values {
        assert_eq!(domain(id.parse().unwrap()).unwrap(), expected.as_str().unwrap());
    }
    for id in vectors["unassigned"].as_array().unwrap() {
        let id = u16::try_from(id.as_u64().unwrap()).unwrap();
        assert_eq!(domain(id), Err(Error::UnassignedService(id)));
        assert!(!TunnelServiceId::new(id).is_known());
    }
}

#[test]
fn every_hashed_domain() {
    let mut all = String::new();
    for id in TunnelServiceId::FIRST_HASHED..=u16::MAX {
        assert!(TunnelServiceId::new(id).is_known());
        writeln!(all, "{id} {}", domain(id).unwrap()).unwrap();
    }
    let expected = &vectors("oracle")["domains"]["sha256_of_all_256_to_65535"];
    assert_eq!(<[u8; 32]>::from(Sha256::digest(all)), bytes(expected));
}

#[test]
fn known_ids_are_those_with_a_domain() {
    for id in 0..=300 {
        assert_eq!(TunnelServiceId::new(id).is_known(), domain(id).is_ok());
    }
}

#[test]
fn service_id_is_little_endian_in_the_advert() {
    let id = TunnelServiceId::from_le_bytes([0x80, 0xf9]);
    assert_eq!(id.value(), 63872);
    assert_eq!(id.to_le_bytes(), [0x80, 0xf9]);
}

#[test]
fn published_paths() {
    let vectors = &vectors("public")["tunnel_paths"]["values"];
    let tunnel = TunnelId::new(*b"hello, webauthn!");
    let routing = RoutingId::new(*b"abc");
    for (value, endpoint) in
        [(&vectors[0], Endpoint::New(tunnel)), (&vectors[1], Endpoint::Connect(routing, tunnel))]
    {
        both_ways(&endpoint, value["path"].as_str().unwrap());
    }
}

#[test]
fn independent_paths() {
    let vectors = vectors("oracle");
    let values = vectors["eid"]["ok"].as_array().unwrap();
    assert!(values.len() > 5);
    for value in values {
        let tunnel = TunnelId::new(bytes(&value["tunnel_id"]));
        let routing = RoutingId::new(bytes(&value["routing_id"]));
        both_ways(&Endpoint::New(tunnel), value["path_new"].as_str().unwrap());
        both_ways(&Endpoint::Connect(routing, tunnel), value["path_connect"].as_str().unwrap());
    }
}

#[test]
fn independent_contact() {
    let vectors = vectors("oracle");
    let contact = &vectors["contact"];
    let id = ContactId::new(bytes::<24>(&contact["contact_id"]).to_vec()).unwrap();
    let path = contact["path"].as_str().unwrap();
    let endpoint = Endpoint::Contact(id);
    assert_eq!(endpoint.path(), path);
    assert_eq!(Endpoint::parse(path).unwrap(), endpoint);

    let header = contact["client_payload_header"].as_str().unwrap();
    let payload = decode_client_payload(header).unwrap();
    assert_eq!(encode_client_payload(&payload), header);
    assert_eq!(decode_client_payload(&header.to_lowercase()).unwrap(), payload);
}

fn both_ways(endpoint: &Endpoint, path: &str) {
    assert_eq!(endpoint.path(), path);
    assert_eq!(&Endpoint::parse(path).unwrap(), endpoint);
    let (root, ids) = path.split_at("/cable/new/".len());
    let lower = format!("{root}{}?query=1", ids.to_lowercase());
    assert_eq!(&Endpoint::parse(&lower).unwrap(), endpoint);
}

#[test]
fn paths_that_no_service_has() {
    let tid = "00112233445566778899AABBCCDDEEFF";
    for (path, error) in [
        (String::new(), Error::Path),
        ("/".into(), Error::Path),
        ("/cable".into(), Error::Path),
        ("/cable/new".into(), Error::Path),
        ("/cable/connect/000000".into(), Error::Path),
        (format!("/CABLE/new/{tid}"), Error::Path),
        (format!("/cable/New/{tid}"), Error::Path),
        (format!("cable/new/{tid}"), Error::Path),
        (format!("/cable/new/{tid}/"), Error::Path),
        (format!("/cable/connect/000000/{tid}/x"), Error::Path),
        ("/cable/new/".into(), Error::TunnelId),
        (format!("/cable/new/{tid}0"), Error::TunnelId),
        (format!("/cable/new/{}g", &tid[1..]), Error::TunnelId),
        (format!("/cable/new/+{}", &tid[1..]), Error::TunnelId),
        (format!("/cable/new/{}é", &tid[2..]), Error::TunnelId),
        (format!("/cable/connect/00000/{tid}"), Error::RoutingId),
        (format!("/cable/connect/00 000/{tid}"), Error::RoutingId),
        ("/cable/contact/".into(), Error::ContactId),
        ("/cable/contact/AA==".into(), Error::ContactId),
        ("/cable/contact/A".into(), Error::ContactId),
        ("/cable/contact/AB".into(), Error::ContactId),
        ("/cable/contact/AA+A".into(), Error::ContactId),
        (format!("/cable/contact/{}", "A".repeat(6000)), Error::ContactId),
    ] {
        assert_eq!(Endpoint::parse(&path), Err(error), "{path}");
    }
}

#[test]
fn base64url_of_every_remainder() {
    for length in 0..40_u8 {
        let value: Vec<u8> = (0..length).map(|i| i.wrapping_mul(0x9d) ^ 0xff).collect();
        let text = text::encode_base64url(&value);
        assert_eq!(text.len(), (value.len() * 8).div_ceil(6));
        assert_eq!(text::decode_base64url(&text), Some(value));
    }
    assert_eq!(text::encode_base64url(&[0xfb, 0xff]), "-_8");
}

#[test]
fn contact_and_payload_are_bounded() {
    assert_eq!(ContactId::new(vec![]), Err(Error::ContactId));
    assert_eq!(ContactId::new(vec![0; MAX_CONTACT_ID_LEN + 1]), Err(Error::ContactId));
    let longest = Endpoint::Contact(ContactId::new(vec![7; MAX_CONTACT_ID_LEN]).unwrap());
    assert_eq!(Endpoint::parse(&longest.path()).unwrap(), longest);
    let longest = "00".repeat(MAX_CLIENT_PAYLOAD_LEN);
    assert!(decode_client_payload(&longest).is_ok());
    assert_eq!(decode_client_payload(&format!("{longest}00")), Err(Error::ClientPayload));
    assert_eq!(decode_client_payload("0"), Err(Error::ClientPayload));
}

#[test]
fn urls_of_services() {
    let new = Endpoint::New(TunnelId::new([0xab; 16]));
    let path = new.path();
    for (base, shown, host, port, secure) in [
        ("ws://127.0.0.1:1234", "ws://127.0.0.1:1234", "127.0.0.1", 1234, false),
        ("wss://Relay.Example/", "wss://relay.example", "relay.example", 443, true),
        ("WSS://relay.example:443", "wss://relay.example", "relay.example", 443, true),
        ("ws://[::1]:80/a/b/", "ws://[::1]/a/b", "::1", 80, false),
        ("wss://[2001:DB8::1]:8443", "wss://[2001:db8::1]:8443", "2001:db8::1", 8443, true),
    ] {
        let service: ServiceUrl = base.parse().unwrap();
        assert_eq!(service.to_string(), shown);
        assert_eq!((service.host(), service.port(), service.is_secure()), (host, port, secure));
        let url = service.endpoint(&new);
        assert_eq!(url.expose(), format!("{shown}{path}"));
        assert!(url.target().ends_with(&path));
    }
    let google = ServiceUrl::for_service(TunnelServiceId::GOOGLE).unwrap();
    assert_eq!(google.endpoint(&new).expose(), format!("wss://cable.ua5v.com{path}"));
    assert_eq!(google.origin(), "wss://cable.ua5v.com");
    assert!(ServiceUrl::for_service(TunnelServiceId::new(2)).is_err());
}

#[test]
fn urls_that_are_none() {
    for (url, error) in [
        ("", Error::Scheme),
        ("relay.example", Error::Scheme),
        ("https://relay.example", Error::Scheme),
        ("wss:relay.example", Error::Scheme),
        ("wss://", Error::Authority),
        ("wss://:443", Error::Authority),
        ("wss://user@relay.example", Error::Authority),
        ("wss://relay example", Error::Authority),
        ("wss://relay.example:", Error::Authority),
        ("wss://relay.example:0", Error::Authority),
        ("wss://relay.example:+80", Error::Authority),
        ("wss://relay.example:65536", Error::Authority),
        ("wss://::1", Error::Authority),
        ("wss://[::1", Error::Authority),
        ("wss://[::1]x", Error::Authority),
        ("wss://[relay.example]", Error::Authority),
        ("wss://bücher.example", Error::Authority),
        ("wss://relay.example#x", Error::UrlPath),
        ("wss://relay.example?x", Error::UrlPath),
        ("wss://relay.example/a?x", Error::UrlPath),
        ("wss://relay.example/a b", Error::UrlPath),
        ("wss://relay.example/a\r\nX: y", Error::UrlPath),
    ] {
        assert_eq!(url.parse::<ServiceUrl>(), Err(error), "{url}");
    }
}

#[test]
fn redirect_targets() {
    let service: ServiceUrl = "wss://relay.example/p".parse().unwrap();
    let url = service.endpoint(&Endpoint::New(TunnelId::new([0; 16])));
    for (location, expected) in [
        ("/x?y=1", Ok("wss://relay.example/x?y=1")),
        ("//other.example:444/x", Ok("wss://other.example:444/x")),
        ("https://other.example", Ok("wss://other.example/")),
        ("WSS://other.example/x", Ok("wss://other.example/x")),
        ("http://other.example/x", Ok("ws://other.example/x")),
        ("ws://other.example/x", Ok("ws://other.example/x")),
        ("x", Err(Error::Scheme)),
        ("ftp://other.example/", Err(Error::Scheme)),
        ("/x#y", Err(Error::UrlPath)),
        ("/x\r\ny", Err(Error::UrlPath)),
        ("https:///x", Err(Error::Authority)),
    ] {
        let target = url.redirect(location).map(|url| url.expose());
        assert_eq!(target.as_deref(), expected.as_deref(), "{location}");
    }
}

#[test]
fn debug_hides_what_comes_from_the_qr_secret() {
    let tunnel = TunnelId::new([0xab; 16]);
    let endpoint = Endpoint::Connect(RoutingId::new([1, 2, 3]), tunnel);
    let service: ServiceUrl = "ws://127.0.0.1:1".parse().unwrap();
    let contact = ContactId::new(vec![0xab; 9]).unwrap();
    let shown = format!("{tunnel:?} {endpoint:?} {:?} {contact:?}", service.endpoint(&endpoint));
    assert!(!shown.to_lowercase().contains("abab"), "{shown}");
    assert!(!shown.contains("171"), "{shown}");
    assert!(shown.contains("ws://127.0.0.1:1"), "{shown}");
}

/// Text that comes near the grammar often enough to reach its corners.
fn near_grammar() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9_-]{0,4}",
        "[0-9a-fA-F]{6}",
        "[0-9a-fA-F]{32}",
        "(wss?|https?)://",
        "/(cable|new|connect|contact)",
        "[/:?#@\\[\\].]",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_endpoint_is_read_back(
        tunnel: [u8; 16],
        routing: [u8; 3],
        contact in prop::collection::vec(any::<u8>(), 1..300),
    ) {
        let tunnel = TunnelId::new(tunnel);
        let contact = ContactId::new(contact).unwrap();
        for endpoint in [
            Endpoint::New(tunnel),
            Endpoint::Connect(RoutingId::new(routing), tunnel),
            Endpoint::Contact(contact),
        ] {
            prop_assert_eq!(Endpoint::parse(&endpoint.path()).unwrap(), endpoint);
        }
    }

    #[test]
    fn what_is_taken_has_one_canonical_form(text in near_grammar()) {
        for path in [text.clone(), format!("/cable/contact/{text}"), format!("/cable{text}")] {
            if let Ok(endpoint) = Endpoint::parse(&path) {
                prop_assert_eq!(Endpoint::parse(&endpoint.path()).unwrap(), endpoint);
            }
        }
        for url in [text.clone(), format!("wss://{text}"), format!("ws://h{text}")] {
            if let Ok(service) = url.parse::<ServiceUrl>() {
                prop_assert_eq!(service.to_string().parse::<ServiceUrl>().unwrap(), service);
            }
        }
    }

    #[test]
    fn no_redirect_can_break_out_of_its_request_line(text in near_grammar()) {
        let service: ServiceUrl = "wss://relay.example".parse().unwrap();
        let url = service.endpoint(&Endpoint::New(TunnelId::new([0; 16])));
        for location in [text.clone(), format!("/{text}"), format!("https://h{text}")] {
            if let Ok(target) = url.redirect(&location) {
                prop_assert!(target.target().starts_with('/'));
                prop_assert!(target.expose().bytes().all(|c| c.is_ascii_graphic()));
            }
        }
    }
}
