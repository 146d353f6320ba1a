//! The laptop's face: a page with the codes to scan, and how far each request is.

mod api;
mod view;

use std::io;
use std::time::Duration;

use rand_core::CryptoRngCore;
use tokio::sync::watch;

use super::Web;
use super::files::{self, File, HTML, PICTURE, SCRIPT};
use super::guard::Face;
use crate::client::service::{Board, Service};
use crate::frontend::Words;

const FILES: [File; 4] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/app.js", SCRIPT, include_str!("page/app.js")),
    ("/words.js", SCRIPT, include_str!("page/words.js")),
    ("/icon.svg", PICTURE, include_str!("page/icon.svg")),
];

const FACE: Face = Face {
    session: "cabled-laptop",
    closed: "This page opens with a link that works once, and for two minutes. For a new one: cabled page\n",
    // Made when somebody wants to see the page, and followed at once.
    lifetime: Some(Duration::from_secs(120)),
};

/// A page at this port of 127.0.0.1; port 0 takes a free one. Whoever has a link into it sees the codes,
/// can cancel what runs, and can say that this key is meant. Needs a tokio runtime.
///
/// # Errors
///
/// The port cannot be had.
pub async fn bind(
    service: Service,
    words: Words,
    port: u16,
    rng: &mut (dyn CryptoRngCore + Send),
) -> io::Result<Web> {
    Web::bind(FACE, port, rng, |stopped| {
        let board = watch::Sender::new(Board::default());
        tokio::spawn(follow(service.clone(), board.clone(), stopped.clone()));
        api::routes(api::Desk { service, words, board, stopped }).merge(files::routes(&FILES))
    })
    .await
}

/// Keeps the board, until the page's server ends.
async fn follow(service: Service, board: watch::Sender<Board>, mut stopped: watch::Receiver<bool>) {
    let mut events = service.events(None);
    loop {
        let event = tokio::select! {
            _gone_is_stopped_too = stopped.wait_for(|stop| *stop) => return,
            event = events.next() => event,
        };
        let Some(event) = event else { return };
        board.send_if_modified(|board| board.tell(&event));
    }
}
