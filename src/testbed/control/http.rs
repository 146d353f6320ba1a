//! The control API as HTTP and JSON: the messages of the schema, and a path for each call.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::calls::Calls;
use super::refusal::{Refusal, wrong};
use super::{MAX_REQUEST, v1};

type Reply<T> = Result<Json<T>, Refusal>;
type Made<T> = Result<(StatusCode, Json<T>), Refusal>;

pub(super) fn router(calls: Calls, bearer: Arc<str>) -> Router {
    Router::new()
        .route("/v1/bench", get(bench))
        .route("/v1/phones", get(phones).post(add_phone))
        .route("/v1/phones/{name}", delete(remove_phone))
        .route("/v1/phones/{name}/passkeys", get(passkeys).post(plant))
        .route("/v1/phones/{name}/passkeys/{id}", delete(delete_passkey))
        .route("/v1/ceremonies", get(ceremonies).post(submit))
        .route("/v1/ceremonies/{id}", get(ceremony))
        .route("/v1/scan", post(scan))
        .route("/v1/screenshot", get(screenshot))
        .route("/v1/crowd", put(gather).delete(disperse))
        .route("/v1/bluetooth", put(bluetooth))
        .fallback(nowhere)
        .with_state(calls)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(middleware::from_fn_with_state(bearer, guard))
}

/// Before everything else.
async fn guard(State(bearer): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    match given.is_some_and(|given| given.ct_eq(bearer.as_bytes()).into()) {
        true => next.run(request).await,
        false => Refusal::Token.into_response(),
    }
}

async fn nowhere() -> Refusal {
    Refusal::Nowhere
}

async fn bench(State(calls): State<Calls>) -> Json<v1::GetBenchResponse> {
    Json(calls.bench())
}

async fn phones(State(calls): State<Calls>) -> Json<v1::ListPhonesResponse> {
    Json(calls.phones())
}

async fn add_phone(State(calls): State<Calls>, body: Bytes) -> Made<v1::AddPhoneResponse> {
    made(calls.add_phone(read(&body)?).await?)
}

async fn remove_phone(State(calls): State<Calls>, Path(name): Path<String>) -> Reply<Value> {
    done(calls.remove_phone(&name))
}

async fn passkeys(
    State(calls): State<Calls>,
    Path(name): Path<String>,
) -> Reply<v1::ListPasskeysResponse> {
    Ok(Json(calls.passkeys(&name).await?))
}

async fn plant(
    State(calls): State<Calls>,
    Path(phone): Path<String>,
    body: Bytes,
) -> Made<v1::PlantPasskeyResponse> {
    made(calls.plant(v1::PlantPasskeyRequest { phone, ..read(&body)? }).await?)
}

async fn delete_passkey(
    State(calls): State<Calls>,
    Path((phone, id)): Path<(String, String)>,
) -> Reply<Value> {
    done(calls.delete_passkey(v1::DeletePasskeyRequest { phone, id }).await)
}

async fn submit(State(calls): State<Calls>, body: Bytes) -> Made<v1::Ceremony> {
    made(calls.submit(read(&body)?)?)
}

async fn scan(State(calls): State<Calls>, body: Bytes) -> Made<v1::Ceremony> {
    made(calls.scan(read(&body)?).await?)
}

async fn ceremonies(State(calls): State<Calls>) -> Json<v1::ListCeremoniesResponse> {
    Json(calls.ceremonies())
}

/// At once, or with `?waitMs=N` when it is over or the time is up.
async fn ceremony(
    State(calls): State<Calls>,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Reply<v1::Ceremony> {
    let wait_ms = match query.as_deref() {
        None => Some(0),
        Some(query) => query.strip_prefix("waitMs=").and_then(|number| number.parse().ok()),
    };
    let wait_ms = wait_ms.ok_or_else(|| wrong("the only parameter is waitMs, a number"))?;
    Ok(Json(calls.ceremony(v1::GetCeremonyRequest { id, wait_ms }).await?))
}

async fn screenshot(State(calls): State<Calls>) -> Result<Response, Refusal> {
    Ok(([(CONTENT_TYPE, "image/png")], calls.screenshot().await?).into_response())
}

async fn gather(State(calls): State<Calls>, body: Bytes) -> Reply<Value> {
    done(calls.gather(read(&body)?))
}

async fn disperse(State(calls): State<Calls>) -> Reply<Value> {
    calls.disperse();
    done(Ok(()))
}

async fn bluetooth(State(calls): State<Calls>, body: Bytes) -> Reply<Value> {
    done(calls.bluetooth(read(&body)?).await)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))
}

fn made<T>(what: T) -> Made<T> {
    Ok((StatusCode::CREATED, Json(what)))
}

fn done(how: Result<(), Refusal>) -> Reply<Value> {
    how.map(|()| Json(json!({})))
}
