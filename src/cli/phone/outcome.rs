//! How a transaction went: each step in words and as an event, then the end and its exit status.
//!
//! Depends on the store only to learn for whom a passkey is.

use serde_json::{Value, json};

use super::Reporter;
use super::consent::LastSite;
use super::unlock;
use super::view;
use crate::authenticator::{
    AccountView, CredentialId, Error, Outcome, PasskeyStore, Progress, Store,
};
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::{event_line, print};
use crate::cli::{advice, ceremony};
use crate::ctap;
use crate::hybrid::{self, Waiting};

/// For whom a passkey is, as it is told.
#[derive(Clone, Debug, Default)]
struct Whom {
    id: String,
    site: String,
    account: String,
}

/// The last answer that concerned a passkey.
#[derive(Debug)]
enum Answer {
    Saved(Whom),
    SignedIn(Whom),
    Offered(Whom),
    Refused(ctap::Status),
    StoreFailed(Failure),
}

/// What happened so far.
pub(super) struct Record {
    reporter: Reporter,
    store: Store,
    site: LastSite,
    answer: Option<Answer>,
    acknowledged: bool,
}

impl Record {
    pub(super) fn new(reporter: Reporter, store: Store, site: LastSite) -> Self {
        Self { reporter, store, site, answer: None, acknowledged: false }
    }

    /// Tells a step and remembers it.
    pub(super) fn progress(&mut self, progress: &Progress<'_>) {
        let tell = |event, words| self.reporter.step(event, words, json!({}));
        match progress {
            Progress::OpeningTunnel => tell("opening-tunnel", "Opening a tunnel..."),
            Progress::Advertising => {
                tell("advertising", "Showing this phone to the laptop over Bluetooth...");
            }
            Progress::WithoutTunnel(error) => {
                let words = format!("No tunnel, so that Bluetooth alone has to do: {error}.");
                tell("without-tunnel", &words);
            }
            Progress::Connected { via } => {
                let (how, via) = ceremony::by(*via);
                let words = format!("Connected to the laptop {how}.");
                self.reporter.step("connected", &words, json!({ "via": via }));
            }
            Progress::Answered(outcome) => self.answered(outcome),
            Progress::Acknowledged if self.answer.is_some() => {
                self.acknowledged = true;
                tell("acknowledged", "The laptop has got the answer.");
            }
            Progress::Acknowledged => {}
        }
    }

    fn answered(&mut self, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::Saved { credential } => Answer::Saved(self.whom(credential)),
            Outcome::SignedIn { credential, .. } => Answer::SignedIn(self.whom(credential)),
            Outcome::Offered { credential } => Answer::Offered(self.whom(credential)),
            Outcome::Refused(status) => Answer::Refused(*status),
            Outcome::StoreFailed(error) => Answer::StoreFailed(unlock::failed(error)),
            Outcome::Answered => return,
        };
        let (event, words, fields) = told(&answer);
        self.reporter.step(event, &words, fields);
        self.answer = Some(answer);
        self.acknowledged = false;
    }

    /// A store that cannot be read now will say so itself soon; the words can do without.
    fn whom(&self, credential: &CredentialId) -> Whom {
        let id = view::full_id(credential);
        match self.store.find_by_id(credential) {
            Ok(Some(passkey)) => {
                let account = view::account(&AccountView::from(&passkey)).to_owned();
                Whom { id, site: passkey.rp.id, account }
            }
            _ => Whom { id, ..Whom::default() },
        }
    }

    /// The end: a last event for machines, and what the command returns.
    ///
    /// # Errors
    ///
    /// Anything but an answer that the laptop took and that is no refusal.
    pub(super) fn conclude(self, result: Result<(), Error>) -> Result<(), Failure> {
        let site = self.site.lock().ok().and_then(|site| site.clone());
        let verdict = verdict(result, self.answer.as_ref(), self.acknowledged, site.as_deref());
        if self.reporter.0.is_json() {
            let line = last_line(self.answer.as_ref(), self.acknowledged, verdict.as_ref().err());
            print(&line.to_string())?;
        }
        verdict
    }
}

/// Event, words and fields of an answer.
fn told(answer: &Answer) -> (&'static str, String, Value) {
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
    result: Result<(), Error>,
    answer: Option<&Answer>,
    acknowledged: bool,
    site: Option<&str>,
) -> Result<(), Failure> {
    match (answer, result) {
        (Some(Answer::StoreFailed(failure)), _) => {
            Err(Failure::new(failure.status, &*failure.error, &*failure.hint))
        }
        (Some(Answer::Refused(status)), Ok(())) => Err(refusal(*status, site)),
        (Some(Answer::Refused(status)), Err(error)) if hung_up(&error) => {
            Err(refusal(*status, site))
        }
        (Some(Answer::Refused(_)), Err(error)) | (None, Err(error)) => {
            Err(advice::authenticator(&error))
        }
        (None, Ok(())) => Err(Failure::new(
            Status::NotHeard,
            "the laptop went without asking for anything",
            "look at the laptop, and scan a new code there",
        )),
        (Some(_), Ok(())) if acknowledged => Ok(()),
        (Some(_), Err(error)) if acknowledged && hung_up(&error) => Ok(()),
        (Some(answer), Ok(())) => {
            let error = Error::Protocol(hybrid::Error::PeerClosed(Waiting::Acknowledgement));
            Err(unacknowledged(answer, &error))
        }
        (Some(_), Err(error)) if acknowledged => Err(advice::authenticator(&error)),
        (Some(answer), Err(error)) => Err(unacknowledged(answer, &error)),
    }
}

/// The laptop left without a word, at a point where nothing was open but its goodbye.
fn hung_up(error: &Error) -> bool {
    use hybrid::Error as E;
    let waiting = match error {
        Error::Protocol(E::PeerClosed(waiting) | E::TimedOut(waiting)) => waiting,
        Error::Broken { waiting, .. } => waiting,
        _ => return false,
    };
    matches!(waiting, Waiting::Acknowledgement | Waiting::Request)
}

fn unacknowledged(answer: &Answer, error: &Error) -> Failure {
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
    Failure { hint, ..advice::authenticator(error) }
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
