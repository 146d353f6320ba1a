//! The service's terms as messages of the schema. Pure but for the code, which the service has.
//!
//! Depends on `client`, the sibling `words` and the generated code only.

use super::v1;
use crate::client::Progress;
use crate::client::ceremony::Error;
use crate::client::phones::Phone;
use crate::client::receipts::{Receipt, ReceiptNumber};
use crate::client::service::{About, Event, Happened, Purpose, Service, TransactionId};
use crate::frontend::words::{Advice, Words};

impl From<Purpose> for v1::Purpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Register => Self::Register,
            Purpose::SignIn => Self::SignIn,
            Purpose::Select => Self::Select,
        }
    }
}

pub(super) fn about(open: &v1::Open) -> Option<About> {
    let purpose = match open.purpose() {
        v1::Purpose::Unspecified | v1::Purpose::Select => return None,
        v1::Purpose::Register => Purpose::Register,
        v1::Purpose::SignIn => Purpose::SignIn,
    };
    Some(About::new(purpose, &open.rp_id, &open.user_name))
}

pub(super) fn phone(phone: Phone) -> v1::LinkedPhone {
    let own_name = phone.own_name();
    let Phone { name, linked_at, used_at, .. } = phone;
    v1::LinkedPhone { name, own_name, linked_at, used_at }
}

pub(super) fn receipt((number, receipt): (ReceiptNumber, Receipt)) -> v1::Receipt {
    v1::Receipt {
        number: number.0,
        at: receipt.at,
        rp_id: receipt.rp_id,
        user_name: receipt.user_name,
        credential_id: receipt.credential_id.0,
        aaguid: receipt.aaguid.0,
        taken_at: receipt.taken_at,
        proximity: receipt.proximity,
    }
}

/// An event, with the code if it is still shown.
pub(super) fn event(event: &Event, service: &Service, words: Words) -> v1::Event {
    use v1::event::What as W;
    let what = match &event.what {
        Happened::Begun(about) => W::Begun(v1::Begun {
            purpose: v1::Purpose::from(about.purpose()).into(),
            rp_id: about.rp_id().to_owned(),
            user_name: about.user_name().to_owned(),
        }),
        Happened::Step(step) => self::step(step, event.transaction, service, words),
        Happened::Linked(name) => W::Linked(v1::Linked { name: name.clone() }),
        Happened::Answered => W::Answered(v1::Answered::default()),
        Happened::Note(text) => W::Note(v1::Note { text: text.clone() }),
        Happened::Ended(error) => {
            let failure = error.as_deref().map(|error| failure(error, words));
            W::Ended(v1::Ended { failure })
        }
        Happened::MayBeOrphaned(receipt) => W::MayBeOrphaned(receipt.0),
    };
    v1::Event {
        number: event.number,
        transaction: event.transaction.0,
        at: event.at,
        what: Some(what),
    }
}

fn step(step: &Progress, id: TransactionId, service: &Service, words: Words) -> v1::event::What {
    use v1::event::What as W;
    match step {
        Progress::Listening => {
            let text = service.code(id).unwrap_or_default();
            let drawn = (!text.is_empty()).then(|| (words.draw)(&text)).flatten();
            let (svg, offers_bluetooth) = (drawn.unwrap_or_default(), service.offers_l2cap());
            let proximity = service.proximity().name().to_owned();
            W::Listening(v1::Listening { text, svg, offers_bluetooth, proximity })
        }
        Progress::Ringing => {
            let proximity = service.proximity().name().to_owned();
            W::Ringing(v1::Ringing { phone: service.rung(id).unwrap_or_default(), proximity })
        }
        // The service tells it under the name that the phone has here.
        Progress::Linked(device) => W::Linked(v1::Linked { name: device.name.clone() }),
        Progress::AdvertSeen => W::AdvertSeen(v1::AdvertSeen {}),
        Progress::FallingBack => W::FallingBack(v1::FallingBack {}),
        Progress::TryingAgain => W::TryingAgain(v1::TryingAgain {}),
        Progress::Connected { via } => W::Connected(v1::Connected { via: via.name().to_owned() }),
        Progress::WaitingForUser => W::WaitingForUser(v1::WaitingForUser {}),
    }
}

fn failure(error: &Error, words: Words) -> v1::TransactionFailure {
    let Advice { text, hint, status } = (words.advise)(error);
    v1::TransactionFailure {
        cause: error.cause().to_owned(),
        text,
        hint,
        status: status.to_owned(),
    }
}
