//! Scripts as they are written in JSON, and ceremonies as they are told in it. Pure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::authenticator::service::{Answered, Event, Happened, Settled, Whom};
use crate::authenticator::{ConsentRequest, PasskeyView};
use crate::testbed::{Account, Answer, Ceremony, Choice, Point, Script};

/// Answers that a script may have.
const MAX_ANSWERS: usize = 16;
/// Longer than any question stays open.
const MAX_DELAY_MS: u64 = 600_000;

/// A [`Script`] as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WrittenScript {
    #[serde(default)]
    answers: Vec<WrittenAnswer>,
    walk_away: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAnswer {
    #[serde(rename = "do")]
    what: String,
    account: Option<String>,
    #[serde(default)]
    delay_ms: u64,
}

impl WrittenScript {
    /// The script, or what is wrong with it.
    pub(super) fn read(self) -> Result<Script, String> {
        if self.answers.len() > MAX_ANSWERS {
            return Err(format!("a script has at most {MAX_ANSWERS} answers"));
        }
        let answers =
            self.answers.into_iter().map(WrittenAnswer::read).collect::<Result<_, _>>()?;
        let point = |name: String| {
            let found = Point::NAMES.iter().find(|(known, _)| *known == name);
            found.map(|(_, point)| *point).ok_or_else(|| {
                let known = Point::NAMES.map(|(name, _)| name).join(", ");
                format!("{name:?} is no point to walk away at; there are {known}")
            })
        };
        let walk_away = self.walk_away.map(point).transpose()?;
        Ok(Script { answers, walk_away })
    }
}

impl WrittenAnswer {
    fn read(self) -> Result<Answer, String> {
        if self.delay_ms > MAX_DELAY_MS {
            return Err(format!("delayMs is at most {MAX_DELAY_MS}"));
        }
        let choice = match (self.what.as_str(), self.account) {
            ("approve", None) => Choice::Approve(Account::First),
            ("approve", Some(name)) => Choice::Approve(Account::Named(name)),
            ("decline", None) => Choice::Decline,
            ("wrong-pin", None) => Choice::WrongPin,
            ("decline" | "wrong-pin", Some(_)) => {
                return Err(format!("{:?} takes no account", self.what));
            }
            _ => {
                let what = self.what;
                return Err(format!(
                    "{what:?} is no answer; there are approve, decline, wrong-pin"
                ));
            }
        };
        Ok(Answer { choice, delay: Duration::from_millis(self.delay_ms) })
    }
}

/// A ceremony for machines: the JSON that the control API answers with.
#[must_use]
pub fn ceremony(ceremony: &Ceremony) -> Value {
    let events: Vec<_> = ceremony.events.iter().map(event).collect();
    json!({
        "id": ceremony.id,
        "phone": ceremony.phone,
        "over": ceremony.over,
        "outcome": ceremony.outcome(),
        "asScripted": ceremony.as_scripted(),
        "problem": ceremony.problem,
        "walkedAway": ceremony.walked_away,
        "events": events,
    })
}

fn event(event: &Event) -> Value {
    let (what, fields) = match &event.what {
        Happened::Scanned => ("scanned", json!({})),
        Happened::Rung => ("rung", json!({})),
        Happened::Linked => ("linked", json!({})),
        Happened::OpeningTunnel => ("opening-tunnel", json!({})),
        Happened::WithoutTunnel(why) => ("without-tunnel", json!({ "error": why })),
        Happened::Advertising => ("advertising", json!({})),
        Happened::Connected { via } => ("connected", json!({ "via": via.name() })),
        Happened::Asked(question) => ("asked", asked(&question.request)),
        Happened::Settled { how, .. } => ("settled", json!({ "how": settled(*how) })),
        Happened::Answered(how) => ("answered", answered(how)),
        Happened::Acknowledged => ("acknowledged", json!({})),
        Happened::Ended(None) => ("ended", json!({})),
        Happened::Ended(Some(error)) => {
            ("ended", json!({ "cause": error.cause(), "error": causes(&**error) }))
        }
    };
    with(what, event.at.0, fields)
}

fn with(what: &str, at: u64, fields: Value) -> Value {
    let mut value = json!({ "event": what, "at": at });
    if let (Some(to), Value::Object(fields)) = (value.as_object_mut(), fields) {
        to.extend(fields);
    }
    value
}

