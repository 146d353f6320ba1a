//! The service's messages in words for people and as events for machines. Pure.
//!
//! Depends on the generated messages only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::cli::failure::{Failure, Status};
use crate::frontend::grpc::v1::event::What;
use crate::frontend::grpc::v1::{Account, Answered, Event, Question, Settled, Wanted};

/// Who wants what, what there is to choose from, and how to answer.
pub(super) fn question(question: &Question) -> String {
    let site = &question.rp_id;
    let who = match question.transaction {
        Some(_) => "A laptop nearby",
        None => "A program on this machine",
    };
    let what = match question.wanted() {
        Wanted::Save => {
            let whom = question.user.as_ref().map(|user| format!(", account {user}"));
            format!("wants to save a passkey for {site}{}", whom.unwrap_or_default())
        }
        Wanted::SignIn => format!("wants to sign in to {site}"),
        Wanted::AlreadyRegistered => {
            format!("wants to save a passkey for {site}, which has one on this phone already")
        }
        Wanted::NothingFound => {
            format!("wants to sign in to {site}, but no passkey for it is on this phone")
        }
        Wanted::Presence | Wanted::Unspecified => "asks to use this phone".to_owned(),
    };
    let mut lines = vec![format!("Question {}: {who} {what}.", question.id)];
    let numbered = question.accounts.iter().zip(1..);
    lines.extend(numbered.map(|(account, number)| format!("  {number}. {}", name(account))));
    let replaced = question.replaces.iter();
    lines.extend(replaced.map(|account| format!("  Takes the place of: {}", name(account))));
    lines.push(format!("  {}", question.warning));
    lines.join("\n")
}

fn name(account: &Account) -> &str {
    let names = [&account.name, &account.display_name];
    names.into_iter().find(|name| !name.is_empty()).map_or("(no name)", String::as_str)
}

/// A question for machines.
pub(super) fn fields(question: &Question) -> Value {
    let names = |accounts: &[Account]| accounts.iter().map(|a| json!(a.name)).collect::<Vec<_>>();
    let what = match question.wanted() {
        Wanted::Save => "save",
        Wanted::SignIn => "sign-in",
        Wanted::AlreadyRegistered => "already-registered",
        Wanted::NothingFound => "nothing-found",
        Wanted::Presence | Wanted::Unspecified => "presence",
    };
    json!({
        "question": question.id,
        "transaction": question.transaction,
        "what": what,
        "rpId": question.rp_id,
        "account": question.user,
        "accounts": names(&question.accounts),
        "replaces": names(&question.replaces),
        "warning": question.warning,
    })
}

/// An event: its name, words, fields.
pub(super) fn event(event: &Event) -> (&'static str, String, Value) {
    let (name, words, mut fields) = match &event.what {
        Some(What::Scanned(_)) => ("scanned", "The code was read.".to_owned(), json!({})),
        Some(What::OpeningTunnel(_)) => {
            ("opening-tunnel", "Opening a tunnel...".to_owned(), json!({}))
        }
        Some(What::WithoutTunnel(without)) => {
            let words = format!("No tunnel, so that Bluetooth alone has to do: {}.", without.why);
            ("without-tunnel", words, json!({}))
        }
        Some(What::Advertising(_)) => {
            let words = "Showing this phone to the laptop over Bluetooth...".to_owned();
            ("advertising", words, json!({}))
        }
        Some(What::Connected(connected)) => {
            let how = match connected.via.as_str() {
                "bluetooth" => "over Bluetooth",
                _ => "over the internet",
            };
            let words = format!("Connected to the laptop {how}.");
            ("connected", words, json!({ "via": connected.via }))
        }
        Some(What::Asked(asked)) => ("asked", question(asked), fields(asked)),
        Some(What::Settled(settled)) => {
            let (words, how) = how(settled.how());
            let words = format!("Question {}: {words}.", settled.question);
            ("settled", words, json!({ "question": settled.question, "how": how }))
        }
        Some(What::Answered(answered)) => self::answered(answered),
        Some(What::Acknowledged(_)) => {
            ("acknowledged", "The laptop has got the answer.".to_owned(), json!({}))
        }
        Some(What::Ended(ended)) => match &ended.failure {
            Some(failure) => {
                let words = format!("It is over: {}.", failure.text);
                ("ended", words, json!({ "cause": failure.cause, "error": failure.text }))
            }
            None => ("ended", "It is over.".to_owned(), json!({})),
        },
        None => {
            ("unknown", "Something happened that this program does not know.".into(), json!({}))
        }
    };
    if let (Some(fields), Some(transaction)) = (fields.as_object_mut(), event.transaction) {
        fields.insert("transaction".to_owned(), transaction.into());
    }
    (name, words, fields)
}

