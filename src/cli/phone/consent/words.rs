//! The words of each question, for people and for machines. Pure.

use serde_json::{Value, json};

use crate::authenticator::service::Asker;
use crate::authenticator::{AccountView, ConsentRequest, State};
use crate::cli::phone::{date, view};
use crate::ctap::Permissions;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::phone) enum Who {
    /// A laptop whose code was scanned.
    Laptop,
    /// A program on this machine, through the virtual key.
    Program,
}

impl From<Asker> for Who {
    fn from(asker: Asker) -> Self {
        match asker {
            Asker::Laptop(_) => Self::Laptop,
            _ => Self::Program,
        }
    }
}

impl Who {
    /// As the beginning of a sentence.
    fn subject(self) -> &'static str {
        match self {
            Self::Laptop => "A laptop nearby",
            Self::Program => "A program on this machine",
        }
    }

    /// Whose word it is.
    fn doubt(self) -> &'static str {
        match self {
            Self::Laptop => "The laptop says so; did you start this?",
            Self::Program => "A program on this machine says so; did you start this?",
        }
    }
}

pub(in crate::cli::phone) fn site(request: &ConsentRequest) -> Option<&str> {
    match request {
        ConsentRequest::Save { rp_id, .. }
        | ConsentRequest::SignIn { rp_id, .. }
        | ConsentRequest::AlreadyRegistered { rp_id, .. }
        | ConsentRequest::NothingFound { rp_id } => Some(rp_id),
        ConsentRequest::Allow { rp_id, .. } => rp_id.as_deref(),
        ConsentRequest::Presence | ConsentRequest::Reset { .. } => None,
    }
}

/// Who wants what.
pub(in crate::cli::phone) fn headline(who: Who, request: &ConsentRequest) -> String {
    let what = match request {
        ConsentRequest::Save { rp_id, account, .. } => {
            let whom = account.as_ref().map(|name| format!(", account {name}"));
            format!("wants to save a passkey for {rp_id}{}", whom.unwrap_or_default())
        }
        ConsentRequest::SignIn { rp_id, accounts, .. } => match accounts.as_slice() {
            [one] => format!("wants to sign in to {rp_id} as {}", view::account(one)),
            _ => format!("wants to sign in to {rp_id}"),
        },
        ConsentRequest::AlreadyRegistered { rp_id, account } => format!(
            "wants to save a passkey for {rp_id}, but the one of {} is on this phone already",
            view::account(account)
        ),
        ConsentRequest::NothingFound { rp_id } => {
            format!("wants to sign in to {rp_id}, but no passkey for it is on this phone")
        }
        ConsentRequest::Presence => "asks to use this phone".to_owned(),
        ConsentRequest::Allow { rp_id, permissions } => {
            let what = match permissions.contains(Permissions::MANAGE) {
                true => "list, rename and delete passkeys",
                false => "change the data that sites keep beside passkeys",
            };
            let site = rp_id.as_deref().unwrap_or("every site");
            format!("asks to {what} of {site}, for ten minutes")
        }
        ConsentRequest::Reset { passkeys } => {
            format!("asks to delete ALL {passkeys} passkeys, for good")
        }
    };
    format!("{} {what}.", who.subject())
}

/// Who wants what, where the owner approved beforehand.
pub(in crate::cli::phone) fn unasked(who: Who, request: &ConsentRequest) -> String {
    format!("{} Nobody is asked, as --auto-approve says.", headline(who, request))
}

/// What there is to know before the answer.
pub(in crate::cli::phone) fn particulars(who: Who, request: &ConsentRequest) -> String {
    let mut lines = Vec::new();
    match request {
        ConsentRequest::Save { rp_name, replaces, .. } => {
            lines.extend(rp_name.as_ref().map(|name| format!("  The site calls itself: {name}")));
            let replaced = |old: &AccountView| {
                let made = date::minutes(old.created_at);
                format!("  Takes the place of: {} of {made} UTC", view::account(old))
            };
            lines.extend(replaces.iter().map(replaced));
        }
        ConsentRequest::SignIn { accounts, pick, .. } => {
            lines.extend(accounts.iter().enumerate().map(|(i, account)| listed(i, account)));
            if !pick && accounts.len() > 1 {
                lines.push("  The laptop will see all of them and let you choose.".to_owned());
            }
        }
        ConsentRequest::NothingFound { .. } | ConsentRequest::AlreadyRegistered { .. } => {
            return String::new();
        }
        ConsentRequest::Reset { .. } => {
            return "  You could not sign in with any of them again. The PIN stays.\n".to_owned();
        }
        ConsentRequest::Allow { .. } => return "  Did you start this?\n".to_owned(),
        ConsentRequest::Presence => {}
    }
    lines.push(format!("{}\n", who.doubt()));
    lines.join("\n")
}

pub(in crate::cli::phone) fn listed(index: usize, account: &AccountView) -> String {
    let label = account.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    let person = match account.display_name.as_str() {
        name if name.is_empty() || name == account.name => String::new(),
        name => format!(" ({name})"),
    };
    let used = account.last_used_at;
    let used =
        used.map_or("never used".to_owned(), |at| format!("last used {} UTC", date::minutes(at)));
    let orphan = match account.state {
        State::Created => "; maybe unknown to the site",
        _ => "",
    };
    format!("  {}. {}{person}{label}, {used}{orphan}", index + 1, view::account(account))
}

pub(in crate::cli::phone) fn closing(request: &ConsentRequest) -> &'static str {
    match request {
        ConsentRequest::Save { .. } => "Save the passkey?",
        ConsentRequest::SignIn { .. } => "Sign in?",
        ConsentRequest::AlreadyRegistered { .. } => "No second one is made. Tell the laptop so?",
        ConsentRequest::Reset { .. } => "Delete every passkey on this phone?",
        _ => "Allow it?",
    }
}

/// The question as machines get it.
pub(in crate::cli::phone) fn fields(request: &ConsentRequest) -> Value {
    let names =
        |accounts: &[AccountView]| accounts.iter().map(|a| json!(a.name)).collect::<Vec<_>>();
    let replaced = match request {
        ConsentRequest::Save { replaces, .. } => names(replaces),
        _ => Vec::new(),
    };
    let (what, accounts) = match request {
        ConsentRequest::Save { account, .. } => {
            ("save", account.iter().map(|name| json!(name)).collect())
        }
        ConsentRequest::SignIn { accounts, .. } => ("sign-in", names(accounts)),
        ConsentRequest::AlreadyRegistered { account, .. } => {
            ("already-registered", names(std::slice::from_ref(account)))
        }
        ConsentRequest::NothingFound { .. } => ("nothing-found", Vec::new()),
        ConsentRequest::Presence => ("presence", Vec::new()),
        ConsentRequest::Allow { .. } => ("allow", Vec::new()),
        ConsentRequest::Reset { .. } => ("reset", Vec::new()),
    };
    json!({ "what": what, "rpId": site(request), "accounts": accounts, "replaces": replaced })
}
