//! How a transaction went: each step in words and as an event, then the end and its exit status.
//!
//! ```text
//!  this process ──> here ──┐
//!                          ├──Step, End──> Record ──> words, events, exit status
//!  the service ──> there ──┘
//! ```

mod here;
mod there;

use serde_json::{Value, json};

use super::Reporter;
use super::consent::LastSite;
use crate::authenticator::Error;
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::{event_line, print};
use crate::cli::{advice, ceremony};
use crate::ctap;
use crate::hybrid::qr::ChannelKind;
use crate::hybrid::{self, Waiting};

pub(super) use here::Here;
pub(super) use there::{end, step};

/// For whom a passkey is, as it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Whom {
    id: String,
    site: String,
    account: String,
}

/// An answer that concerned a passkey.
#[derive(Debug)]
pub(super) enum Answer {
    Saved(Whom),
    SignedIn(Whom),
    Offered(Whom),
    Refused(ctap::Status),
    StoreFailed(Failure),
}

/// Something that happened on the way.
#[derive(Debug)]
pub(super) enum Step {
    OpeningTunnel,
    WithoutTunnel(String),
    Advertising,
    Connected(ChannelKind),
    Answered(Answer),
    Acknowledged,
    Linked,
}

/// An end that is not a good one.
pub(super) struct End {
    /// What it was.
    pub(super) failure: Failure,
    /// The laptop left without a word, at a point where nothing was open but its goodbye.
    pub(super) hung_up: bool,
}

/// What happened so far.
pub(super) struct Record {
    reporter: Reporter,
    site: LastSite,
    answer: Option<Answer>,
    acknowledged: bool,
}

impl Record {
    pub(super) fn new(reporter: Reporter, site: LastSite) -> Self {
        Self { reporter, site, answer: None, acknowledged: false }
    }

    /// Tells a step and remembers it.
    pub(super) fn hear(&mut self, step: Step) {
        if matches!(step, Step::Acknowledged) && self.answer.is_none() {
            return;
        }
        let (event, words, fields) = told(&step);
        self.reporter.step(event, &words, fields);
        match step {
            Step::Answered(answer) => {
                self.answer = Some(answer);
                self.acknowledged = false;
            }
            Step::Acknowledged => self.acknowledged = true,
            _ => {}
        }
    }

    /// The end: a last event for machines, and what the command returns.
    ///
    /// # Errors
    ///
    /// Anything but an answer that the laptop took and that is no refusal.
    pub(super) fn conclude(self, end: Option<End>) -> Result<(), Failure> {
        let site = self.site.lock().ok().and_then(|site| site.clone());
        let verdict = verdict(end, self.answer.as_ref(), self.acknowledged, site.as_deref());
        if self.reporter.0.is_json() {
            let line = last_line(self.answer.as_ref(), self.acknowledged, verdict.as_ref().err());
            print(&line.to_string())?;
        }
        verdict
    }
}

/// Event, words and fields of a step.
pub(super) fn told(step: &Step) -> (&'static str, String, Value) {
    match step {
        Step::OpeningTunnel => ("opening-tunnel", "Opening a tunnel...".to_owned(), json!({})),
        Step::WithoutTunnel(why) => {
            let words = format!("No tunnel, so that Bluetooth alone has to do: {why}.");
            ("without-tunnel", words, json!({}))
        }
        Step::Advertising => {
            let words = "Showing this phone to the laptop over Bluetooth...".to_owned();
            ("advertising", words, json!({}))
        }
        Step::Connected(via) => {
            let (how, via) = ceremony::by(*via);
            ("connected", format!("Connected to the laptop {how}."), json!({ "via": via }))
        }
        Step::Answered(answer) => answered(answer),
        Step::Linked => {
            let words = "The computer is remembered and can ring this phone now.";
            ("linked", words.to_owned(), json!({}))
        }
        Step::Acknowledged => {
            ("acknowledged", "The laptop has got the answer.".to_owned(), json!({}))
        }
    }
}

fn answered(answer: &Answer) -> (&'static str, String, Value) {
    match answer {
        Answer::Saved(whom) => {
            ("saved", format!("Passkey saved for {}.", whom.site), whom.fields())
        }
        Answer::SignedIn(whom) => {
            let words = format!("Signed in to {} as {}.", whom.site, whom.account);
            ("signed-in", words, whom.fields())
        }
        Answer::Offered(whom) => {
            let words = format!("Offered the account {} of {}.", whom.account, whom.site);
            ("offered", words, whom.fields())
        }
        Answer::Refused(status) => {
            ("refused", "Told the laptop no.".to_owned(), json!({ "ctapStatus": status.name() }))
        }
        Answer::StoreFailed(_) => {
            ("store-failed", "The passkey store failed.".to_owned(), json!({}))
        }
    }
}