fn how(how: Settled) -> (&'static str, &'static str) {
    match how {
        Settled::Approved => ("approved", "approved"),
        Settled::Declined => ("declined", "declined"),
        Settled::LockedOut => ("too many wrong PINs", "locked-out"),
        Settled::Withdrawn | Settled::Unspecified => ("withdrawn", "withdrawn"),
    }
}

fn answered(answered: &Answered) -> (&'static str, String, Value) {
    let (site, account) = (&answered.rp_id, &answered.account);
    let (name, words) = match answered.what.as_str() {
        "saved" => ("saved", format!("Saved a passkey for {site}, account {account}.")),
        "signed-in" => ("signed-in", format!("Signed in to {site} as {account}.")),
        "offered" => ("offered", format!("Offered {account} of {site} to the laptop.")),
        "refused" => ("refused", "The request was refused.".to_owned()),
        "store-failed" => ("store-failed", "The passkeys could not be read or written.".to_owned()),
        _ => ("answered", "Answered.".to_owned()),
    };
    let id = Some(&answered.passkey).filter(|id| !id.is_empty());
    let id = id.map(|id| URL_SAFE_NO_PAD.encode(id));
    let fields = json!({
        "rpId": site, "account": account, "credentialId": id, "ctapStatus": answered.ctap_status,
    });
    (name, words, fields)
}

/// How a transaction went, as its events say.
#[derive(Default)]
pub(super) struct Verdict {
    refused: Option<Failure>,
    acknowledged: bool,
    ended: bool,
    failure: Option<Failure>,
}

impl Verdict {
    /// Takes note of an event.
    pub(super) fn hear(&mut self, event: &Event) {
        match &event.what {
            Some(What::Answered(answered)) => {
                self.acknowledged = false;
                self.refused = refusal(answered);
            }
            Some(What::Acknowledged(_)) => self.acknowledged = true,
            Some(What::Ended(ended)) => {
                self.ended = true;
                self.failure = ended.failure.as_ref().and_then(|failure| {
                    let left = matches!(failure.cause.as_str(), "timed-out" | "hung-up" | "broken");
                    // An answer that arrived is not undone by how the laptop leaves.
                    (!(left && self.acknowledged)).then(|| failed(&failure.cause, &failure.text))
                });
            }
            _ => {}
        }
    }

    /// The end.
    ///
    /// # Errors
    ///
    /// A refusal, whatever came after it; what ended the transaction; the end of the service.
    pub(super) fn reached(self) -> Result<(), Failure> {
        let unfinished = || {
            let hint = "start it again with: cabled phone run";
            Failure::new(Status::Failure, "the service stopped before the end was known", hint)
        };
        let failure = self.refused.or(self.failure);
        failure.or_else(|| (!self.ended).then(unfinished)).map_or(Ok(()), Err)
    }
}

fn refusal(answered: &Answered) -> Option<Failure> {
    let hint = "show a new code on the laptop, and submit it, if it was you who started it";
    let refused = || Failure::new(Status::Refused, "the request was refused", hint);
    (answered.what == "refused").then(refused)
}

fn failed(cause: &str, text: &str) -> Failure {
    let status = match cause {
        "radio" | "bluetooth" => Status::Radio,
        "tunnel" | "neither" => Status::Network,
        "timed-out" | "hung-up" | "broken" | "unconfirmed" => Status::NotHeard,
        "cancelled" => Status::Interrupted,
        "protocol" => Status::Protocol,
        "store" => Status::Storage,
        _ => Status::Failure,
    };
    Failure::new(status, text, "show a new code on the laptop, and submit it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::grpc::v1::{Acknowledged, Ended, TransactionFailure};

    fn judged(whats: Vec<What>) -> Result<(), Failure> {
        let mut verdict = Verdict::default();
        for what in whats {
            verdict.hear(&Event { what: Some(what), ..Event::default() });
        }
        verdict.reached()
    }

    fn answer(what: &str) -> What {
        What::Answered(Answered { what: what.to_owned(), ..Answered::default() })
    }

    fn end(cause: Option<&str>) -> What {
        let failure = cause
            .map(|cause| TransactionFailure { cause: cause.to_owned(), text: "why".to_owned() });
        What::Ended(Ended { failure })
    }

    #[test]
    fn the_exit_status_says_how_it_went() {
        let acknowledged = || What::Acknowledged(Acknowledged {});
        assert!(judged(vec![answer("saved"), acknowledged(), end(None)]).is_ok());
        assert!(judged(vec![answer("saved"), acknowledged(), end(Some("hung-up"))]).is_ok());
        let status = |whats| judged(whats).unwrap_err().status;
        assert_eq!(status(vec![answer("saved"), end(Some("hung-up"))]), Status::NotHeard);
        assert_eq!(status(vec![answer("refused"), end(Some("hung-up"))]), Status::Refused);
        assert_eq!(status(vec![end(Some("tunnel"))]), Status::Network);
        assert_eq!(status(vec![answer("saved")]), Status::Failure);
    }
}
