//! HTTP on loopback: connections within bounds, until it is told to stop.
//!
//! Who may ask for what is the business of the router. Depends on axum and hyper.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Browsers open six for a page, and one for its news.
const MAX_CONNECTIONS: usize = 32;
/// For the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Between a failed accept and the next, when the machine is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves, and then ends what is still open. `stopping` is told, for answers that
/// have no end of their own.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stopping: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let mut conversations = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = conversations.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if conversations.len() < MAX_CONNECTIONS => {
                conversations.spawn(converse(stream, router.clone()));
            }
            // Full: hung up on, and whoever it was tries again.
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    stopping.send_replace(true);
    // What the router holds is free again when this returns.
    conversations.shutdown().await;
}

async fn converse(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // A client that goes, or talks nonsense, is the end of its connection and of nothing else.
    let _gone = served.await;
}