impl Whom {
    fn fields(&self) -> Value {
        json!({ "rpId": self.site, "account": self.account, "credentialId": self.id })
    }
}

fn verdict(
    end: Option<End>,
    answer: Option<&Answer>,
    acknowledged: bool,
    site: Option<&str>,
) -> Result<(), Failure> {
    match (answer, end) {
        (Some(Answer::StoreFailed(failure)), _) => {
            Err(Failure::new(failure.status, &*failure.error, &*failure.hint))
        }
        (Some(Answer::Refused(status)), None | Some(End { hung_up: true, .. })) => {
            Err(refusal(*status, site))
        }
        (Some(Answer::Refused(_)) | None, Some(end)) => Err(end.failure),
        (None, None) => Err(Failure::new(
            Status::NotHeard,
            "the laptop went without asking for anything",
            "look at the laptop, and scan a new code there",
        )),
        (Some(_), None | Some(End { hung_up: true, .. })) if acknowledged => Ok(()),
        (Some(_), Some(end)) if acknowledged => Err(end.failure),
        (Some(answer), None) => {
            let error = Error::Protocol(hybrid::Error::PeerClosed(Waiting::Acknowledgement));
            Err(unacknowledged(answer, advice::authenticator(&error)))
        }
        (Some(answer), Some(end)) => Err(unacknowledged(answer, end.failure)),
    }
}

fn unacknowledged(answer: &Answer, failure: Failure) -> Failure {
    let hint = match answer {
        Answer::Saved(whom) => format!(
            "the passkey for {} is saved here, but possibly orphaned: the laptop may not have got \
             it. See: cabled phone passkeys list; if the site does not know it: cabled phone \
             passkeys prune",
            whom.site
        ),
        _ => {
            "look at the laptop; if it is not signed in, show and scan a new code there".to_owned()
        }
    };
    Failure { hint, ..failure }
}

fn refusal(status: ctap::Status, site: Option<&str>) -> Failure {
    use ctap::Status as S;
    let site = site.unwrap_or("the site");
    let (kind, error, hint) = match status {
        S::OPERATION_DENIED => (
            Status::Refused,
            "the request was declined".to_owned(),
            "scan a new code, and agree, if it was you who started it",
        ),
        S::NO_CREDENTIALS => (
            Status::Refused,
            format!("no passkey for {site} is on this phone"),
            "register one first, use the phone that has it, or name its store with --store",
        ),
        S::CREDENTIAL_EXCLUDED => (
            Status::Refused,
            format!("{site} knows a passkey on this phone already"),
            "sign in with it; see: cabled phone passkeys list",
        ),
        S::USER_ACTION_TIMEOUT => (
            Status::Refused,
            "the question was not answered in time".to_owned(),
            "scan a new code and answer within two minutes",
        ),
        S::UV_INVALID => (
            Status::Locked,
            "the PIN was wrong, so the request was refused".to_owned(),
            "scan a new code and type the right PIN; nothing is lost by wrong ones",
        ),
        S::UV_BLOCKED => (
            Status::Locked,
            "too many wrong PINs, so the request was refused".to_owned(),
            "wait a while; nothing is lost, and the right PIN works then",
        ),
        other => (
            Status::Refused,
            format!("the laptop asked for something that this phone refuses: {other}"),
            "check what the web site or program on the laptop asks for",
        ),
    };
    Failure::new(kind, error, hint)
}

/// The last event: how it went, whatever the exit status says besides.
fn last_line(answer: Option<&Answer>, acknowledged: bool, failure: Option<&Failure>) -> Value {
    let (what, whom) = match answer {
        Some(Answer::Saved(whom)) => ("registered", Some(whom)),
        Some(Answer::SignedIn(whom) | Answer::Offered(whom)) => ("signed-in", Some(whom)),
        Some(Answer::Refused(_)) => ("refused", None),
        Some(Answer::StoreFailed(_)) | None => ("failed", None),
    };
    let mut fields = whom.map_or_else(|| json!({}), Whom::fields);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("outcome".to_owned(), what.into());
        fields.insert("acknowledged".to_owned(), acknowledged.into());
        let status = failure.map_or(0, |failure| failure.status as u8);
        fields.insert("status".to_owned(), status.into());
    }
    event_line("result", fields)
}

#[cfg(test)]
mod tests;
