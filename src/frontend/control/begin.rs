//! A ceremony for a client: its events as they happen, withdrawn when the client lets go of them.
//!
//! Depends on `client::service` and siblings.

use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;
use tonic::Status;

use super::convert;
use super::v1;
use crate::client::service::{Events, Happened, Service, Transaction};
use crate::frontend::words::Words;

/// Events on their way to a client.
const QUEUE: usize = 16;
/// How long a client may take to say that it has the answer.
const TAKE: Duration = Duration::from_secs(5);

type Told = Result<v1::Event, Status>;

/// Tells how a transaction goes, in the stream that this gives, up to its end.
pub(super) fn follow(service: Service, transaction: Transaction, words: Words) -> Receiver<Told> {
    let (tell, told) = mpsc::channel(QUEUE);
    let events = service.events(Some(transaction.id()));
    tokio::spawn(async move { run(service, transaction, events, words, tell).await });
    told
}

async fn run(
    service: Service,
    mut transaction: Transaction,
    mut events: Events,
    words: Words,
    tell: Sender<Told>,
) {
    loop {
        let event = tokio::select! {
            // Who let go of the stream withdraws the request: it ends with this.
            () = tell.closed() => return,
            event = events.next() => event,
        };
        let Some(event) = event else { break };
        let mut message = convert::event(&event, &service, words);
        if matches!(event.what, Happened::Answered)
            && let Ok(answer) = transaction.answer().await
        {
            let response = answer.to_json();
            message.what = Some(v1::event::What::Answered(v1::Answered { response }));
        }
        if tell.send(Ok(message)).await.is_err() {
            return;
        }
    }
    drop(tell);
    sleep(TAKE).await;
}
