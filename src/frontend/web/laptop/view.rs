//! Requests as the page gets them. Pure but for the code, which the service has.

use serde_json::{Value, json};

use crate::client::Progress;
use crate::client::receipts::{Receipt, ReceiptNumber};
use crate::client::service::{Card, Service, Stage};
use crate::frontend::Words;

/// One request; the texts of programs are printable and bounded.
pub(super) fn card(card: &Card, service: &Service, words: Words) -> Value {
    let code = shows_code(card).then(|| service.code(card.id)).flatten();
    let failure = match &card.stage {
        Stage::Over(Some(error)) => {
            let advice = (words.advise)(error);
            json!({ "cause": error.cause(), "text": advice.text, "hint": advice.hint })
        }
        _ => Value::Null,
    };
    json!({
        "id": card.id.0,
        "what": card.about.purpose().name(),
        "rpId": card.about.rp_id(),
        "userName": card.about.user_name(),
        "begunAt": card.begun_at,
        "stage": stage(&card.stage),
        "code": code,
        "offersBluetooth": service.offers_l2cap(),
        "proximity": service.proximity().name(),
        "phone": service.rung(card.id),
        "via": card.via,
        "linked": card.linked,
        "notes": card.notes,
        "failure": failure,
        "orphan": card.orphan.map(|receipt| receipt.0),
    })
}

/// Once the phone is near, nobody else is to scan it.
pub(super) fn shows_code(card: &Card) -> bool {
    matches!(card.stage, Stage::Step(Progress::Listening))
}

fn stage(stage: &Stage) -> &'static str {
    match stage {
        Stage::Begun => "begun",
        Stage::Step(step) => match step {
            Progress::Listening => "listening",
            Progress::Ringing => "ringing",
            Progress::AdvertSeen => "advert-seen",
            Progress::FallingBack => "falling-back",
            Progress::TryingAgain => "trying-again",
            Progress::Connected { .. } | Progress::Linked(_) => "connected",
            Progress::WaitingForUser => "waiting-for-user",
        },
        Stage::Answered => "answered",
        Stage::Over(None) => "done",
        Stage::Over(Some(_)) => "failed",
    }
}

/// A passkey that may be an orphan.
pub(super) fn orphan((number, receipt): &(ReceiptNumber, Receipt)) -> Value {
    json!({ "receipt": number.0, "rpId": receipt.rp_id, "userName": receipt.user_name,
            "at": receipt.at })
}
