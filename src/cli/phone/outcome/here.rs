//! What this process does itself, as steps.
//!
//! Depends on the store only to learn for whom a passkey is.

use super::{Answer, End, Step, Whom};
use crate::authenticator::{
    AccountView, CredentialId, Error, Outcome, PasskeyStore, Progress, Store,
};
use crate::cli::advice;
use crate::cli::phone::{unlock, view};
use crate::hybrid::{self, Waiting};

/// Where passkeys are looked up.
pub(in crate::cli::phone) struct Here(pub(in crate::cli::phone) Store);

impl Here {
    /// `None` for what is not told.
    pub(in crate::cli::phone) fn step(&self, progress: &Progress<'_>) -> Option<Step> {
        Some(match progress {
            Progress::OpeningTunnel => Step::OpeningTunnel,
            Progress::Advertising => Step::Advertising,
            Progress::WithoutTunnel(error) => Step::WithoutTunnel(error.to_string()),
            Progress::Connected { via } => Step::Connected(*via),
            Progress::Answered(outcome) => Step::Answered(self.answer(outcome)?),
            Progress::Acknowledged => Step::Acknowledged,
            Progress::Linked => Step::Linked,
        })
    }

    fn answer(&self, outcome: &Outcome) -> Option<Answer> {
        Some(match outcome {
            Outcome::Saved { credential } => Answer::Saved(self.whom(credential)),
            Outcome::SignedIn { credential, .. } => Answer::SignedIn(self.whom(credential)),
            Outcome::Offered { credential } => Answer::Offered(self.whom(credential)),
            Outcome::Refused(status) => Answer::Refused(*status),
            Outcome::StoreFailed(error) => Answer::StoreFailed(unlock::failed(error)),
            Outcome::Answered => return None,
        })
    }

    /// A store that cannot be read now will say so itself soon; the words can do without.
    fn whom(&self, credential: &CredentialId) -> Whom {
        let id = view::full_id(credential);
        match self.0.find_by_id(credential) {
            Ok(Some(passkey)) => {
                let account = view::account(&AccountView::from(&passkey)).to_owned();
                Whom { id, site: passkey.rp.id, account }
            }
            _ => Whom { id, ..Whom::default() },
        }
    }
}

impl From<&Error> for End {
    fn from(error: &Error) -> Self {
        Self { failure: advice::authenticator(error), hung_up: hung_up(error) }
    }
}

fn hung_up(error: &Error) -> bool {
    use hybrid::Error as E;
    let waiting = match error {
        Error::Protocol(E::PeerClosed(waiting) | E::TimedOut(waiting)) => waiting,
        Error::Broken { waiting, .. } => waiting,
        _ => return false,
    };
    matches!(waiting, Waiting::Acknowledgement | Waiting::Request)
}
