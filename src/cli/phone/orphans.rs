//! `cabled phone passkeys orphans`: which passkeys a site may not know, why, and what to do. Pure.

use serde_json::{Value, json};

use super::date;
use super::view::{account, full_id};
use crate::authenticator::{PasskeyView, State};

/// All about each possible orphan, for people.
pub(super) fn words(orphans: &[PasskeyView]) -> String {
    orphans.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn one(passkey: &PasskeyView) -> String {
    let view = passkey.account();
    let waits = match passkey.replaces {
        0 => "",
        _ => {
            "\n  It was to replace an older passkey of the same account, which was kept and still \
             works if the site knows it."
        }
    };
    format!(
        "{} for {}\n  Made {}, ID {}.\n  Why: {}.{waits}\n  What to do: {}",
        passkey.rp_id,
        account(&view),
        date::iso(passkey.created_at),
        full_id(&passkey.id),
        why(passkey.state),
        advice(&passkey.rp_id),
    )
}

fn why(state: State) -> &'static str {
    match state {
        State::Created => {
            "it was saved here, but the connection ended before the laptop confirmed that it got \
             the answer, so the site may never have heard of it"
        }
        State::Delivered | State::Used => {
            "the laptop got it, but it never signed in: a site that refused it does not say so"
        }
    }
}

fn advice(rp_id: &str) -> String {
    format!(
        "look into the passkeys that {rp_id} lists in its settings, or try to sign in. If it knows \
         this one, keep it: the first sign-in settles it. If not, delete it here and register again."
    )
}

/// The same for machines.
pub(super) fn json(passkey: &PasskeyView) -> Value {
    let cause = match passkey.state {
        State::Created => "unconfirmed",
        State::Delivered | State::Used => "never-used",
    };
    json!({
        "id": full_id(&passkey.id),
        "rpId": passkey.rp_id,
        "account": account(&passkey.account()),
        "createdAt": date::iso(passkey.created_at),
        "cause": cause,
        "why": why(passkey.state),
        "advice": advice(&passkey.rp_id),
    })
}

/// Why these may go, and why they may not.
pub(super) fn explain(orphans: &[PasskeyView]) -> String {
    let line = |passkey: &PasskeyView| {
        let view = passkey.account();
        let why = match passkey.state {
            State::Created => "no laptop confirmed that it got the answer",
            State::Delivered | State::Used => "a laptop took it, but it never signed in",
        };
        let (made, account) = (date::iso(passkey.created_at), account(&view));
        format!("  {made}  {} for {account}: {why}", passkey.rp_id)
    };
    let lines = orphans.iter().map(line).collect::<Vec<_>>().join("\n");
    format!(
        "Saved here, but maybe unknown to the site:\n{lines}\n\nIf the site lists such a passkey \
         after all, keep it.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::phone::view::tests::passkey;

    #[test]
    fn pruning_says_when_for_whom_and_why() {
        let text = explain(&[passkey(&[1; 32], "anna")]);
        assert!(text.contains("2022-10-24T05:24:11Z  contoso.com for anna: no laptop confirmed"));
        assert!(text.contains("keep it"));
    }

    #[test]
    fn each_one_says_when_for_whom_why_and_what_to_do() {
        let mut orphan = passkey(&[0; 32], "anna");
        orphan.replaces = 1;
        let text = words(&[orphan.clone()]);
        for part in [
            "contoso.com for anna",
            "Made 2022-10-24T05:24:11Z",
            "before the laptop",
            "older",
            "keep",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        orphan.state = State::Delivered;
        assert_eq!(json(&orphan)["cause"], "never-used");
        assert!(words(&[orphan]).contains("never signed in"));
    }
}
