//! Passkeys as tables for people and as JSON for machines. Pure.
//!
//! Texts that came from a web site are shown with their control characters replaced.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::date;
use crate::authenticator::{AccountView, CredentialId, PasskeyView, State};

/// Fewest characters of an ID in a table.
const SHORT_ID: usize = 8;

/// Most characters of a name in a table.
const MAX_CELL: usize = 28;

/// The whole ID, as web sites write it.
pub(super) fn full_id(id: &CredentialId) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

/// As many characters as tell all IDs apart, the same number for each.
fn short_length(ids: &[String]) -> usize {
    let mut sorted: Vec<&str> = ids.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let common =
        |(a, b): (&&str, &&str)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longest = sorted.iter().zip(sorted.iter().skip(1)).map(common).max().unwrap_or(0);
    SHORT_ID.max(longest + 1)
}

/// Why a text names no single passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// None begins like this.
    Nothing,
    /// So many do.
    Several(usize),
}

/// The passkey whose ID is this text, or the only one whose ID begins with it.
pub(super) fn by_prefix<'a>(
    passkeys: &'a [PasskeyView],
    text: &str,
) -> Result<&'a PasskeyView, NotFound> {
    if let Some(passkey) = passkeys.iter().find(|passkey| full_id(&passkey.id) == text) {
        return Ok(passkey);
    }
    let begins =
        |passkey: &&PasskeyView| !text.is_empty() && full_id(&passkey.id).starts_with(text);
    let found: Vec<_> = passkeys.iter().filter(begins).collect();
    match found.as_slice() {
        [] => Err(NotFound::Nothing),
        [passkey] => Ok(passkey),
        several => Err(NotFound::Several(several.len())),
    }
}

/// What is known about whether the site has it.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Created => "created, maybe unknown to the site",
        State::Delivered => "delivered",
        State::Used => "used",
    }
}

/// The account as its owner knows it.
pub(super) fn account(view: &AccountView) -> &str {
    view.shown().unwrap_or("(no name)")
}

/// A table with a line for each passkey; `colour` marks the possible orphans.
pub(super) fn table(passkeys: &[PasskeyView], colour: bool) -> String {
    let ids: Vec<_> = passkeys.iter().map(|passkey| full_id(&passkey.id)).collect();
    let length = short_length(&ids);
    let head = ["ID", "SITE", "ACCOUNT", "NAME", "CREATED (UTC)", "LAST USED (UTC)", "STATE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(passkeys.iter().zip(&ids).map(|(passkey, id)| row(passkey, id, length)));
    let states = [None].into_iter().chain(passkeys.iter().map(|passkey| Some(passkey.state)));
    let widths = widths(&rows);
    let lines = rows.iter().zip(states).map(|(cells, state)| {
        let line = line(cells, &widths);
        match colour && state == Some(State::Created) {
            true => format!("\x1b[33m{line}\x1b[0m"),
            false => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn row(passkey: &PasskeyView, id: &str, length: usize) -> [String; 7] {
    let view = passkey.account();
    [
        id.chars().take(length).collect(),
        cut(&passkey.rp_id),
        cut(account(&view)),
        cut(view.label.as_deref().unwrap_or("-")),
        date::minutes(view.created_at),
        view.last_used_at.map_or_else(|| "never".to_owned(), date::minutes),
        state(view.state).to_owned(),
    ]
}

fn cut(text: &str) -> String {
    match text.chars().count() > MAX_CELL {
        true => text.chars().take(MAX_CELL - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn widths(rows: &[[String; 7]]) -> [usize; 7] {
    let mut widths = [0; 7];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// All about one passkey but its keys, a line each.
pub(super) fn details(passkey: &PasskeyView) -> String {
    let view = passkey.account();
    let time = |time: Option<_>| time.map_or_else(|| "never".to_owned(), date::iso);
    let lines = [
        ("ID", full_id(&passkey.id)),
        ("Site", passkey.rp_id.clone()),
        ("Account", account(&view).to_owned()),
        ("Person", view.display_name.clone()),
        ("Name", view.label.clone().unwrap_or_else(|| "-".to_owned())),
        ("State", state(view.state).to_owned()),
        ("Created", date::iso(passkey.created_at)),
        ("Delivered", time(passkey.delivered_at)),
        ("Last used", time(passkey.last_used_at)),
        ("Found by", found_by(passkey).to_owned()),
    ];
    let lines = lines.map(|(name, value)| format!("{:11}{value}", format!("{name}:")));
    lines.join("\n")
}

fn found_by(passkey: &PasskeyView) -> &'static str {
    match passkey.discoverable {
        true => "the site's name alone (discoverable)",
        false => "its ID only, which the site has to send (not discoverable)",
    }
}

/// The same for machines; keys are left out, the texts are as the site sent them.
pub(super) fn json(passkey: &PasskeyView) -> Value {
    json!({
        "id": full_id(&passkey.id),
        "rpId": passkey.rp_id,
        "rpName": passkey.rp_name,
        "userId": URL_SAFE_NO_PAD.encode(&passkey.user_id),
        "userName": passkey.user_name,
        "userDisplayName": passkey.user_display_name,
        "label": passkey.label,
        "state": passkey.state.name(),
        "discoverable": passkey.discoverable,
        "credProtect": passkey.cred_protect.level(),
        "createdAt": date::iso(passkey.created_at),
        "deliveredAt": passkey.delivered_at.map(date::iso),
        "lastUsedAt": passkey.last_used_at.map(date::iso),
    })
}

#[cfg(test)]
pub(super) mod tests;
