//! Who may: a token that works once, then a session that no script can read; and only this page.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand_core::CryptoRngCore;
use tokio::time::{Duration, Instant};

use crate::hex;
use crate::secret::Secret;

const ENTER: &str = "/enter/";
/// Links that wait to be followed.
const MAX_LINKS: usize = 8;

/// No script, style or picture from elsewhere, no frame around the page, and no trace of it.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "publickey-credentials-get=(), camera=(), microphone=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What is each page's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    /// The name of the cookie; those of all ports of a machine lie together.
    pub(super) session: &'static str,
    /// What to tell whoever has no way in.
    pub(super) closed: &'static str,
    /// How long a link may wait to be followed.
    pub(super) lifetime: Option<Duration>,
}

/// The way in.
#[derive(Debug)]
pub(super) struct Door {
    face: Face,
    host: String,
    origin: String,
    session: Secret<32>,
    links: Mutex<VecDeque<Link>>,
}

/// Works once, and not for ever.
#[derive(Debug)]
struct Link {
    token: Secret<32>,
    until: Option<Instant>,
}

impl Door {
    pub(super) fn new(
        face: Face,
        address: SocketAddr,
        mut rng: &mut (dyn CryptoRngCore + Send),
    ) -> Self {
        let host = address.to_string();
        let origin = format!("http://{host}");
        let session = Secret::random(&mut rng);
        Self { face, host, origin, session, links: Mutex::default() }
    }

    pub(super) fn link(&self, now: Instant, mut rng: &mut (dyn CryptoRngCore + Send)) -> String {
        let token = Secret::random(&mut rng);
        let link = format!("{}{ENTER}{}", self.origin, hex::lower(token.expose()));
        let until = self.face.lifetime.map(|lifetime| now + lifetime);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push_back(Link { token, until });
        if links.len() > MAX_LINKS {
            links.pop_front();
        }
        link
    }

    /// Whether this is the token of a link, for the first time and in time.
    fn admits(&self, token: &str, now: Instant) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.until.is_none_or(|until| now < until));
        let waiting = links.len();
        links.retain(|link| !is(&link.token, token));
        links.len() < waiting
    }

    fn knows(&self, request: &Request) -> bool {
        let cookies = request.headers().get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
        let mut pairs = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.face.session && is(&self.session, value))
    }

    /// It names this address, and if it changes something it comes from this page: names of others
    /// can be made to lead here, and their pages can send requests here.
    fn is_own(&self, request: &Request) -> bool {
        let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
        let host = header(HOST) == Some(self.host.as_bytes());
        let reads = request.method() == Method::GET;
        // What a form could send needs no permission of ours to be sent.
        let no_form = header(CONTENT_TYPE) == Some(b"application/json");
        host && (reads || (header(ORIGIN) == Some(self.origin.as_bytes()) && no_form))
    }

    fn answer(&self, request: &Request, now: Instant) -> Option<Response> {
        if !self.is_own(request) {
            return Some((StatusCode::FORBIDDEN, "This is not for other pages.\n").into_response());
        }
        match request.uri().path().strip_prefix(ENTER) {
            Some(token) if request.method() == Method::GET && self.admits(token, now) => {
                let (name, session) = (self.face.session, hex::lower(self.session.expose()));
                let cookie = format!("{name}={session}; Path=/; HttpOnly; SameSite=Strict");
                Some(
                    (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, "/".into())])
                        .into_response(),
                )
            }
            // A link that is followed again, where it had let this browser in.
            Some(_) if self.knows(request) => {
                Some((StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response())
            }
            None if self.knows(request) => None,
            _ => Some((StatusCode::UNAUTHORIZED, self.face.closed).into_response()),
        }
    }
}

/// Before everything else.
pub(super) async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let mut response = match door.answer(&request, Instant::now()) {
        Some(response) => response,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Compared in constant time once it has the length.
fn is(secret: &Secret<32>, text: &str) -> bool {
    hex::array(text).is_some_and(|bytes| Secret::new(bytes) == *secret)
}

#[cfg(test)]
mod tests;
