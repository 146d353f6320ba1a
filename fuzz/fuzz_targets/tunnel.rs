//! The URL grammar of all three roles: request paths, service URLs, redirects, identifiers.
#![no_main]

use cabled::hybrid::tunnel::{Endpoint, RoutingId, ServiceUrl, TunnelId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (text.parse::<RoutingId>(), text.parse::<TunnelId>());
    let home: ServiceUrl = "wss://relay.example:8443/below".parse().expect("a valid URL");
    if let Ok(endpoint) = Endpoint::parse(text) {
        assert_eq!(Endpoint::parse(&endpoint.path()).as_ref(), Ok(&endpoint));
    }
    if let Ok(service) = text.parse::<ServiceUrl>() {
        let again: ServiceUrl = service.to_string().parse().expect("our own URL is valid");
        assert_eq!(again.to_string(), service.to_string());
    }
    let endpoint = Endpoint::New(TunnelId::new([3; 16]));
    if let Ok(url) = home.endpoint(&endpoint).redirect(text) {
        let again = url.redirect(&url.expose()).expect("our own URL is valid");
        assert_eq!(again.expose(), url.expose());
    }
});
