//! A ceremony that the running daemon performs for a command.
//!
//! Depends on the front end's client, and on how ceremonies are shown.

use std::future::Future;
use std::pin::Pin;

use super::socket::refused;
use crate::ble::Proximity;
use crate::cli::advice;
use crate::cli::ceremony::{Audience, Code, Step, show};
use crate::cli::failure::{Failure, Status};
use crate::client::Progress;
use crate::frontend::control::Client;
use crate::frontend::control::v1::event::What;
use crate::frontend::control::v1::{
    BeginRequest, CancelTransactionRequest, Event, TakeRequest, TransactionFailure,
};
use crate::hybrid::qr::ChannelKind;

/// Hands the request over and stays until it is over, or until the user presses Ctrl-C; `deliver` hands
/// the answer, the relying party's JSON, over.
pub(crate) async fn perform(
    audience: &mut impl Audience,
    client: &mut Client,
    request: BeginRequest,
    mut interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    deliver: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut events = client.begin(request).await.map_err(|r| refused(&r))?.into_inner();
    let (mut response, mut lost, mut last) = (None, None, None);
    let ended = loop {
        let event = tokio::select! {
            biased;
            () = interrupt.as_mut(), if lost.is_none() => {
                lost = Some(advice::client(&crate::hybrid::Error::Cancelled.into()));
                cancel(client, last).await;
                continue;
            }
            event = events.message() => event.map_err(|r| refused(&r))?,
        };
        let Event { transaction, what, .. } = event.ok_or_else(unfinished)?;
        last = Some(transaction);
        match what {
            Some(What::Ended(ended)) => break ended.failure,
            Some(What::Answered(answered)) => response = Some(answered.response),
            // Also of a newer daemon.
            what => {
                if let Some(step) = what.and_then(step)
                    && let Err(failure) = show(audience, step)
                    && lost.is_none()
                {
                    lost = Some(failure);
                    cancel(client, last).await;
                }
            }
        }
    };
    let Some(response) = response else {
        return Err(lost.or_else(|| ended.map(failure)).unwrap_or_else(unfinished));
    };
    deliver(&response)?;
    if let Some(transaction) = last {
        // Of a sign-in there is nothing to take.
        let _nothing = client.take(TakeRequest { transaction }).await;
    }
    Ok(())
}

pub(super) async fn cancel(client: &mut Client, transaction: Option<u64>) {
    if let Some(transaction) = transaction {
        // One that is over already tells so itself.
        let _over = client.cancel_transaction(CancelTransactionRequest { transaction }).await;
    }
}

/// `None` for what is no step.
pub(crate) fn step(what: What) -> Option<Step> {
    Some(match what {
        What::Listening(code) => {
            let proximity = proximity(&code.proximity);
            Step::Listening(Code { text: code.text, offline: code.offers_bluetooth, proximity })
        }
        What::Ringing(ringing) => Step::Ringing(proximity(&ringing.proximity)),
        What::Linked(linked) => Step::Linked(linked.name),
        What::AdvertSeen(_) => Step::Next(Progress::AdvertSeen),
        What::FallingBack(_) => Step::Next(Progress::FallingBack),
        What::TryingAgain(_) => Step::Next(Progress::TryingAgain),
        What::Connected(connected) => Step::Next(Progress::Connected {
            via: match connected.via.as_str() {
                "bluetooth" => ChannelKind::L2cap,
                _ => ChannelKind::Tunnel,
            },
        }),
        What::WaitingForUser(_) => Step::Next(Progress::WaitingForUser),
        What::Note(note) => Step::Note(note.text),
        _ => return None,
    })
}

/// A daemon that is older than shared radios says nothing, and has none.
fn proximity(name: &str) -> Proximity {
    Proximity::named(name).unwrap_or(Proximity::Here)
}

/// How a transaction ended that did not end well.
pub(crate) fn failure(failure: TransactionFailure) -> Failure {
    let status = Status::named(&failure.status).unwrap_or(Status::Failure);
    Failure::new(status, failure.text, failure.hint)
}

pub(super) fn unfinished() -> Failure {
    let error = "the daemon stopped before the end was known";
    Failure::new(Status::Failure, error, "start it again with: cabled daemon")
}
