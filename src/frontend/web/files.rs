//! The pages' files, compiled in: those that both share, and what makes each its own.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

/// Name, type and text.
pub(super) type File = (&'static str, &'static str, &'static str);

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const STYLE: &str = "text/css; charset=utf-8";
pub(super) const PICTURE: &str = "image/svg+xml";

const SHARED: [File; 2] = [
    ("/common.js", SCRIPT, include_str!("shared/common.js")),
    ("/style.css", STYLE, include_str!("shared/style.css")),
];

/// The shared files and these.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(own: &'static [File]) -> Router<S> {
    SHARED.iter().chain(own).fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], text) }))
    })
}
