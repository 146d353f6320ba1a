//! The service's terms as messages of the schema. Pure.
//!
//! Depends on `authenticator` and the generated code only.

use super::v1;
use crate::authenticator::service::{
    Answered, Asker, Event, Happened, Occasion, Question, Settled, Whom,
};
use crate::authenticator::{
    AccountView, ConsentRequest, CredentialId, Error, LinkView, PasskeyView, State,
};
use crate::ctap::Permissions;

/// What people are told about what ended a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What went wrong, with its causes, on one line.
    pub text: String,
    /// What to do next.
    pub hint: String,
}

/// Where the words of [`Advice`] come from: whoever puts the service together has them.
pub type Advise = fn(&Error) -> Advice;

const FROM_LAPTOP: &str = "The laptop says so and nobody vouches for it. Did you start this?";
const FROM_PROGRAM: &str = "A program on this machine says so. Did you start this?";

pub(super) fn ids(ids: &[CredentialId]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.as_bytes().to_vec()).collect()
}

pub(super) fn passkey(passkey: PasskeyView) -> v1::Passkey {
    v1::Passkey {
        id: passkey.id.as_bytes().to_vec(),
        rp_id: passkey.rp_id,
        rp_name: passkey.rp_name,
        user_id: passkey.user_id,
        user_name: passkey.user_name,
        user_display_name: passkey.user_display_name,
        label: passkey.label,
        state: state(passkey.state).into(),
        discoverable: passkey.discoverable,
        created_at: passkey.created_at.0,
        delivered_at: passkey.delivered_at.map(|at| at.0),
        last_used_at: passkey.last_used_at.map(|at| at.0),
        cred_protect: u32::try_from(passkey.cred_protect.level()).unwrap_or_default(),
        replaces: u32::try_from(passkey.replaces).unwrap_or(u32::MAX),
    }
}

fn state(state: State) -> v1::PasskeyState {
    match state {
        State::Created => v1::PasskeyState::Created,
        State::Delivered => v1::PasskeyState::Delivered,
        State::Used => v1::PasskeyState::Used,
    }
}

fn account(view: &AccountView) -> v1::Account {
    v1::Account {
        id: view.id.as_bytes().to_vec(),
        name: view.name.clone(),
        display_name: view.display_name.clone(),
        label: view.label.clone(),
        created_at: view.created_at.0,
        last_used_at: view.last_used_at.map(|at| at.0),
        state: state(view.state).into(),
    }
}

fn transaction(asker: Asker) -> Option<u64> {
    match asker {
        Asker::Laptop(id) => Some(id.0),
        Asker::Program => None,
    }
}

fn occasion(occasion: Occasion) -> v1::Occasion {
    match occasion {
        Occasion::Asked => v1::Occasion::Unspecified,
        Occasion::WantsLink => v1::Occasion::WantsLink,
        Occasion::Rung => v1::Occasion::Rung,
    }
}

pub(super) fn link(link: LinkView) -> v1::Link {
    v1::Link {
        id: link.id.to_vec(),
        rp_id: link.rp_id,
        made_at: link.made_at.0,
        rung_at: link.rung_at.map(|at| at.0),
    }
}

pub(super) fn question(question: &Question) -> v1::Question {
    let warning = match question.asker {
        Asker::Laptop(_) => FROM_LAPTOP,
        Asker::Program => FROM_PROGRAM,
    };
    let base = v1::Question {
        id: question.id.0,
        transaction: transaction(question.asker),
        asked_at: question.asked_at.0,
        warning: match question.occasion.words() {
            Some(words) => format!("{words} {warning}"),
            None => warning.to_owned(),
        },
        occasion: occasion(question.occasion).into(),
        ..v1::Question::default()
    };
    wanted(base, &question.request)
}

