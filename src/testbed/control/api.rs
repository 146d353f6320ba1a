//! The requests of the control API.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::time::{sleep, timeout};

use super::Display;
use super::refusal::{Refusal, wrong};
use super::script::WrittenScript;
use super::{phones, wire};
use crate::testbed::{Bench, Crowd};

/// Larger than any request: a code has some 180 characters, a script at most 16 answers.
const MAX_BODY: usize = 16 << 10;
/// How long a request may wait for something to happen.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Between two looks at the display: a picture takes some ten milliseconds.
const PAUSE: Duration = Duration::from_millis(50);
/// The adapter of the bench.
const ADAPTER: &str = "hci0";

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) bench: Arc<Bench>,
    pub(super) display: Option<Display>,
}

pub(super) type Reply = Result<Json<Value>, Refusal>;

pub(super) fn router(shared: Shared, token: Arc<str>) -> Router {
    Router::new()
        .route("/v1/bench", get(bench))
        .merge(phones::routes())
        .route("/v1/ceremonies", get(ceremonies).post(submit))
        .route("/v1/ceremonies/{id}", get(ceremony))
        .route("/v1/scan", post(scan))
        .route("/v1/screenshot", get(screenshot))
        .route("/v1/crowd", put(gather).delete(disperse))
        .route("/v1/bluetooth", put(bluetooth))
        .fallback(nowhere)
        .with_state(shared)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(token, guard))
}

/// Before everything else.
async fn guard(State(token): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    match given.is_some_and(|given| given.ct_eq(token.as_bytes()).into()) {
        true => next.run(request).await,
        false => Refusal::Token.into_response(),
    }
}

async fn nowhere() -> Refusal {
    Refusal::Nowhere
}

async fn bench(State(shared): State<Shared>) -> Reply {
    let bench = &shared.bench;
    Ok(Json(json!({
        "bus": bench.bus(),
        "radio": bench.air(),
        "relay": bench.relay(),
        "ca": bench.authority().display().to_string(),
        "browserArguments": bench.browser_arguments(),
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Submitted {
    phone: Option<String>,
    qr: String,
    #[serde(default)]
    script: WrittenScript,
}

async fn submit(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let Submitted { phone, qr, script } = read(&body)?;
    begin(&shared.bench, phone, &qr, script)
}

/// Without a phone's name: the only one.
fn begin(
    bench: &Bench,
    phone: Option<String>,
    code: &str,
    script: WrittenScript,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let script = script.read().map_err(|error| wrong(&error))?;
    let phone = match (phone, &bench.phone_names()[..]) {
        (Some(phone), _) => phone,
        (None, [only]) => only.clone(),
        (None, _) => return Err(wrong("there is not exactly one phone, so name one: \"phone\"")),
    };
    let id = bench.scan(&phone, code, script)?;
    Ok((StatusCode::CREATED, Json(wire::ceremony(&bench.ceremony(id)?))))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scanned {
    phone: Option<String>,
    #[serde(default)]
    script: WrittenScript,
    wait_ms: Option<u64>,
}

/// Looks at the display until a code is on it that no phone was shown yet.
async fn scan(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let Scanned { phone, script, wait_ms } = read(&body)?;
    let look = shared.display.clone().ok_or(Refusal::NoDisplay)?.look;
    let patience = wait_ms.map_or(MAX_WAIT, Duration::from_millis).min(MAX_WAIT);
    let looking = async {
        loop {
            let look = Arc::clone(&look);
            let looked = tokio::task::spawn_blocking(move || look()).await;
            let found = looked.unwrap_or_else(|lost| Err(lost.to_string()));
            match found.map_err(Refusal::Display)? {
                Some(code) if !shared.bench.was_shown(&code) => return Ok::<_, Refusal>(code),
                _ => sleep(PAUSE).await,
            }
        }
    };
    let code = timeout(patience, looking).await.map_err(|_| Refusal::NoCode)??;
    begin(&shared.bench, phone, &code, script)
}

async fn screenshot(State(shared): State<Shared>) -> Result<Response, Refusal> {
    let picture = shared.display.ok_or(Refusal::NoDisplay)?.picture;
    let taken = tokio::task::spawn_blocking(move || picture()).await;
    let png = taken.unwrap_or_else(|lost| Err(lost.to_string())).map_err(Refusal::Display)?;
    Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
}

async fn ceremonies(State(shared): State<Shared>) -> Reply {
    let all: Vec<_> = shared.bench.ceremonies().iter().map(wire::ceremony).collect();
    Ok(Json(json!({ "ceremonies": all })))
}

/// At once, or with `?waitMs=N` when it is over or the time is up.
async fn ceremony(
    State(shared): State<Shared>,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Reply {
    let wait = match query.as_deref() {
        None => Some(0),
        Some(query) => query.strip_prefix("waitMs=").and_then(|number| number.parse().ok()),
    };
    let wait = wait.ok_or_else(|| wrong("the only parameter is waitMs, a number"))?;
    let patience = Duration::from_millis(wait).min(MAX_WAIT);
    let ceremony = match timeout(patience, shared.bench.over(id)).await {
        Ok(over) => over?,
        Err(_) => shared.bench.ceremony(id)?,
    };
    Ok(Json(wire::ceremony(&ceremony)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewCrowd {
    per_second: u32,
    senders: u32,
}

async fn gather(State(shared): State<Shared>, body: Bytes) -> Reply {
    let NewCrowd { per_second, senders } = read(&body)?;
    if !(1..=10_000).contains(&per_second) || !(1..=100_000).contains(&senders) {
        return Err(wrong("perSecond is 1 to 10000, senders 1 to 100000"));
    }
    shared.bench.bluetooth().gather(Some(Crowd { per_second, senders }));
    Ok(Json(json!({})))
}

async fn disperse(State(shared): State<Shared>) -> Reply {
    shared.bench.bluetooth().gather(None);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Power {
    powered: bool,
}

async fn bluetooth(State(shared): State<Shared>, body: Bytes) -> Reply {
    let Power { powered } = read(&body)?;
    shared.bench.bluetooth().set_powered(ADAPTER, powered).await?;
    Ok(Json(json!({})))
}

pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))
}
