//! Scripts, from the messages of the schema. Pure.

use std::time::Duration;

use super::v1;
use crate::testbed::{Account, Answer, Choice, Fault, Harm, Point, Script, Side};

/// Answers that a script may have.
const MAX_ANSWERS: usize = 16;
/// Faults that a script may have.
const MAX_FAULTS: usize = 16;
/// Longer than any question stays open.
const MAX_DELAY_MS: u32 = 600_000;

/// The script, or what is wrong with it.
pub(super) fn read(script: v1::Script) -> Result<Script, String> {
    let v1::Script { answers, walk_away, relay } = script;
    if answers.len() > MAX_ANSWERS {
        return Err(format!("a script has at most {MAX_ANSWERS} answers"));
    }
    let answers = answers.into_iter().map(answer).collect::<Result<_, _>>()?;
    let point = |name: String| {
        let found = Point::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, point)| *point).ok_or_else(|| {
            let known = Point::NAMES.map(|(name, _)| name).join(", ");
            format!("{name:?} is no point to walk away at; there are {known}")
        })
    };
    let walk_away = walk_away.map(point).transpose()?;
    if relay.len() > MAX_FAULTS {
        return Err(format!("a script has at most {MAX_FAULTS} faults of the relay"));
    }
    let relay = relay.into_iter().map(fault).collect::<Result<_, _>>()?;
    Ok(Script { answers, walk_away, relay })
}

fn answer(written: v1::Answer) -> Result<Answer, String> {
    let v1::Answer { r#do: what, account, delay_ms } = written;
    if delay_ms > MAX_DELAY_MS {
        return Err(format!("delayMs is at most {MAX_DELAY_MS}"));
    }
    let choice = match (what.as_str(), account) {
        ("approve", None) => Choice::Approve(Account::First),
        ("approve", Some(name)) => Choice::Approve(Account::Named(name)),
        ("decline", None) => Choice::Decline,
        ("wrong-pin", None) => Choice::WrongPin,
        ("decline" | "wrong-pin", Some(_)) => return Err(format!("{what:?} takes no account")),
        _ => return Err(format!("{what:?} is no answer; there are approve, decline, wrong-pin")),
    };
    Ok(Answer { choice, delay: Duration::from_millis(delay_ms.into()) })
}

fn fault(written: v1::Fault) -> Result<Fault, String> {
    let v1::Fault { from, r#do: what, status, frame, delay_ms } = written;
    let side = Side::NAMES.iter().find(|(name, _)| *name == from).map(|(_, side)| *side);
    let side = side.ok_or_else(|| format!("{from:?} is no side; there are laptop and phone"))?;
    let status = status.map(|status| u16::try_from(status).unwrap_or(u16::MAX));
    let harm = match (what.as_str(), status, frame, delay_ms) {
        ("refuse", Some(status @ 300..=599), None, None) => {
            return Ok(Fault::Refuse { side, status });
        }
        ("drop", None, Some(_), None) => Harm::Drop,
        ("corrupt", None, Some(_), None) => Harm::Corrupt,
        ("close", None, Some(_), None) => Harm::Close,
        ("delay", None, Some(_), Some(ms @ 0..=MAX_DELAY_MS)) => {
            Harm::Delay(Duration::from_millis(ms.into()))
        }
        _ => {
            return Err(format!(
                "{what:?} is no fault like this: refuse takes a status from 300 to 599, drop, corrupt and \
                 close take a frame, delay takes a frame and delayMs of at most {MAX_DELAY_MS}"
            ));
        }
    };
    match frame {
        Some(number @ 1..) => Ok(Fault::Frame { from: side, number, harm }),
        _ => Err("frames are counted from 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Script, String> {
        super::read(serde_json::from_str(text).map_err(|error| error.to_string())?)
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
    fn faults_of_the_relay_are_read() {
        let frame = |from, number, harm| Fault::Frame { from, number, harm };
        let cases = [
            (
                r#"{"from":"laptop","do":"refuse","status":503}"#,
                Fault::Refuse { side: Side::Laptop, status: 503 },
            ),
            (r#"{"from":"phone","do":"drop","frame":2}"#, frame(Side::Phone, 2, Harm::Drop)),
            (
                r#"{"from":"phone","do":"delay","frame":1,"delayMs":250}"#,
                frame(Side::Phone, 1, Harm::Delay(Duration::from_millis(250))),
            ),
            (
                r#"{"from":"laptop","do":"corrupt","frame":1}"#,
                frame(Side::Laptop, 1, Harm::Corrupt),
            ),
            (r#"{"from":"laptop","do":"close","frame":9}"#, frame(Side::Laptop, 9, Harm::Close)),
        ];
        for (text, fault) in cases {
            assert_eq!(
                read(&format!(r#"{{"relay":[{text}]}}"#)),
                Ok(Script::faulty(&[fault])),
                "{text}"
            );
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
            (r#"{"relay":[{"from":"sea","do":"drop","frame":1}]}"#, "laptop and phone"),
            (r#"{"relay":[{"from":"phone","do":"drop","frame":0}]}"#, "counted from 1"),
            (r#"{"relay":[{"from":"phone","do":"drop"}]}"#, "take a frame"),
            (r#"{"relay":[{"from":"phone","do":"refuse","status":200}]}"#, "from 300 to 599"),
            (r#"{"relay":[{"from":"phone","do":"delay","frame":1}]}"#, "delayMs"),
        ];
        for (text, wanted) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let many = vec![r#"{"do":"approve"}"#; MAX_ANSWERS + 1].join(",");
        assert!(read(&format!(r#"{{"answers":[{many}]}}"#)).unwrap_err().contains("at most 16"));
    }
}
