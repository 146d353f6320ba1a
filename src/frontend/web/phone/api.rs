//! What the page asks for, in JSON.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::super::news::news;
use super::view;
use crate::authenticator::service::{Error, MoveId, QuestionId, Service};
use crate::authenticator::store::exchange::Lock;
use crate::authenticator::store::{self, PinError};
use crate::authenticator::{CredentialId, Pin};

#[derive(Clone)]
struct Desk {
    service: Service,
    stopped: watch::Receiver<bool>,
}

type Answer = Result<Json<Value>, Refusal>;

pub(super) fn routes(service: Service, stopped: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/api/state", get(state))
        .route("/api/news", get(told))
        .route("/api/unlock", post(unlock))
        .route("/api/lock", post(lock))
        .route("/api/questions/{id}/approve", post(approve))
        .route("/api/questions/{id}/decline", post(decline))
        .route("/api/passkeys/{id}", delete(remove).patch(rename))
        .route("/api/prune", post(prune))
        .route("/api/export", post(export))
        .route("/api/export/{id}/kept", post(kept))
        .with_state(Desk { service, stopped })
}

/// Everything that the page shows.
async fn state(State(desk): State<Desk>) -> Answer {
    let questions: Vec<_> = desk.service.questions().iter().map(view::question).collect();
    let (locked, passkeys) = match desk.service.vault().passkeys().await {
        Ok(passkeys) => (false, passkeys),
        Err(Error::Locked) => (true, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let passkeys: Vec<_> = passkeys.iter().map(view::passkey).collect();
    Ok(Json(json!({ "locked": locked, "questions": questions, "passkeys": passkeys })))
}

async fn told(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut events = desk.service.events(None);
    events.skip_to_now();
    let numbers = futures_util::stream::unfold(events, |mut events| async {
        let number = events.next().await?.number;
        Some((number, events))
    });
    news(numbers, desk.stopped)
}

#[derive(Deserialize)]
struct WithPin {
    /// Moves on into a [`Pin`], which wipes it.
    pin: String,
    #[serde(default)]
    account: usize,
}

fn read_pin(text: String) -> Result<Pin, Refusal> {
    Pin::new(text).map_err(Refusal::Pin)
}

async fn unlock(State(desk): State<Desk>, Json(asked): Json<WithPin>) -> Answer {
    done(desk.service.vault().unlock(read_pin(asked.pin)?).await.map(drop))
}

async fn lock(State(desk): State<Desk>) -> Answer {
    desk.service.vault().lock();
    done(Ok(()))
}

async fn approve(
    State(desk): State<Desk>,
    Path(id): Path<u64>,
    Json(asked): Json<WithPin>,
) -> Answer {
    done(desk.service.approve(QuestionId(id), asked.account, read_pin(asked.pin)?).await)
}

async fn decline(State(desk): State<Desk>, Path(id): Path<u64>) -> Answer {
    done(desk.service.decline(QuestionId(id)))
}

#[derive(Deserialize)]
struct NewLabel {
    label: String,
}

async fn rename(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Json(asked): Json<NewLabel>,
) -> Answer {
    done(desk.service.vault().rename(read(&id)?, &asked.label).await)
}

async fn remove(State(desk): State<Desk>, Path(id): Path<String>) -> Answer {
    done(desk.service.vault().delete(read(&id)?).await)
}

#[derive(Deserialize)]
struct Orphans {
    ids: Vec<String>,
}

/// Deletes those that were shown, as far as they are orphans still.
async fn prune(State(desk): State<Desk>, Json(asked): Json<Orphans>) -> Answer {
    let ids = asked.ids.iter().map(|id| read(id)).collect::<Result<_, _>>()?;
    let pruned = desk.service.vault().prune(ids, false).await?;
    Ok(Json(json!({ "deleted": pruned.len() })))
}

#[derive(Deserialize)]
struct Copying {
    pin: String,
    passphrase: String,
}

/// The encrypted file. What is not in it is told in headers, since the body is the file.
async fn export(
    State(desk): State<Desk>,
    Json(asked): Json<Copying>,
) -> Result<impl IntoResponse, Refusal> {
    if asked.passphrase.is_empty() {
        return Err(Refusal::NoPassphrase);
    }
    let lock = Lock::Passphrase(Zeroizing::new(asked.passphrase));
    let copy = desk.service.export(read_pin(asked.pin)?, lock).await?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (HeaderName::from_static("x-cabled-export"), copy.id.0.to_string()),
        (HeaderName::from_static("x-cabled-passkeys"), copy.passkeys.len().to_string()),
        (HeaderName::from_static("x-cabled-bound"), copy.bound.len().to_string()),
    ];
    Ok((headers, copy.sealed))
}

/// The user has the file: sites are told from now on that a copy exists.
async fn kept(State(desk): State<Desk>, Path(id): Path<u64>) -> Answer {
    done(desk.service.vault().exported(MoveId(id)).await)
}

fn read(id: &str) -> Result<CredentialId, Refusal> {
    view::read_id(id).ok_or(Refusal::Service(Error::Store(store::Error::NoSuchPasskey)))
}

fn done(result: Result<(), Error>) -> Answer {
    result.map(|()| Json(json!({}))).map_err(Refusal::Service)
}

/// Why something was not done.
enum Refusal {
    Service(Error),
    Pin(PinError),
    NoPassphrase,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        use store::Error as S;
        let (status, cause, words) = match &self {
            Self::Pin(error) => (StatusCode::UNPROCESSABLE_ENTITY, "pin", error.to_string()),
            Self::NoPassphrase => {
                let words = "a file needs a passphrase".to_owned();
                (StatusCode::UNPROCESSABLE_ENTITY, "passphrase", words)
            }
            Self::Service(error) => {
                let (status, cause) = match error {
                    Error::Locked => (StatusCode::CONFLICT, "locked"),
                    Error::NoSuchQuestion => (StatusCode::GONE, "over"),
                    Error::NoSuchMove => (StatusCode::GONE, "no-export"),
                    Error::Store(S::WrongPin { .. }) => (StatusCode::FORBIDDEN, "wrong-pin"),
                    Error::Store(S::LockedOut { .. }) => (StatusCode::FORBIDDEN, "locked-out"),
                    Error::Store(S::NoSuchPasskey) => (StatusCode::NOT_FOUND, "no-passkey"),
                    Error::Store(S::TooLarge) => (StatusCode::UNPROCESSABLE_ENTITY, "too-long"),
                    Error::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
                    _ => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
                };
                (status, cause, error.to_string())
            }
        };
        let until = match &self {
            Self::Service(Error::Store(S::LockedOut { until })) => Some(until.0),
            _ => None,
        };
        let answer = json!({ "cause": cause, "error": words, "until": until });
        (status, Json(answer)).into_response()
    }
}
