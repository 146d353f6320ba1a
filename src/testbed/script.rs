//! What the person with the phone does in one ceremony.

use std::time::Duration;

use super::gate::Fault;
use crate::authenticator::ConsentRequest;
use crate::authenticator::service::Milestone;

/// A ceremony's script; the default approves everything at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// The answers to the phone's questions in their order. The last one counts for all that follow;
    /// without any the person approves.
    pub answers: Vec<Answer>,
    /// Where the phone is gone, without a word.
    pub walk_away: Option<Point>,
    /// What goes wrong at the tunnel service.
    pub relay: Vec<Fault>,
}

impl Script {
    /// One answer to all questions.
    #[must_use]
    pub fn always(choice: Choice) -> Self {
        let answers = vec![Answer { choice, delay: Duration::ZERO }];
        Self { answers, ..Self::default() }
    }

    /// Approves, unless the phone is gone before it gets that far.
    #[must_use]
    pub fn gone(point: Point) -> Self {
        Self { walk_away: Some(point), ..Self::default() }
    }

    /// Approves, and the tunnel service has these faults.
    #[must_use]
    pub fn faulty(relay: &[Fault]) -> Self {
        Self { relay: relay.to_vec(), ..Self::default() }
    }

    /// The answer to the question of that number, counted from 0.
    pub(super) fn answer(&self, number: usize) -> Answer {
        self.answers.get(number).or(self.answers.last()).cloned().unwrap_or_default()
    }
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it is.
    pub choice: Choice,
    /// How long the person thinks before.
    pub delay: Duration,
}

/// What the person says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Yes, with the right PIN.
    Approve(Account),
    /// No.
    Decline,
    /// Yes, with a wrong PIN, which the phone counts; and then no.
    WrongPin,
}

impl Default for Choice {
    fn default() -> Self {
        Self::Approve(Account::default())
    }
}

/// Which of several accounts is approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Account {
    /// The one that stands first, or the only one.
    #[default]
    First,
    /// The first that the site gave this name.
    Named(String),
}

impl Account {
    /// The number among those that are offered.
    pub(super) fn among(&self, request: &ConsentRequest) -> Option<usize> {
        match (self, request) {
            (Self::Named(name), ConsentRequest::SignIn { accounts, .. }) => {
                accounts.iter().position(|account| account.name == *name)
            }
            _ => Some(0),
        }
    }
}

/// A point of a ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// The code was read, and nothing comes of it.
    BeforeAdvert,
    /// The laptop may have heard the phone.
    AfterAdvert,
    /// Both shook hands.
    AfterHandshake,
    /// The person is asked.
    BeforeConsent,
    /// The person approved, nothing is made or signed yet.
    AfterConsent,
    /// The answer is sent; the phone does not know whether it arrived.
    AfterAnswer,
}

impl Point {
    /// All of them, by the names that the control API has.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("before-advert", Self::BeforeAdvert),
        ("after-advert", Self::AfterAdvert),
        ("after-handshake", Self::AfterHandshake),
        ("before-consent", Self::BeforeConsent),
        ("after-consent", Self::AfterConsent),
        ("after-answer", Self::AfterAnswer),
    ];

    /// The point of the phone's own that it is, if it is one.
    pub(super) fn milestone(self) -> Option<Milestone> {
        match self {
            Self::AfterAdvert => Some(Milestone::Advertising),
            Self::AfterHandshake => Some(Milestone::Connected),
            Self::AfterAnswer => Some(Milestone::Answered),
            Self::BeforeAdvert | Self::BeforeConsent | Self::AfterConsent => None,
        }
    }
}
