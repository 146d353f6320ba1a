//! A CTAP2 message that the running daemon carries to a phone for a command.
//!
//! Depends on the front end's client, and on how ceremonies are shown.

use std::future::Future;
use std::pin::Pin;

use futures_util::stream;
use tokio::sync::mpsc;

use super::socket::refused;
use super::there::{cancel, failure, step, unfinished};
use crate::cli::advice;
use crate::cli::ceremony::{Audience, show};
use crate::cli::failure::Failure;
use crate::frontend::control::Client;
use crate::frontend::control::v1::carry_request::Part as Asked;
use crate::frontend::control::v1::carry_response::Part;
use crate::frontend::control::v1::event::What;
use crate::frontend::control::v1::{CarryRequest, Open, Taken};

/// Parts on their way to the daemon: there are no more than this.
const PARTS: usize = 3;

/// Opens a transaction, sends what `ask` makes of the phone's getInfo, and has the reply delivered.
pub(crate) async fn carry(
    audience: &mut impl Audience,
    client: &mut Client,
    open: Open,
    mut interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    ask: impl FnOnce(&[u8]) -> Result<Vec<u8>, Failure>,
    deliver: impl FnOnce(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (parts, mut waiting) = mpsc::channel(PARTS);
    send(&parts, Asked::Open(open));
    let asked = stream::poll_fn(move |context| waiting.poll_recv(context));
    let mut answers = client.carry(asked).await.map_err(|r| refused(&r))?.into_inner();
    let (ask, deliver) = (Some(ask), Some(deliver));
    let mut talk = Talk { parts: Some(parts), ask, deliver, delivered: None };
    let (mut lost, mut last) = (None, None);
    let ended = loop {
        let answer = tokio::select! {
            biased;
            () = interrupt.as_mut(), if lost.is_none() && talk.delivered.is_none() => {
                lost = Some(advice::client(&crate::hybrid::Error::Cancelled.into()));
                cancel(client, last).await;
                continue;
            }
            answer = answers.message() => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            // What was delivered stays delivered.
            Err(_) if talk.delivered.is_some() => break None,
            Err(refusal) => return Err(lost.unwrap_or_else(|| refused(&refusal))),
        };
        let Some(answer) = answer else { break None };
        let done = match answer.part {
            Some(Part::Event(event)) => {
                last = Some(event.transaction);
                match event.what {
                    Some(What::Ended(ended)) => break ended.failure,
                    what => what.and_then(step).map_or(Ok(()), |step| show(audience, step)),
                }
            }
            part => talk.answer(part),
        };
        if let (Err(failure), None) = (done, &lost) {
            lost = Some(failure);
            if talk.delivered.is_none() {
                cancel(client, last).await;
            }
        }
    };
    talk.delivered
        .unwrap_or_else(|| Err(lost.or_else(|| ended.map(failure)).unwrap_or_else(unfinished)))
}

/// There is room for all, and a daemon that hung up says so itself.
fn send(parts: &mpsc::Sender<CarryRequest>, part: Asked) {
    let _gone = parts.try_send(CarryRequest { part: Some(part) });
}

/// What is still to be said.
struct Talk<A, D> {
    /// Gone when there is nothing more to ask: the daemon hangs up then.
    parts: Option<mpsc::Sender<CarryRequest>>,
    ask: Option<A>,
    deliver: Option<D>,
    delivered: Option<Result<(), Failure>>,
}

impl<A, D> Talk<A, D>
where
    A: FnOnce(&[u8]) -> Result<Vec<u8>, Failure>,
    D: FnOnce(&[u8]) -> Result<(), Failure>,
{
    /// Goes on after what the phone said.
    fn answer(&mut self, part: Option<Part>) -> Result<(), Failure> {
        match part {
            Some(Part::GetInfo(info)) => {
                let message = self.ask.take().map(|ask| ask(&info)).transpose()?;
                if let (Some(message), Some(parts)) = (message, &self.parts) {
                    send(parts, Asked::Ctap(message));
                }
            }
            Some(Part::Ctap(reply)) => {
                let parts = self.parts.take();
                let Some(deliver) = self.deliver.take() else { return Ok(()) };
                let delivered = deliver(&reply);
                if let (Ok(()), Some(parts)) = (&delivered, &parts) {
                    send(parts, Asked::Taken(Taken {}));
                }
                self.delivered = Some(delivered);
            }
            // Events are shown elsewhere; or it is of a newer daemon.
            Some(Part::Event(_)) | None => {}
        }
        Ok(())
    }
}