fn asked(request: &ConsentRequest) -> Value {
    match request {
        ConsentRequest::Save { rp_id, account, replaces, .. } => {
            json!({ "question": "save", "rpId": rp_id, "account": account, "replaces": replaces.len() })
        }
        ConsentRequest::SignIn { rp_id, accounts, .. } => {
            let names: Vec<_> = accounts.iter().map(|account| account.name.as_str()).collect();
            json!({ "question": "sign-in", "rpId": rp_id, "accounts": names })
        }
        ConsentRequest::AlreadyRegistered { rp_id, account } => {
            json!({ "question": "already-registered", "rpId": rp_id, "account": account.name })
        }
        ConsentRequest::NothingFound { rp_id } => {
            json!({ "question": "nothing-found", "rpId": rp_id })
        }
        _ => json!({ "question": "other" }),
    }
}

fn settled(how: Settled) -> &'static str {
    match how {
        Settled::Approved => "approved",
        Settled::Declined => "declined",
        Settled::LockedOut => "locked-out",
        Settled::Withdrawn => "withdrawn",
    }
}

fn answered(how: &Answered) -> Value {
    let named = |how: &str, whom: &Whom| {
        let id = URL_SAFE_NO_PAD.encode(whom.credential.as_bytes());
        json!({ "how": how, "credential": id, "rpId": whom.rp_id, "account": whom.account })
    };
    match how {
        Answered::Saved(whom) => named("saved", whom),
        Answered::SignedIn(whom) => named("signed-in", whom),
        Answered::Offered(whom) => named("offered", whom),
        Answered::Refused(status) => json!({ "how": "refused", "status": status.name() }),
        Answered::StoreFailed(error) => json!({ "how": "store-failed", "error": error }),
        Answered::Other => json!({ "how": "other" }),
    }
}

/// An error with its causes, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(super) fn passkey(passkey: &PasskeyView) -> Value {
    json!({
        "id": URL_SAFE_NO_PAD.encode(passkey.id.as_bytes()),
        "rpId": passkey.rp_id,
        "userId": URL_SAFE_NO_PAD.encode(&passkey.user_id),
        "userName": passkey.user_name,
        "userDisplayName": passkey.user_display_name,
        "discoverable": passkey.discoverable,
        "state": passkey.state.name(),
        "createdAt": passkey.created_at.0,
        "deliveredAt": passkey.delivered_at.map(|at| at.0),
        "lastUsedAt": passkey.last_used_at.map(|at| at.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Script, String> {
        serde_json::from_str::<WrittenScript>(text).map_err(|error| error.to_string())?.read()
    }

    #[test]
    fn scripts_are_read() {
        assert_eq!(read("{}"), Ok(Script::default()));
        let text =
            r#"{"answers":[{"do":"wrong-pin"},{"do":"approve","account":"anna","delayMs":250}]}"#;
        let second = Choice::Approve(Account::Named("anna".to_owned()));
        let mut wanted = Script::always(Choice::WrongPin);
        wanted.answers.push(Answer { choice: second, delay: Duration::from_millis(250) });
        assert_eq!(read(text), Ok(wanted));
        for (name, point) in Point::NAMES {
            assert_eq!(read(&format!(r#"{{"walkAway":"{name}"}}"#)), Ok(Script::gone(point)));
        }
    }

    #[test]
    fn what_is_wrong_with_a_script_is_said() {
        let cases = [
            (r#"{"answer":[]}"#, "unknown field `answer`"),
            (r#"{"answers":[{"do":"approve","delay":1}]}"#, "unknown field `delay`"),
            (r#"{"answers":[{"do":"nod"}]}"#, "there are approve, decline, wrong-pin"),
            (r#"{"answers":[{"do":"decline","account":"anna"}]}"#, "takes no account"),
            (r#"{"answers":[{"do":"approve","delayMs":600001}]}"#, "at most 600000"),
            (r#"{"walkAway":"never"}"#, "before-advert, after-advert"),
        ];
        for (text, wanted) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let many = vec![r#"{"do":"approve"}"#; MAX_ANSWERS + 1].join(",");
        assert!(read(&format!(r#"{{"answers":[{many}]}}"#)).unwrap_err().contains("at most 16"));
    }
}
