//! HTTP: what the page asks for, in JSON.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cabled::cli::relying_party::{Aaguid, Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bugs::Bug;
use crate::explain::explain;
use crate::page;
use crate::site::{Refusal, Site};

/// Larger than any answer of a browser; certificates included.
const MAX_BODY: usize = 64 << 10;

/// Makes that a list may have.
const MAX_MAKES: usize = 100;

const SESSION: &str = "session";

type Shared = Arc<Mutex<Site>>;
type Answer = Result<Json<Value>, Refusal>;

pub(crate) fn router(origin: &str, bug: Option<Bug>) -> Router {
    let site: Shared = Arc::new(Mutex::new(Site::new(origin, bug)));
    Router::new()
        .route("/api/state", get(state))
        .route("/api/enter", post(enter))
        .route("/api/leave", post(leave))
        .route("/api/policy", post(policy))
        .route("/api/register/begin", post(begin_registration))
        .route("/api/register/finish", post(finish_registration))
        .route("/api/sign-in/begin", post(begin_sign_in))
        .route("/api/sign-in/finish", post(finish_sign_in))
        .route("/api/methods/rename", post(rename))
        .route("/api/methods/delete", post(delete))
        .merge(page::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::<str>::from(origin), guard))
        .with_state(site)
}

/// Answers to this site's own name only, and takes changes from its own page only: other pages in the
/// same browser can reach this port too.
async fn guard(State(origin): State<Arc<str>>, request: Request, next: Next) -> Response {
    let mut response = match is_own(&request, &origin) {
        true => next.run(request).await,
        false => StatusCode::FORBIDDEN.into_response(),
    };
    for (name, value) in page::HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_own(request: &Request, origin: &str) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST).is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    host && (request.method() == Method::GET || header(ORIGIN) == Some(origin))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(explain(&self))).into_response()
    }
}

fn open(site: &Shared) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

fn session(headers: &HeaderMap) -> &str {
    let cookies = headers.get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION).map_or("", |(_, value)| value)
}

/// Signs the browser in: no script can read this, and no other site can make the browser send it.
fn with_session(session: &str, answer: Value) -> Response {
    let cookie = format!("{SESSION}={session}; Path=/; HttpOnly; SameSite=Strict");
    ([(SET_COOKIE, cookie)], Json(answer)).into_response()
}

async fn state(State(site): State<Shared>, headers: HeaderMap) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(open(&site).state(session(&headers))))
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

async fn enter(State(site): State<Shared>, Json(asked): Json<Name>) -> Result<Response, Refusal> {
    let session = open(&site).enter(&asked.name)?;
    Ok(with_session(&session, json!({})))
}

async fn leave(State(site): State<Shared>, headers: HeaderMap) -> Response {
    open(&site).leave(session(&headers));
    with_session("", json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewPolicy {
    require_attestation: bool,
    makes: Option<Vec<String>>,
}

async fn policy(State(site): State<Shared>, Json(asked): Json<NewPolicy>) -> Answer {
    let read = |makes: Vec<String>| {
        makes.iter().take(MAX_MAKES).map(|make| make.parse::<Aaguid>()).collect::<Result<_, _>>()
    };
    let makes = asked.makes.map(read).transpose()?;
    open(&site).set_policy(Policy { makes, require_attestation: asked.require_attestation });
    Ok(Json(json!({})))
}

async fn begin_registration(State(site): State<Shared>, headers: HeaderMap) -> Answer {
    open(&site).begin_registration(session(&headers)).map(Json)
}

#[derive(Deserialize)]
struct Finish {
    ceremony: String,
    credential: Value,
}

async fn finish_registration(
    State(site): State<Shared>,
    headers: HeaderMap,
    Json(asked): Json<Finish>,
) -> Answer {
    let mut site = open(&site);
    site.finish_registration(session(&headers), &asked.ceremony, &asked.credential).map(Json)
}

#[derive(Deserialize)]
struct Whom {
    name: Option<String>,
}

async fn begin_sign_in(State(site): State<Shared>, Json(asked): Json<Whom>) -> Answer {
    open(&site).begin_sign_in(asked.name.as_deref()).map(Json)
}

async fn finish_sign_in(
    State(site): State<Shared>,
    Json(asked): Json<Finish>,
) -> Result<Response, Refusal> {
    let (answer, session) = open(&site).finish_sign_in(&asked.ceremony, &asked.credential)?;
    Ok(with_session(&session, answer))
}

#[derive(Deserialize)]
struct Rename {
    id: String,
    name: String,
}

async fn rename(State(site): State<Shared>, headers: HeaderMap, Json(to): Json<Rename>) -> Answer {
    open(&site).rename(session(&headers), &to.id, &to.name).map(Json)
}

#[derive(Deserialize)]
struct Which {
    id: String,
}

async fn delete(State(site): State<Shared>, headers: HeaderMap, Json(it): Json<Which>) -> Answer {
    open(&site).delete(session(&headers), &it.id).map(Json)
}
