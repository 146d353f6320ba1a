//! A registration or a sign-in of the laptop, from QR to the relying party's answer.
//!
//! Who watches is an [`Audience`]: the terminal for the laptop's commands, a stop-watch for the
//! demo.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::failure::Failure;
use super::{advice, system};
use crate::ble::Proximity;
use crate::client::ceremony::Ceremony;
use crate::client::phones::Phones;
use crate::client::receipts::Receipts;
use crate::client::service::{self, Event, Happened, Service, Sources};
use crate::client::{Client, Progress};
use crate::hybrid::qr::ChannelKind;

/// Who watches a ceremony.
pub(super) trait Audience {
    /// Shows the code; the ceremony ends if that fails.
    fn qr(&mut self, text: &str) -> Result<(), Failure>;
    /// A step was done.
    fn step(&mut self, event: &'static str, words: &str);
    /// From now on a phone is listened for; what being heard proves is to be told.
    fn listens(&mut self, event: &'static str, words: &str, proximity: Proximity);
    /// The devices are connected.
    fn connected(&mut self, via: ChannelKind);
    /// A remark.
    fn note(&mut self, words: &str);
}

/// A step of a ceremony, whoever performs it.
pub(super) enum Step {
    /// The radio listens; with what is shown to the phone.
    Listening(Code),
    /// The radio listens, and a phone that is remembered is rung.
    Ringing(Proximity),
    /// Any of the others.
    Next(Progress),
    /// The phone is remembered under this name.
    Linked(String),
    Note(String),
}

/// What is shown to the phone.
pub(super) struct Code {
    pub(super) text: String,
    /// It offers phones to do without internet.
    pub(super) offline: bool,
    pub(super) proximity: Proximity,
}

impl Code {
    /// What a transaction of this process shows now.
    pub(super) fn of(service: &Service, id: service::TransactionId) -> Self {
        let text = service.code(id).unwrap_or_default();
        Self { text, offline: service.offers_l2cap(), proximity: service.proximity() }
    }
}

/// The laptop's service in this process.
pub(super) fn here(client: Client, receipts: Option<Receipts>, phones: Option<Phones>) -> Service {
    let sources = Sources {
        clock: Arc::new(system::unix_time),
        rng: Arc::new(|| Box::new(system::random())),
    };
    Service::remembering(client, receipts, phones, sources)
}

/// Performs a ceremony in this process, until the user presses Ctrl-C; `deliver` hands the answer, the
/// relying party's JSON, over.
pub(super) async fn perform(
    audience: &mut impl Audience,
    service: &Service,
    way: service::Way,
    ceremony: Ceremony,
    mut interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    deliver: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut transaction = service.begin_by(way, ceremony).map_err(|error| advice::begin(&error))?;
    let id = transaction.id();
    let mut events = service.events(Some(id));
    let mut lost = None;
    loop {
        let event = tokio::select! {
            biased;
            () = interrupt.as_mut(), if lost.is_none() => {
                lost = Some(advice::client(&crate::hybrid::Error::Cancelled.into()));
                // One that is over already tells so itself.
                let _over = service.cancel(id);
                continue;
            }
            event = events.next() => event,
        };
        let Some(Event { what, .. }) = event else { break };
        if let Some(step) = step(what, || Code::of(service, id))
            && let Err(failure) = show(audience, step)
            && lost.is_none()
        {
            lost = Some(failure);
            let _over = service.cancel(id);
        }
    }
    match transaction.answer().await {
        Ok(answer) => {
            deliver(&answer.to_json())?;
            // Of a sign-in there is nothing to take.
            let _nothing = service.taken(id).await;
            Ok(())
        }
        Err(error) => Err(lost.unwrap_or_else(|| advice::ceremony(&error))),
    }
}

pub(super) fn step(what: Happened, code: impl FnOnce() -> Code) -> Option<Step> {
    Some(match what {
        Happened::Step(Progress::Listening) => Step::Listening(code()),
        Happened::Step(Progress::Ringing) => Step::Ringing(code().proximity),
        Happened::Step(step) => Step::Next(step),
        Happened::Note(text) => Step::Note(text),
        Happened::Linked(name) => Step::Linked(name),
        _ => return None,
    })
}

pub(super) fn show(audience: &mut impl Audience, step: Step) -> Result<(), Failure> {
    match step {
        Step::Listening(code) => {
            audience.qr(&code.text)?;
            audience.listens("listening", scan_this(code.offline), code.proximity);
        }
        Step::Ringing(proximity) => {
            audience.listens("ringing", "Ringing your phone. Follow the steps there.", proximity);
        }
        Step::Next(step) => next(audience, &step),
        Step::Linked(name) => audience.step("linked", &linked(&name)),
        Step::Note(text) => audience.note(&text),
    }
    Ok(())
}

fn next(audience: &mut impl Audience, step: &Progress) {
    match step {
        // Shown with what being heard proves, and told by the service under the name that the phone has here.
        Progress::Listening | Progress::Ringing | Progress::Linked(_) => {}
        Progress::AdvertSeen => audience.step("advert-seen", "Connecting to your phone..."),
        Progress::FallingBack => {
            let words = "Bluetooth alone does not do; trying over the internet...";
            audience.step("falling-back", words);
        }
        Progress::TryingAgain => {
            audience.step("trying-again", "That did not do; trying Bluetooth once more...");
        }
        Progress::Connected { via } => audience.connected(*via),
        Progress::WaitingForUser => {
            audience.step("waiting-for-user", "Follow the steps on your phone.");
        }
    }
}

/// What people are told of it where it is not as everybody expects; a simulated radio is for tests.
pub(super) fn shared(proximity: Proximity) -> Option<&'static str> {
    (proximity == Proximity::Shared).then_some(
        "the radio of another machine listens: your phone has to be near that one, not near this one",
    )
}

fn linked(name: &str) -> String {
    format!("{name} is remembered; next time, in place of a code: --phone {name:?}")
}

fn scan_this(offline: bool) -> &'static str {
    match offline {
        false => {
            "Scan this code with your phone's camera. Both devices need Bluetooth and internet."
        }
        true => {
            "Scan this code with your phone's camera. Both devices need Bluetooth, and internet \
             if the phone cannot do without."
        }
    }
}

/// How the devices are connected, in words and for machines.
pub(super) fn by(via: ChannelKind) -> (&'static str, &'static str) {
    match via {
        ChannelKind::Tunnel => ("over the internet", "tunnel"),
        ChannelKind::L2cap => ("over Bluetooth", "bluetooth"),
    }
}
