//! A CTAP2 message to a phone and its reply, untouched: through the daemon if it runs, else from here.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use super::ceremony::{Audience, Code, show, step};
use super::failure::{Failure, Status};
use super::laptop::Terminal;
use super::ui::Ui;
use super::way::Way;
use super::{advice, daemon, system};
use crate::client::ceremony::Error;
use crate::client::service::{self, About, Event, Service};
use crate::ctap::GetInfo;
use crate::frontend::control::v1::{Open, Purpose};
use crate::hybrid;

/// How long it may take until the phone has answered.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// Fetches a phone, sends it the message that `ask` makes of what it can do, and has
/// the reply (status byte and CBOR) delivered. The new passkey counts as taken if `deliver` succeeds.
pub(super) async fn carry(
    ui: Ui,
    way: &Way,
    (about, patience): (About, Duration),
    ask: impl FnOnce(&GetInfo) -> Result<Vec<u8>, Failure>,
    deliver: impl FnOnce(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut interrupt = pin!(system::interrupted());
    let mut terminal = Terminal { ui, qr: &way.qr };
    let ask = |info: &[u8]| ask(&capabilities(info)?);
    if let Some(mut client) = way.daemon().await? {
        let (phone, remember) = way.there();
        let open = Open {
            phone,
            remember,
            purpose: Purpose::from(about.purpose()).into(),
            rp_id: about.rp_id().to_owned(),
            user_name: about.user_name().to_owned(),
            timeout: u32::try_from(patience.as_secs()).unwrap_or_default(),
            usual: false,
        };
        let interrupt = interrupt.as_mut();
        return daemon::carry(&mut terminal, &mut client, open, interrupt, ask, deliver).await;
    }
    let service = way.service()?;
    let by = way.here(&service).await?;
    here(&mut terminal, &service, by, (about, patience), interrupt.as_mut(), ask, deliver).await
}

fn capabilities(info: &[u8]) -> Result<GetInfo, Failure> {
    if info.is_empty() {
        let hint = "use another phone, or update this one";
        return Err(Failure::new(Status::Refused, "the phone offers no passkeys", hint));
    }
    GetInfo::decode(info).map_err(|error| {
        Failure::because(Status::Protocol, &error, "the phone's software is to blame; update it")
    })
}

/// Why there is no reply.
enum Lost {
    /// What ended the transaction.
    Ended(Error),
    /// The phone cannot do what is wanted.
    Unasked(Failure),
}

async fn here(
    audience: &mut impl Audience,
    service: &Service,
    by: service::Way,
    (about, patience): (About, Duration),
    mut interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    ask: impl FnOnce(&[u8]) -> Result<Vec<u8>, Failure>,
    deliver: impl FnOnce(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let carrier = service.carry_by(by, about, patience);
    let mut carrier = carrier.map_err(|error| advice::begin(&error))?;
    let id = carrier.id();
    let mut events = service.events(Some(id));
    let mut lost = None;
    let mut tell = |event: Event| {
        step(event.what, || Code::of(service, id)).map_or(Ok(()), |step| show(audience, step))
    };
    let reply = {
        let mut talk = pin!(async {
            let said = carrier.ready().await.map_err(Lost::Ended)?;
            let message = ask(&said.get_info.unwrap_or_default()).map_err(Lost::Unasked)?;
            carrier.call(message).await.map_err(Lost::Ended)
        });
        loop {
            let failed = tokio::select! {
                biased;
                () = interrupt.as_mut(), if lost.is_none() => Some(cancelled()),
                Some(event) = events.next() => tell(event).err(),
                reply = &mut talk => break reply,
            };
            if let (Some(failure), None) = (failed, &lost) {
                lost = Some(failure);
                // One that is over already tells so itself.
                let _over = service.cancel(id);
            }
        }
    };
    let (error, ours) = match reply {
        Ok(reply) => {
            let delivered = deliver(&reply);
            if delivered.is_ok() {
                carrier.taken().await;
            }
            // Whether the phone heard it is told by the events.
            let _told = carrier.finish().await;
            while let Some(event) = events.next().await {
                // What was delivered stays delivered, also if nobody reads the rest.
                let _unread = tell(event);
            }
            return delivered;
        }
        Err(Lost::Ended(error)) => (error, lost),
        Err(Lost::Unasked(failure)) => {
            let error = crate::client::Error::from(hybrid::Error::Cancelled);
            (error.into(), Some(failure))
        }
    };
    let error = carrier.fail(error).await;
    Err(ours.unwrap_or_else(|| advice::ceremony(&error)))
}

fn cancelled() -> Failure {
    advice::client(&hybrid::Error::Cancelled.into())
}
