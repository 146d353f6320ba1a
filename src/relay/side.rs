//! Listeners beside that of the tunnels: pages for the operator, and redirects from HTTP to HTTPS.
//!
//! Depends on its siblings. Each connection is one head and one answer, bounded in number and time.

use std::net::Ipv6Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use httparse::{EMPTY_HEADER, Request, Status as Parsed};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{Shared, show};
use super::http::{self, MAX_HEADERS};
use super::page::{self, Page};
use super::pipe;
use super::status::Status;
use super::stop::Stop;

/// Connections at a time to one of these listeners.
const MOST: usize = 256;

/// From a head to the whole response; none while the head is not whole. Boxed as the tasks are:
/// speed does not matter here, and each type of task is code of its own.
type Answer = Arc<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// Something that goes on beside the tunnels.
pub(super) type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves `/healthz`, `/readyz` and `/metrics`; never ends.
pub(super) async fn pages(listener: TcpListener, shared: Arc<Shared>) {
    let answering = shared.clone();
    let answer: Answer = Arc::new(move |head| {
        let judged = http::judge(head, None)?;
        Some(match judged.verdict {
            Err(Status::Page(page)) if page.is_for_operators() => show(&answering, page),
            Ok(_) | Err(Status::Page(_)) => Status::NoPath.response(),
            Err(status) => status.response(),
        })
    });
    serve(listener, shared, answer).await;
}

/// Sends whoever comes to `https://` at `port`; never ends.
pub(super) async fn redirects(listener: TcpListener, shared: Arc<Shared>, port: u16) {
    let asked = shared.clone();
    let answer: Answer = Arc::new(move |head| {
        redirect(head, port, |path| asked.acme.as_ref().and_then(|acme| acme.answer(path)))
    });
    serve(listener, shared, answer).await;
}

/// Reads changed certificates; never ends.
pub(super) async fn changes(shared: Arc<Shared>, every: Duration) {
    match shared.tls.clone() {
        Some(files) => files.watch(every, shared).await,
        None => std::future::pending().await,
    }
}

/// Gets certificates, if that is asked for.
pub(super) async fn certificates(shared: Arc<Shared>) {
    if let Some(acme) = &shared.acme {
        acme.run(shared.clone()).await;
    }
}

/// Takes part in a cluster, if there is one.
pub(super) async fn others(shared: Arc<Shared>, stop: Stop) {
    if let Some(cluster) = &shared.cluster {
        cluster.run(shared.clone(), stop).await;
    }
}

/// Leaves it.
pub(super) async fn leave(shared: &Shared) {
    if let Some(cluster) = &shared.cluster {
        cluster.leave(shared).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, answer: Answer) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MOST;
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((socket, _)) => {
                    let (shared, answer) = (shared.clone(), answer.clone());
                    let one: Beside = Box::pin(async move {
                        let one = one(socket, answer);
                        // Ends in any case: a client that is too slow is cut off.
                        let _ = timeout(shared.limits.head_deadline, one).await;
                    });
                    connections.spawn(one);
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "cannot accept a connection");
                    sleep(super::ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn one(mut socket: TcpStream, answer: Answer) {
    let response = http::receive_with(&mut socket, &*answer, Status::Head.response()).await;
    if let Some(response) = response
        && http::send(&mut socket, &response).await.is_ok()
    {
        pipe::drain(socket).await;
    }
}

/// `proof` may have an answer of its own for a path.
fn redirect(head: &[u8], port: u16, proof: impl FnOnce(&str) -> Option<String>) -> Option<String> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Complete(_)) => {
            let path = request.path.filter(|_| request.method == Some("GET"));
            if let Some(answer) = path.and_then(proof) {
                return Some(answer);
            }
            let location = location(&request, port);
            Some(location.map_or_else(|| Status::BadRequest.response(), |to| page::moved(&to)))
        }
        Err(httparse::Error::TooManyHeaders) => Some(Status::Head.response()),
        Err(_) => Some(Status::BadRequest.response()),
    }
}

/// Where the same page is with TLS. Nothing but what a URL may hold goes into the answer.
fn location(request: &Request<'_, '_>, port: u16) -> Option<String> {
    let mut hosts = http::values(request, "host");
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    let host = host_name(std::str::from_utf8(host).ok()?.trim())?;
    let target = request.path.filter(|path| path.starts_with('/'))?;
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    Some(match port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    })
}

/// A `Host` without its port: a name, an IPv4 address, or an IPv6 address in brackets.
fn host_name(host: &str) -> Option<&str> {
    let legal = |host: &&str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            (1..=253).contains(&host.len()) && host.bytes().all(letter)
        }
    };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some(name).filter(legal).filter(|_| digits && port.len() <= 5)
}

impl Page {
    /// Whether it moves to the listener for operators, if there is one.
    pub(super) fn is_for_operators(self) -> bool {
        self != Self::Landing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(target: &str, host: &str, port: u16) -> Option<String> {
        let head = format!("GET {target} HTTP/1.1\r\n{host}\r\n\r\n");
        let answer = redirect(head.as_bytes(), port, |_| None).unwrap();
        let moved = answer.starts_with("HTTP/1.1 308 Permanent Redirect\r\n");
        assert!(moved || answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let location = answer.split("\r\n").find_map(|line| line.strip_prefix("Location: "));
        assert_eq!(moved, location.is_some());
        location.map(str::to_owned)
    }

    #[test]
    fn the_same_page_with_tls() {
        for (target, host, port, location) in [
            ("/", "Host: relay.example", 443, "https://relay.example/"),
            ("/a?b=c&d", "host: relay.example:80", 443, "https://relay.example/a?b=c&d"),
            ("/", "Host: 192.0.2.1:8080", 8443, "https://192.0.2.1:8443/"),
            ("/x", "Host: [2001:db8::1]:80", 443, "https://[2001:db8::1]/x"),
            ("/x", "Host: [2001:db8::1]", 8443, "https://[2001:db8::1]:8443/x"),
            ("//evil.example", "Host: relay.example", 443, "https://relay.example//evil.example"),
        ] {
            assert_eq!(to(target, host, port).as_deref(), Some(location));
        }
    }

    #[test]
    fn whatever_is_no_host_or_page_goes_nowhere() {
        for (target, host) in [
            ("/", "X: y"),
            ("/", "Host: "),
            ("/", "Host: a\r\nHost: b"),
            ("/", "Host: a@b"),
            ("/", "Host: a/b"),
            ("/", "Host: a:b"),
            ("/", "Host: a:123456"),
            ("/", "Host: [::1"),
            ("/", "Host: [x]"),
            ("/", "Host: a\u{e9}"),
            ("http://other.example/", "Host: a"),
            ("*", "Host: a"),
        ] {
            assert_eq!(to(target, host, 443), None, "{target} {host}");
        }
        let long = format!("Host: {}", "a".repeat(254));
        assert_eq!(to("/", &long, 443), None);
        let judge = |head: &[u8]| redirect(head, 443, |_| None);
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
        assert!(judge(b"\x16\x03\x01\x02\x00").unwrap().starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn a_path_with_an_answer_of_its_own_goes_nowhere_else() {
        let judge = |head: &[u8]| {
            redirect(head, 443, |path| (path == "/proof").then(|| "proof".to_owned())).unwrap()
        };
        assert_eq!(judge(b"GET /proof HTTP/1.1\r\n\r\n"), "proof");
        for other in ["POST /proof", "GET /proofs"] {
            let head = format!("{other} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(judge(head.as_bytes()).starts_with("HTTP/1.1 308 "), "{other}");
        }
    }
}
