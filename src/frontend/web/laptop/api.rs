//! What the page asks for, in JSON.

use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::files::PICTURE;
use super::super::news::news;
use super::view;
use crate::client::receipts::{self, ReceiptNumber};
use crate::client::service::{self, Board, Service, TransactionId};
use crate::frontend::Words;

/// Possible orphans that are listed, the last ones.
const MAX_ORPHANS: usize = 50;

#[derive(Clone)]
pub(super) struct Desk {
    pub(super) service: Service,
    pub(super) words: Words,
    pub(super) board: watch::Sender<Board>,
    pub(super) stopped: watch::Receiver<bool>,
}

type Answer = Result<Json<Value>, Refusal>;

pub(super) fn routes(desk: Desk) -> Router {
    Router::new()
        .route("/api/state", get(state))
        .route("/api/news", get(told))
        .route("/api/touch", post(touch))
        .route("/api/transactions/{id}/code.svg", get(code))
        .route("/api/transactions/{id}/cancel", post(cancel))
        .route("/api/transactions/{id}/clear", post(clear))
        .route("/api/orphans", get(orphans))
        .route("/api/orphans/{receipt}/forget", post(forget))
        .with_state(desk)
}

/// All requests, and how many passkeys may have become orphans: when that changes, the list did.
async fn state(State(desk): State<Desk>) -> Json<Value> {
    let board = desk.board.borrow();
    let cards = board.cards().map(|card| view::card(card, &desk.service, desk.words));
    Json(json!({ "cards": cards.collect::<Vec<_>>(), "orphans": board.orphans() }))
}

async fn told(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = (desk.board.subscribe(), 0_u64);
    let numbers = futures_util::stream::unfold(changes, |(mut board, number)| async move {
        board.changed().await.ok()?;
        Some((number, (board, number + 1)))
    });
    news(numbers, desk.stopped)
}

/// The code as a picture, as long as it is shown.
async fn code(State(desk): State<Desk>, Path(id): Path<u64>) -> Result<Response, Refusal> {
    let id = TransactionId(id);
    let shown = desk.board.borrow().card(id).is_some_and(view::shows_code);
    let text = shown.then(|| desk.service.code(id)).flatten();
    let picture = text.and_then(|text| (desk.words.draw)(&text)).ok_or(Refusal::NoCode)?;
    Ok(([(CONTENT_TYPE, PICTURE)], picture).into_response())
}

async fn cancel(State(desk): State<Desk>, Path(id): Path<u64>) -> Answer {
    done(desk.service.cancel(TransactionId(id)))
}

/// Says that this key is meant.
async fn touch(State(desk): State<Desk>) -> Answer {
    done(desk.service.touch())
}

/// The page shows it no more.
async fn clear(State(desk): State<Desk>, Path(id): Path<u64>) -> Answer {
    let cleared = desk.board.send_if_modified(|board| board.clear(TransactionId(id)));
    if cleared { done(Ok(())) } else { done(Err(service::Error::NoSuchTransaction)) }
}

async fn orphans(State(desk): State<Desk>) -> Answer {
    let all = desk.service.orphans().await?;
    let last = all.len().saturating_sub(MAX_ORPHANS);
    let shown: Vec<_> = all.iter().skip(last).map(view::orphan).collect();
    Ok(Json(json!({ "orphans": shown, "more": last })))
}

/// Its user has seen to it.
async fn forget(State(desk): State<Desk>, Path(receipt): Path<u64>) -> Answer {
    desk.service.forget(ReceiptNumber(receipt)).await?;
    Ok(Json(json!({})))
}

fn done(result: Result<(), service::Error>) -> Answer {
    result.map(|()| Json(json!({}))).map_err(Refusal::Service)
}

/// Why something was not done.
enum Refusal {
    Service(service::Error),
    Receipts(receipts::Error),
    NoCode,
}

impl From<receipts::Error> for Refusal {
    fn from(error: receipts::Error) -> Self {
        Self::Receipts(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, cause, words) = match &self {
            Self::Service(error) => {
                let status = match error {
                    service::Error::NoSuchTransaction => StatusCode::GONE,
                    _ => StatusCode::SERVICE_UNAVAILABLE,
                };
                (status, error.cause(), error.to_string())
            }
            Self::Receipts(error @ receipts::Error::NoSuchReceipt) => {
                (StatusCode::GONE, "no-such-receipt", error.to_string())
            }
            Self::Receipts(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "storage", error.to_string())
            }
            Self::NoCode => (StatusCode::GONE, "no-code", "no code is shown".to_owned()),
        };
        (status, Json(json!({ "cause": cause, "error": words }))).into_response()
    }
}
