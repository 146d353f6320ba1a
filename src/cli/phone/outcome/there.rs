//! What the service tells, as steps. Pure.
//!
//! Depends on the generated messages only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Answer, End, Step, Whom};
use crate::cli::failure::{Failure, Status};
use crate::ctap;
use crate::frontend::grpc::v1::event::What;
use crate::frontend::grpc::v1::{Answered, TransactionFailure};
use crate::hybrid::qr::ChannelKind;

/// `None` for what is no step.
pub(in crate::cli::phone) fn step(what: &What) -> Option<Step> {
    Some(match what {
        What::OpeningTunnel(_) => Step::OpeningTunnel,
        What::WithoutTunnel(without) => Step::WithoutTunnel(without.why.clone()),
        What::Advertising(_) => Step::Advertising,
        What::Connected(connected) => Step::Connected(match connected.via.as_str() {
            "bluetooth" => ChannelKind::L2cap,
            _ => ChannelKind::Tunnel,
        }),
        What::Answered(answered) => Step::Answered(answer(answered)?),
        What::Acknowledged(_) => Step::Acknowledged,
        What::Linked(_) => Step::Linked,
        What::Rung(_) | What::Scanned(_) | What::Asked(_) | What::Settled(_) | What::Ended(_) => {
            return None;
        }
    })
}

fn answer(answered: &Answered) -> Option<Answer> {
    let whom = || Whom {
        id: URL_SAFE_NO_PAD.encode(&answered.passkey),
        site: answered.rp_id.clone(),
        account: answered.account.clone(),
    };
    Some(match answered.what.as_str() {
        "saved" => Answer::Saved(whom()),
        "signed-in" => Answer::SignedIn(whom()),
        "offered" => Answer::Offered(whom()),
        "refused" => {
            let status = answered.ctap_status.and_then(|status| u8::try_from(status).ok());
            Answer::Refused(ctap::Status(status.unwrap_or_default()))
        }
        "store-failed" => Answer::StoreFailed(Failure::new(
            Status::Storage,
            answered.error.as_deref().unwrap_or("the passkeys could not be read or written"),
            "check the disk that holds the passkeys; see: cabled phone store check",
        )),
        _ => return None,
    })
}

/// How a transaction ended that did not end well.
pub(in crate::cli::phone) fn end(failure: &TransactionFailure) -> End {
    let TransactionFailure { cause, text, hint } = failure;
    let status = match cause.as_str() {
        "radio" | "bluetooth" => Status::Radio,
        "tunnel" | "neither" => Status::Network,
        "timed-out" | "hung-up" | "broken" | "unconfirmed" => Status::NotHeard,
        "cancelled" => Status::Interrupted,
        "protocol" => Status::Protocol,
        "store" => Status::Storage,
        _ => Status::Failure,
    };
    // The service has a hint for each; one of an older version has none.
    let hint = match hint.as_str() {
        "" => "show a new code on the laptop, and scan it",
        hint => hint,
    };
    // A laptop that leaves before it has an answer leaves no answer to judge by this.
    let hung_up = matches!(cause.as_str(), "timed-out" | "hung-up" | "broken");
    End { failure: Failure::new(status, text, hint), hung_up }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::phone::Reporter;
    use crate::cli::phone::outcome::Record;
    use crate::cli::ui::Ui;
    use crate::frontend::grpc::v1::Acknowledged;

    fn judged(whats: &[What], cause: Option<&str>) -> Result<(), Failure> {
        let mut record = Record::new(Reporter(Ui::new(false, true)), Default::default());
        whats.iter().filter_map(step).for_each(|step| record.hear(step));
        let failure = cause.map(|cause| TransactionFailure {
            cause: cause.to_owned(),
            text: "why".to_owned(),
            hint: "what to do".to_owned(),
        });
        record.conclude(failure.as_ref().map(end))
    }

    fn answer(what: &str) -> What {
        let ctap_status = (what == "refused").then_some(ctap::Status::OPERATION_DENIED.0.into());
        What::Answered(Answered { what: what.to_owned(), ctap_status, ..Answered::default() })
    }

    #[test]
    fn the_exit_status_is_that_of_the_same_in_this_process() {
        let taken = || What::Acknowledged(Acknowledged {});
        assert!(judged(&[answer("saved"), taken()], None).is_ok());
        assert!(judged(&[answer("saved"), taken()], Some("hung-up")).is_ok());
        let status = |whats: &[What], cause| judged(whats, cause).unwrap_err().status;
        assert_eq!(status(&[answer("saved")], Some("hung-up")), Status::NotHeard);
        assert_eq!(status(&[answer("refused")], Some("hung-up")), Status::Refused);
        assert_eq!(status(&[answer("refused")], Some("cancelled")), Status::Interrupted);
        assert_eq!(status(&[answer("store-failed")], None), Status::Storage);
        assert_eq!(status(&[], Some("tunnel")), Status::Network);
        let failure = judged(&[], Some("radio")).unwrap_err();
        assert_eq!((failure.error.as_str(), failure.hint.as_str()), ("why", "what to do"));
        let orphan = judged(&[answer("saved")], Some("unconfirmed")).unwrap_err();
        assert!(orphan.hint.contains("possibly orphaned"));
    }
}
