//! Tunnel URLs, paths and headers: each has one canonical spelling, and nothing that is read can
//! break out of a request line. Proxies' URLs and the list of what goes around them, too.
#![no_main]

use cabled::channel::proxy::{Around, Proxy};
use cabled::hybrid::tunnel::{
    Endpoint, RoutingId, ServiceUrl, TunnelId, TunnelUrl, decode_client_payload,
    encode_client_payload,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(endpoint) = Endpoint::parse(text) {
        let path = endpoint.path();
        assert_eq!(Endpoint::parse(&path).as_ref(), Ok(&endpoint));
        let written = text.split('?').next().unwrap_or_default();
        let hex = !matches!(endpoint, Endpoint::Contact(_) | Endpoint::Listen(_));
        assert!(path == written || hex && path.eq_ignore_ascii_case(written), "two spellings");
    }
    if let Ok(service) = text.parse::<ServiceUrl>() {
        check_service(&service);
    }
    let base: ServiceUrl = "wss://cable.example:8443/prefix".parse().expect("a good URL");
    let base = base.endpoint(&Endpoint::New(TunnelId::new([0xab; 16])));
    if let Ok(target) = base.redirect(text) {
        check_url(&target);
        let own_path = !target.target().starts_with("//");
        assert!(!own_path || target.redirect(target.target()).as_ref() == Ok(&target));
    }
    if let Ok(routing) = text.parse::<RoutingId>() {
        assert!(routing.to_string().eq_ignore_ascii_case(text));
    }
    if let Ok(payload) = decode_client_payload(text) {
        assert!(encode_client_payload(&payload).eq_ignore_ascii_case(text));
    }
    check_proxy(text);
});

fn check_proxy(text: &str) {
    if let Ok(proxy) = text.parse::<Proxy>() {
        let shown = proxy.to_string();
        assert!(!shown.contains('@') && shown.bytes().all(|byte| byte.is_ascii_graphic()));
        let again = shown.parse::<Proxy>().expect("it is one");
        assert!(!again.has_credentials() && again.to_string() == shown);
    }
    let Ok(around) = text.parse::<Around>();
    let all = text.split([',', ' ', '\t', '\n', '\r', '\x0c']).any(|item| item == "*");
    assert!(!all || around.covers("any.example", 443));
    assert!(all || !around.covers("", 443), "no name is covered");
}

fn check_service(service: &ServiceUrl) {
    let text = service.to_string();
    assert_eq!(text.parse::<ServiceUrl>().as_ref(), Ok(service), "{text}");
    let endpoint = Endpoint::Connect(RoutingId::new([1, 2, 3]), TunnelId::new([4; 16]));
    let url = service.endpoint(&endpoint);
    check_url(&url);
    assert_eq!(url.expose(), format!("{text}{}", endpoint.path()));
}

fn check_url(url: &TunnelUrl) {
    let graphic = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let service = url.service();
    assert!(graphic(url.target()) && graphic(&service.authority()) && graphic(&service.origin()));
    assert!(url.target().starts_with('/'));
    assert_ne!(service.port(), 0);
    assert_eq!(service.origin().parse::<ServiceUrl>().as_ref(), Ok(service));
}
