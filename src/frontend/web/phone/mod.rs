//! The phone's face: a page with pending questions and passkeys.

mod api;
mod view;

use std::io;

use rand_core::CryptoRngCore;

use super::Web;
use super::files::{self, File, HTML, PICTURE, SCRIPT};
use super::guard::Face;
use crate::authenticator::service::Service;

const FILES: [File; 3] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/icon.svg", PICTURE, include_str!("page/icon.svg")),
];

const FACE: Face = Face {
    session: "cabled-phone",
    closed: "This page opens with the link that cabled phone run --web printed. Each link works once: for \
             a new one, start it again.\n",
    // Whoever started the program follows it when it pleases them.
    lifetime: None,
};

/// A page at this port of 127.0.0.1; port 0 takes a free one. Whoever has a link into it can see and
/// delete passkeys, as far as the store is unlocked, but approve nothing without the PIN.
///
/// # Errors
///
/// The port cannot be had.
pub async fn bind(
    service: Service,
    port: u16,
    rng: &mut (dyn CryptoRngCore + Send),
) -> io::Result<Web> {
    Web::bind(FACE, port, rng, |stopped| api::routes(service, stopped).merge(files::routes(&FILES)))
        .await
}
