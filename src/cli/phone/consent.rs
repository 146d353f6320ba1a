//! Asking the owner: on the terminal, or not at all where `--auto-approve` says so.
//!
//! The PIN that opened the store in this very run is the user verification of an answer, unless it
//! was typed more than a minute before: then it is asked for again. A PIN from a file stays as good
//! as it was, since reading the file again would prove nothing more.

mod by_hand;
mod words;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::Reporter;
use super::unlock::{TRIES, Unlocked};
use crate::authenticator::store::Error;
use crate::authenticator::{
    Consent, ConsentRequest, Decision, Pin, Store, Timestamp, Verification,
};
use crate::cli::failure::{Failure, Status};
use crate::cli::system;
use crate::cli::terminal::{Terminal, yes_or_no};

pub(super) use by_hand::{Answers, Asking, Tried, by_hand};
pub(super) use words::{Who, fields, headline, particulars, unasked};
use words::{closing, site};

/// How long a typed PIN verifies its user.
const FRESH: Duration = Duration::from_secs(60);

/// Which site was asked for last; for the words at the end.
pub(super) type LastSite = Arc<Mutex<Option<String>>>;

/// Whoever answers for the owner.
pub(super) struct Owner {
    pub(super) reporter: Reporter,
    pub(super) site: LastSite,
    pub(super) way: Way,
}

/// How the owner is asked.
pub(super) enum Way {
    /// Not at all: the owner approved beforehand.
    Standing(Verification),
    /// On the terminal.
    Asked(Box<Asked>),
}

/// What asking takes.
pub(super) struct Asked {
    terminal: Terminal,
    store: Store,
    proof: Mutex<(Verification, Option<Instant>)>,
}

impl Asked {
    pub(super) fn new(terminal: Terminal, unlocked: &Unlocked) -> Self {
        let proof = Mutex::new((unlocked.proof, unlocked.typed_at));
        Self { terminal, store: unlocked.store.clone(), proof }
    }
}

impl Consent for Owner {
    async fn ask(&self, request: ConsentRequest) -> Decision {
        note_site(&self.site, &request);
        let (fields, standing) = (fields(&request), matches!(self.way, Way::Standing(_)));
        if standing || self.reporter.0.is_json() {
            let words = unasked(Who::Laptop, &request);
            self.reporter.step("asked", &words, fields);
        }
        match &self.way {
            Way::Standing(verification) => request.approved_beforehand(*verification),
            // A terminal that is gone cannot say yes.
            Way::Asked(asked) => asked.ask(&request).await.unwrap_or(Decision::Cancelled),
        }
    }
}

/// Keeps which site a request is about.
pub(super) fn note_site(last: &LastSite, request: &ConsentRequest) {
    if let (Ok(mut last), Some(asked)) = (last.lock(), site(request)) {
        *last = Some(asked.to_owned());
    }
}

/// An answer needs an owner: one who can be asked now, or one who said yes beforehand.
pub(super) fn somebody_decides(
    auto_approve: bool,
    terminal: bool,
    pin_file: bool,
) -> Result<(), Failure> {
    let missing = match (terminal, auto_approve, pin_file) {
        (true, _, _) | (false, true, true) => return Ok(()),
        (false, true, false) => "--pin-file FILE",
        (false, false, true) => "--auto-approve",
        (false, false, false) => "--auto-approve and --pin-file FILE",
    };
    let error = "nobody can be asked whether to answer: there is no terminal";
    let hint = format!("run it in a terminal, or add {missing} if nobody is to be asked");
    Err(Failure::new(Status::Usage, error, hint))
}

impl Way {
    /// The terminal, unless the owner approved beforehand.
    pub(super) fn of(auto_approve: bool, terminal: Option<Terminal>, unlocked: &Unlocked) -> Self {
        match terminal.filter(|_| !auto_approve) {
            Some(terminal) => Self::Asked(Box::new(Asked::new(terminal, unlocked))),
            None => Self::Standing(Verification::standing_approval()),
        }
    }
}

impl Asked {
    async fn ask(&self, request: &ConsentRequest) -> io::Result<Decision> {
        match choose(&self.terminal, Who::Laptop, request).await? {
            Some(account) => self.verify(account).await,
            None => Ok(Decision::Declined),
        }
    }

    async fn verify(&self, account: usize) -> io::Result<Decision> {
        let fresh = |(proof, typed): &(Verification, Option<Instant>)| {
            typed.is_none_or(|at| at.elapsed() <= FRESH).then_some(*proof)
        };
        if let Some(verification) = self.proof.lock().ok().as_deref().and_then(fresh) {
            return Ok(Decision::Approved { account, verification });
        }
        for _ in 0..TRIES {
            let Some(pin) = self.terminal.hidden("PIN, to prove that it is you: ").await? else {
                return Ok(Decision::Declined);
            };
            let Ok(pin) = Pin::new(pin.to_string()) else { continue };
            match self.try_pin(pin).await {
                Ok(verification) => return Ok(Decision::Approved { account, verification }),
                Err(error @ Error::WrongPin { .. }) => {
                    self.terminal.say(&format!("Sorry, {error}.\n")).await?;
                }
                Err(_) => return Ok(Decision::LockedOut),
            }
        }
        Ok(Decision::NotVerified)
    }

    async fn try_pin(&self, pin: Pin) -> Result<Verification, Error> {
        let (store, now) = (self.store.clone(), Timestamp(system::unix_time()));
        let tried = tokio::task::spawn_blocking(move || store.verify_pin(&pin, now)).await;
        let proof = tried.unwrap_or(Err(Error::NeedsReopen))?;
        if let Ok(mut kept) = self.proof.lock() {
            *kept = (proof, Some(Instant::now()));
        }
        Ok(proof)
    }
}

/// Asks for everything but the PIN: yes, with which account, or no.
async fn choose(
    terminal: &Terminal,
    who: Who,
    request: &ConsentRequest,
) -> io::Result<Option<usize>> {
    let (headline, particulars) = (headline(who, request), particulars(who, request));
    terminal.say(&format!("\n{headline}\n{particulars}")).await?;
    match request {
        ConsentRequest::NothingFound { .. } => {
            terminal.line("Press Enter to tell the laptop so. ").await.map(|_| None)
        }
        ConsentRequest::SignIn { accounts, pick: true, .. } if accounts.len() > 1 => {
            pick(terminal, accounts.len()).await
        }
        request => Ok(terminal.confirm(closing(request)).await?.then_some(0)),
    }
}

/// `None` for none of them.
async fn pick(terminal: &Terminal, count: usize) -> io::Result<Option<usize>> {
    loop {
        let prompt = format!("Sign in with which one? [1-{count}, Enter for none] ");
        let Some(line) = terminal.line(&prompt).await? else { return Ok(None) };
        if let Some(choice) = choice(&line, count) {
            return Ok(choice);
        }
    }
}

/// `None` for a text that is no answer, `Some(None)` for "none of them".
fn choice(line: &str, count: usize) -> Option<Option<usize>> {
    match line.trim().parse::<usize>() {
        Ok(number) if (1..=count).contains(&number) => Some(Some(number - 1)),
        Ok(_) => None,
        Err(_) => (yes_or_no(line) == Some(false)).then_some(None),
    }
}

#[cfg(test)]
mod tests;
