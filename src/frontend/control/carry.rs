//! CTAP2 for a client: one request after the other to the phone, withdrawn when the client lets go.
//!
//! Depends on `client::service` and siblings.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tonic::{Code, Status};

use super::convert;
use super::v1;
use super::v1::carry_request::Part as Asked;
use super::v1::carry_response::Part;
use crate::client::ceremony::Error;
use crate::client::service::{Carrier, Events, Service};
use crate::frontend::refusal::{bad_request, caused};
use crate::frontend::words::Words;

/// Messages on their way to a client.
const QUEUE: usize = 16;
/// How long a transaction may take if the client does not say, in seconds, and at most.
const TIMEOUT: u32 = 300;
const LONGEST: u32 = 600;

pub(super) type Told = Result<v1::CarryResponse, Status>;
/// What a client asks.
pub(super) type Parts = BoxStream<'static, Result<v1::CarryRequest, Status>>;

/// How long a client wants it to take at most.
pub(super) fn timeout(open: &v1::Open) -> Duration {
    let seconds = if open.timeout == 0 { TIMEOUT } else { open.timeout.min(LONGEST) };
    Duration::from_secs(seconds.into())
}

/// Carries what comes in `parts`, and tells what comes of it in the stream that this gives.
pub(super) fn follow(
    service: Service,
    carrier: Carrier,
    parts: Parts,
    words: Words,
) -> Receiver<Told> {
    let (tell, told) = mpsc::channel(QUEUE);
    let events = service.events(Some(carrier.id()));
    tokio::spawn(tell_events(service, events, words, tell.clone()));
    tokio::spawn(async move {
        let gone = tell.clone();
        // Who let go of the stream withdraws the request: it ends with this.
        tokio::select! {
            () = gone.closed() => {}
            () = carry(carrier, parts, tell) => {}
        }
    });
    told
}

async fn tell_events(service: Service, mut events: Events, words: Words, tell: Sender<Told>) {
    loop {
        let event = tokio::select! {
            () = tell.closed() => return,
            event = events.next() => event,
        };
        let Some(event) = event else { return };
        let event = convert::event(&event, &service, words);
        if tell.send(Ok(part(Part::Event(event)))).await.is_err() {
            return;
        }
    }
}

fn part(part: Part) -> v1::CarryResponse {
    v1::CarryResponse { part: Some(part) }
}

async fn carry(mut carrier: Carrier, mut parts: Parts, tell: Sender<Told>) {
    if let Err(refusal) = talk(&mut carrier, &mut parts, &tell).await {
        let ended = match refusal {
            // Told to everybody as the end.
            Refusal::Ended(error) => return drop(carrier.fail(error).await),
            Refusal::Client(status) => status,
        };
        let _gone = tell.send(Err(ended)).await;
        return;
    }
    // Whether the phone heard it is told by the events.
    let _told = carrier.finish().await;
}

enum Refusal {
    /// What ended the transaction.
    Ended(Error),
    /// What the client did wrong, or that it is gone.
    Client(Status),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Ended(error)
    }
}

async fn talk(
    carrier: &mut Carrier,
    parts: &mut Parts,
    tell: &Sender<Told>,
) -> Result<(), Refusal> {
    let gone = |_| Refusal::Client(caused(Code::Cancelled, "cancelled", "the client is gone"));
    let info = carrier.ready().await?.get_info.unwrap_or_default();
    tell.send(Ok(part(Part::GetInfo(info)))).await.map_err(gone)?;
    while let Some(asked) = next(carrier, parts).await? {
        match asked.map_err(Refusal::Client)?.part {
            Some(Asked::Ctap(message)) => {
                let reply = carrier.call(message).await?;
                carrier.answered();
                tell.send(Ok(part(Part::Ctap(reply)))).await.map_err(gone)?;
            }
            Some(Asked::Taken(_)) => carrier.taken().await,
            Some(Asked::Open(_)) | None => {
                return Err(Refusal::Client(bad_request("it is open already")));
            }
        }
    }
    Ok(())
}

/// The next request; a client that is slow to ask holds nobody up for longer than it asked for.
async fn next(
    carrier: &mut Carrier,
    parts: &mut Parts,
) -> Result<Option<Result<v1::CarryRequest, Status>>, Error> {
    tokio::select! {
        part = parts.next() => Ok(part),
        error = carrier.ends() => Err(error),
    }
}