fn wanted(base: v1::Question, request: &ConsentRequest) -> v1::Question {
    let (wanted, site) = match request {
        ConsentRequest::Save { rp_id, .. } => (v1::Wanted::Save, rp_id.as_str()),
        ConsentRequest::SignIn { rp_id, .. } => (v1::Wanted::SignIn, rp_id.as_str()),
        ConsentRequest::AlreadyRegistered { rp_id, .. } => {
            (v1::Wanted::AlreadyRegistered, rp_id.as_str())
        }
        ConsentRequest::NothingFound { rp_id } => (v1::Wanted::NothingFound, rp_id.as_str()),
        ConsentRequest::Presence => (v1::Wanted::Presence, ""),
        ConsentRequest::Allow { rp_id, permissions } => {
            let wanted = match permissions.contains(Permissions::MANAGE) {
                true => v1::Wanted::Manage,
                false => v1::Wanted::ChangeData,
            };
            (wanted, rp_id.as_deref().unwrap_or_default())
        }
        ConsentRequest::Reset { .. } => (v1::Wanted::Reset, ""),
    };
    let base = v1::Question { wanted: wanted.into(), rp_id: site.to_owned(), ..base };
    match request {
        ConsentRequest::Save { rp_name, account: user, replaces, .. } => v1::Question {
            rp_name: rp_name.clone(),
            user: user.clone(),
            replaces: replaces.iter().map(account).collect(),
            ..base
        },
        ConsentRequest::SignIn { accounts, pick, .. } => {
            let accounts = accounts.iter().map(account).collect();
            v1::Question { accounts, pick: *pick, ..base }
        }
        ConsentRequest::AlreadyRegistered { account: known, .. } => {
            v1::Question { accounts: vec![account(known)], ..base }
        }
        ConsentRequest::Reset { passkeys } => {
            v1::Question { passkeys: u64::try_from(*passkeys).unwrap_or(u64::MAX), ..base }
        }
        ConsentRequest::NothingFound { .. }
        | ConsentRequest::Presence
        | ConsentRequest::Allow { .. } => base,
    }
}

pub(super) fn event(event: &Event, advise: Advise) -> v1::Event {
    v1::Event {
        number: event.number,
        transaction: transaction(event.asker),
        at: event.at.0,
        what: Some(what(&event.what, advise)),
    }
}

fn what(happened: &Happened, advise: Advise) -> v1::event::What {
    use v1::event::What as W;
    match happened {
        Happened::Scanned => W::Scanned(v1::Scanned {}),
        Happened::Rung => W::Rung(v1::Rung {}),
        Happened::Linked => W::Linked(v1::Linked {}),
        Happened::OpeningTunnel => W::OpeningTunnel(v1::OpeningTunnel {}),
        Happened::WithoutTunnel(why) => W::WithoutTunnel(v1::WithoutTunnel { why: why.clone() }),
        Happened::Advertising => W::Advertising(v1::Advertising {}),
        Happened::Connected { via } => W::Connected(v1::Connected { via: via.name().to_owned() }),
        Happened::Asked(asked) => W::Asked(question(asked)),
        Happened::Settled { question, how } => {
            W::Settled(v1::QuestionSettled { question: question.0, how: settled(*how).into() })
        }
        Happened::Answered(how) => W::Answered(answered(how)),
        Happened::Acknowledged => W::Acknowledged(v1::Acknowledged {}),
        Happened::Ended(error) => {
            let failure = error.as_deref().map(|error| failure(error, advise));
            W::Ended(v1::Ended { failure })
        }
    }
}

fn settled(how: Settled) -> v1::Settled {
    match how {
        Settled::Approved => v1::Settled::Approved,
        Settled::Declined => v1::Settled::Declined,
        Settled::LockedOut => v1::Settled::LockedOut,
        Settled::Withdrawn => v1::Settled::Withdrawn,
    }
}

fn answered(how: &Answered) -> v1::Answered {
    let plain = |what: &str| v1::Answered { what: what.to_owned(), ..v1::Answered::default() };
    let with = |what: &str, whom: &Whom| v1::Answered {
        passkey: whom.credential.as_bytes().to_vec(),
        rp_id: whom.rp_id.clone(),
        account: whom.account.clone(),
        ..plain(what)
    };
    match how {
        Answered::Saved(whom) => with("saved", whom),
        Answered::SignedIn(whom) => with("signed-in", whom),
        Answered::Offered(whom) => with("offered", whom),
        Answered::Refused(status) => {
            v1::Answered { ctap_status: Some(status.0.into()), ..plain("refused") }
        }
        Answered::StoreFailed(why) => {
            v1::Answered { error: Some(why.clone()), ..plain("store-failed") }
        }
        Answered::Other => plain("other"),
    }
}

fn failure(error: &Error, advise: Advise) -> v1::TransactionFailure {
    let Advice { text, hint } = advise(error);
    v1::TransactionFailure { cause: error.cause().to_owned(), text, hint }
}
