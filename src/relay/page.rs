//! What a plain GET is answered: a landing page, liveness, readiness, metrics.
//!
//! Pure: paths in, responses out.

/// A page of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// `/`, for people who stray here.
    Landing,
    /// `/healthz`: the process answers.
    Health,
    /// `/readyz`: a new tunnel would be taken.
    Ready,
    /// `/metrics`.
    Metrics,
}

impl Page {
    /// The page of a request's path; a query changes nothing.
    pub(super) fn parse(target: &str) -> Option<Self> {
        match target.split_once('?').map_or(target, |(path, _)| path) {
            "/" => Some(Self::Landing),
            "/healthz" => Some(Self::Health),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn landing() -> String {
    let body = "<!doctype html><html lang=\"en\"><title>Tunnel service</title>\
         <h1>Tunnel service</h1>\
         <p>Phones and computers meet here to sign in with a passkey (FIDO2 hybrid transport). \
         What they say is encrypted between them; this service cannot read it.\n";
    response("200 OK", HTML, body)
}

pub(super) fn healthy() -> String {
    response("200 OK", PLAIN, "ok\n")
}

pub(super) fn ready(full: bool, numbered: bool, certified: bool) -> String {
    match full {
        false if !certified => response(
            "503 Service Unavailable",
            PLAIN,
            "not ready: no certificate, see the log about ACME\n",
        ),
        false if !numbered => response(
            "503 Service Unavailable",
            PLAIN,
            "not ready: no number in the cluster, see the log about NATS\n",
        ),
        false => response("200 OK", PLAIN, "ready\n"),
        true => response("503 Service Unavailable", PLAIN, "not ready: no new tunnel is taken\n"),
    }
}

pub(super) fn metrics(text: &str) -> String {
    response("200 OK", PROMETHEUS, text)
}

/// What the server of an ACME challenge reads.
#[cfg(feature = "acme")]
pub(super) fn proof(text: &str) -> String {
    response("200 OK", "application/octet-stream", text)
}

/// 308, so that the method stays what it is.
pub(super) fn moved(location: &str) -> String {
    format!(
        "HTTP/1.1 308 Permanent Redirect\r\nConnection: close\r\nContent-Length: 0\r\n\
         Location: {location}\r\n\r\n"
    )
}

fn response(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Security-Policy: default-src 'none'\r\n\r\n{body}",
        body.len(),
    )
}
