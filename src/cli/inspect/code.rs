//! What a `FIDO:/` text says, member by member.

use qrcode::{EcLevel, QrCode};
use serde_json::{Value as Json, json};

use super::{Report, unknown};
use crate::authenticator::Timestamp;
use crate::cbor::{self, Value};
use crate::cli::phone::date;
use crate::hex;
use crate::hybrid::digits;
use crate::hybrid::qr::{Hint, QrContents, SCHEME};

/// The last key that has a meaning.
const LAST_KEY: u64 = 6;

/// Most characters of an unknown member.
const MAX_UNKNOWN: usize = 80;

pub(super) fn report(text: &str, contents: &QrContents, now: u64, reveal: bool) -> Report {
    let mut report = Report::new("code", "FIDO:/ code");
    let digits = text.get(SCHEME.len()..).unwrap_or_default();
    let cbor = digits::decode(digits).unwrap_or_default();
    // The contents were read from the same text, so there is a map.
    let map = cbor::decode_lenient(&cbor).unwrap_or(Value::Null);
    form(&mut report, text, digits.len(), &cbor, &map);
    report.say("0 public key", hex::lower(&contents.identity.compressed()));
    report.member("publicKey", hex::lower(&contents.identity.compressed()));
    report.secret("1 secret", "secret", contents.secret.expose(), reveal);
    services(&mut report, contents.known_services);
    shown_at(&mut report, contents.shown_at, now);
    linking(&mut report, contents.wants_linking);
    hint(&mut report, contents, &map);
    channels(&mut report, map.get(LAST_KEY));
    unknown_members(&mut report, &map);
    report.secret("tunnel ID", "tunnelId", contents.secret.tunnel_id().expose(), reveal);
    report.secret("advert key", "eidKey", contents.secret.eid_key().expose(), reveal);
    report.member("revealed", reveal);
    report
}

fn form(report: &mut Report, text: &str, digits: usize, cbor: &[u8], map: &Value) {
    let members = map.as_map().map_or(0, <[_]>::len);
    let canonical = cbor::decode(cbor).is_ok();
    let order = if canonical { "canonical" } else { "not in canonical form" };
    let bytes = cbor.len();
    report.say(
        "text",
        format!("{SCHEME} and {digits} digits: {bytes} bytes of CBOR, {members} members, {order}"),
    );
    report.member("digits", digits);
    report.member("cborBytes", bytes);
    report.member("members", members);
    report.member("canonical", canonical);
    let symbol = QrCode::with_error_correction_level(text, EcLevel::L).ok();
    let modules = symbol.map(|symbol| symbol.width());
    if let Some(modules) = modules {
        let size = format!("{modules}x{modules} modules at the lowest error correction");
        report.say("symbol", size);
    }
    report.member("symbolModules", modules);
}

fn services(report: &mut Report, known: u64) {
    let words = match known {
        0 => "0: hashed names alone will do",
        1 => "1: cable.ua5v.com",
        2 => "2: cable.ua5v.com, cable.auth.com",
        _ => "more than the 2 that are assigned today",
    };
    report.say("2 services known", words);
    report.member("knownServices", known);
}

fn shown_at(report: &mut Report, shown: Option<u64>, now: u64) {
    let Some(shown) = shown else {
        report.say("3 shown at", "not said");
        report.member("shownAt", unknown());
        return report.member("ageSeconds", unknown());
    };
    let iso = date::iso(Timestamp(shown));
    let (age, ahead) = (now.saturating_sub(shown), shown.saturating_sub(now));
    let (distance, age) = match ahead {
        0 => (format!("{} ago", date::span(age)), json!(age)),
        ahead => {
            let words = format!("{} ahead of this machine's clock", date::span(ahead));
            (words, i64::try_from(ahead).map_or_else(|_| unknown(), |ahead| json!(-ahead)))
        }
    };
    report.say("3 shown at", format!("{iso}, {distance}"));
    report.member("shownAt", iso);
    report.member("ageSeconds", age);
}

fn linking(report: &mut Report, wanted: Option<bool>) {
    let words = match wanted {
        Some(true) => "yes: the laptop would like to remember the phone",
        Some(false) => "no",
        None => "not said, which means no",
    };
    report.say("4 wants linking", words);
    report.member("wantsLinking", wanted);
}

fn hint(report: &mut Report, contents: &QrContents, map: &Value) {
    let said = map.get(5).and_then(Value::as_text);
    let (words, name) = match contents.intent() {
        Hint::MakeCredential => ("a registration follows", "registration"),
        Hint::GetAssertion => ("a sign-in follows", "sign-in"),
        Hint::DigitalCredentialPresentation => ("a document is to be shown", "presentation"),
        Hint::DigitalCredentialIssuance => ("a document is to be issued", "issuance"),
    };
    let words = match said {
        None => format!("not said, which means: {words}"),
        Some(said) if said == contents.intent().as_str() => format!("{said}: {words}"),
        Some(_) => format!("unknown to this program, taken as: {words}"),
    };
    report.say("5 hint", words);
    report.member("hint", said);
    report.member("intent", name);
}

fn channels(report: &mut Report, member: Option<&Value>) {
    let Some(member) = member else {
        report.say("6 channels", "not said, which means: the tunnel alone");
        return report.member("channels", unknown());
    };
    let Some(ids) = member.as_array() else {
        report.say("6 channels", "of an older form, which says nothing");
        return report.member("channels", unknown());
    };
    let name = |id: &Value| match id.as_uint() {
        Some(0) => "tunnel".to_owned(),
        Some(1) => "L2CAP (Bluetooth without internet)".to_owned(),
        Some(other) => format!("unknown channel {other}"),
        None => "unknown channel".to_owned(),
    };
    report.say("6 channels", ids.iter().map(name).collect::<Vec<_>>().join(", "));
    let numbers: Vec<Json> = ids.iter().map(|id| json!(id.as_uint())).collect();
    report.member("channels", numbers);
}

fn unknown_members(report: &mut Report, map: &Value) {
    let mut found = Vec::new();
    for (key, value) in map.as_map().unwrap_or_default() {
        if key.as_uint().is_some_and(|key| key <= LAST_KEY) {
            continue;
        }
        let (key, value) = (diagnose(key), diagnose(value));
        report.say(format!("{key} unknown"), format!("{value}, to be ignored"));
        found.push(json!({ "key": key, "value": value }));
    }
    report.member("unknownMembers", found);
}

/// A CBOR item in the notation of RFC 8949, cut short, safe to print.
fn diagnose(value: &Value) -> String {
    let whole = match value {
        Value::Bytes(bytes) => format!("h'{}'", hex::lower(bytes)),
        Value::Text(text) => format!("{text:?}"),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(diagnose).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entry =
                |(key, value): &(Value, Value)| format!("{}: {}", diagnose(key), diagnose(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Bool(yes) => yes.to_string(),
        Value::Null => "null".to_owned(),
        Value::Uint(number) => number.to_string(),
        Value::Nint(number) => (-1 - i128::from(*number)).to_string(),
    };
    match whole.chars().count() > MAX_UNKNOWN {
        true => whole.chars().take(MAX_UNKNOWN).chain(['…']).collect(),
        false => whole,
    }
}
