//! Why the control API did not do what it was asked, as HTTP and gRPC have it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tonic::{Code, Status};

use super::wire;
use crate::authenticator::service;
use crate::frontend::refusal::caused;
use crate::testbed::Error;

/// A request that cannot be done as it is.
pub(super) fn wrong(what: &str) -> Refusal {
    Refusal::Wrong(what.to_owned())
}

/// Why something was not done.
pub(super) enum Refusal {
    Token,
    Nowhere,
    Wrong(String),
    NoDisplay,
    NoCode,
    Stopping,
    Display(String),
    Bench(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Bench(error)
    }
}

impl Refusal {
    /// HTTP's status, the cause's name, and words for people.
    fn parts(&self) -> (StatusCode, &'static str, String) {
        use StatusCode as S;
        match self {
            Self::Token => (S::UNAUTHORIZED, "token", "the token is missing or wrong".to_owned()),
            Self::Nowhere => (S::NOT_FOUND, "path", "there is no such path".to_owned()),
            Self::Wrong(words) => (S::UNPROCESSABLE_ENTITY, "request", words.clone()),
            Self::NoDisplay => (S::CONFLICT, "no-display", "there is no display".to_owned()),
            Self::NoCode => (S::REQUEST_TIMEOUT, "no-code", "no new code was shown".to_owned()),
            Self::Stopping => {
                (S::SERVICE_UNAVAILABLE, "stopping", "the test bed is taken down".to_owned())
            }
            Self::Display(words) => (S::INTERNAL_SERVER_ERROR, "display", words.clone()),
            Self::Bench(error) => {
                let (status, cause) = of_the_bench(error);
                (status, cause, wire::causes(error))
            }
        }
    }
}

fn of_the_bench(error: &Error) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        Error::NoSuchPhone(_) => (S::NOT_FOUND, "no-such-phone"),
        Error::NoSuchCeremony(_) => (S::NOT_FOUND, "no-such-ceremony"),
        Error::PhoneExists(_) => (S::CONFLICT, "phone-exists"),
        Error::TooManyPhones => (S::CONFLICT, "too-many-phones"),
        Error::BadPin | Error::BadPasskey | Error::ForeignAaguid(_) => {
            (S::UNPROCESSABLE_ENTITY, "request")
        }
        Error::Phone(error @ service::Error::NoCode(_)) => (S::UNPROCESSABLE_ENTITY, error.cause()),
        Error::Phone(error) => (S::CONFLICT, error.cause()),
        _ => (S::INTERNAL_SERVER_ERROR, "bench"),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, cause, words) = self.parts();
        (status, Json(json!({ "cause": cause, "error": words }))).into_response()
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let (status, cause, words) = refusal.parts();
        let code = match status {
            S::UNAUTHORIZED => Code::Unauthenticated,
            S::NOT_FOUND => Code::NotFound,
            S::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
            S::CONFLICT => Code::FailedPrecondition,
            S::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            S::SERVICE_UNAVAILABLE => Code::Unavailable,
            _ => Code::Internal,
        };
        caused(code, cause, &words)
    }
}
