//! Refusals in words: what happened, why, and what to do about what is left on the phone.

use cabled::cli::relying_party::RelyingPartyError;
use serde_json::{Value, json};

use crate::site::Refusal;

const PASSKEYS: &str = "cabled phone passkeys";

/// The command that deletes a passkey on the phone; the beginning of its ID is enough.
pub(crate) fn delete_command(id: &str) -> String {
    let beginning: String = id.chars().take(12).collect();
    format!("{PASSKEYS} delete {beginning}")
}

/// What the page shows.
pub(crate) fn explain(refusal: &Refusal) -> Value {
    let (title, text, steps) = match refusal {
        Refusal::WebAuthn(error, id) => webauthn(error, id.as_deref()),
        Refusal::SignedOut => ("You are not signed in", "Sign in first.", vec![]),
        Refusal::UnknownAccount => (
            "There is no account of that name",
            "This site forgets all accounts when it ends. Open a new one, or look at the spelling.",
            vec![],
        ),
        Refusal::Guarded => (
            "This account has a passkey",
            "So it is not open to whoever says its name: sign in with the passkey.",
            vec![],
        ),
        Refusal::Name => ("That is no name", "It has 1 to 64 characters.", vec![]),
        Refusal::UnknownMethod => {
            ("That sign-in method is gone", "It was deleted, perhaps in another window.", vec![])
        }
        Refusal::UnknownCeremony => {
            ("That took too long", "What was begun is not known any more; try again.", vec![])
        }
        Refusal::Full => ("This site is full", "Start it again to empty it.", vec![]),
    };
    json!({ "title": title, "text": text, "steps": steps, "cause": causes(refusal) })
}

type Words = (&'static str, &'static str, Vec<Value>);

fn webauthn(error: &RelyingPartyError, id: Option<&str>) -> Words {
    use RelyingPartyError as E;
    match error {
        E::NotAttested => (
            "Saved on the phone, but refused here",
            "This site requires attestation: a maker has to vouch for each passkey. A phone that is \
             used from another device cannot give that, so no registration by code can succeed here, \
             with any phone. Signing in with passkeys that are registered already does work.",
            orphan(
                id,
                "Register on the phone itself, use a security key, or ask whoever runs the site to \
                        switch \"Require attestation\" off; then try again.",
            ),
        ),
        E::Make(_) => (
            "Saved on the phone, but refused here",
            "This site takes passkeys of certain makes only, and the phone's is none of them. Trying \
             again with the same provider cannot succeed.",
            orphan(
                id,
                "Choose a provider that the site takes in the phone's settings, or ask whoever \
                        runs the site to add the make; then try again.",
            ),
        ),
        E::NoAaguid => (
            "That is no AAGUID",
            "One has 32 hexadecimal digits, such as e28d0da5-b259-490e-a254-38c2fb12b274.",
            vec![],
        ),
        E::UnknownPasskey => (
            "This site does not know that passkey",
            "The phone has it, but it was deleted here, or its registration never arrived: a dead entry, \
             which the phone goes on offering.",
            id.map(|id| step("Delete it on the phone.", Some(delete_command(id))))
                .into_iter()
                .collect(),
        ),
        E::NoPasskey(_) => (
            "This account has no passkey yet",
            "Open it and add one: an account without sign-in methods is open to whoever names it.",
            vec![],
        ),
        E::UserName(_) | E::DisplayName(_) => {
            ("That name cannot be used", "Passkeys carry it, and have rules for names.", vec![])
        }
        E::Duplicate => ("This passkey is registered already", "Nothing was added.", vec![]),
        _ => (
            "The answer was not accepted",
            "The verification failed: the answer was not one to this site's question, or was changed on \
             the way.",
            orphan(id, "Try again."),
        ),
    }
}

/// How to clear what the phone keeps although this site refused it.
fn orphan(id: Option<&str>, next: &str) -> Vec<Value> {
    let clear = id.map(|id| {
        let words = "The passkey on the phone is an orphan now: no site knows it, and the phone does not \
                     hear of that. See it in the list there, and delete it.";
        step(words, Some(format!("{PASSKEYS} list\n{}", delete_command(id))))
    });
    clear.into_iter().chain([step(next, None)]).collect()
}

fn step(text: &str, command: Option<String>) -> Value {
    json!({ "text": text, "command": command })
}

/// The error and what is behind it, on one line.
fn causes(refusal: &Refusal) -> String {
    let error: &dyn std::error::Error = match refusal {
        Refusal::WebAuthn(error, _) => error,
        own => own,
    };
    let sources = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
