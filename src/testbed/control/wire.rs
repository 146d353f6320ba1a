//! Ceremonies and passkeys as they are told in JSON. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::authenticator::service::{Answered, Event, Happened, Settled, Whom};
use crate::authenticator::{ConsentRequest, PasskeyView};
use crate::testbed::{Ceremony, Fault, Harm, PlantedPasskey, Request, Side, Trace};

/// A ceremony for machines: the JSON that the control API answers with.
#[must_use]
pub fn ceremony(ceremony: &Ceremony) -> Value {
    let events: Vec<_> = ceremony.events.iter().map(event).collect();
    let requests: Vec<_> = ceremony.trace.requests().iter().map(request).collect();
    json!({
        "id": ceremony.id,
        "phone": ceremony.phone,
        "over": ceremony.over,
        "outcome": ceremony.outcome(),
        "asScripted": ceremony.as_scripted(),
        "problem": ceremony.problem,
        "walkedAway": ceremony.walked_away,
        "events": events,
        "requests": requests,
        "relay": relay(&ceremony.trace),
    })
}

fn request(request: &Request) -> Value {
    let options = &request.options;
    json!({
        "command": request.command,
        "rpId": request.rp_id,
        "account": request.account,
        "algorithms": request.algorithms,
        "allowList": request.allow_list,
        "excludeList": request.exclude_list,
        "options": { "rk": options.rk, "up": options.up, "uv": options.uv },
        "extensions": request.extensions,
        "malformed": request.malformed,
    })
}

fn relay(trace: &Trace) -> Value {
    let traffic = |side| {
        let traffic = trace.traffic(side);
        json!({ "connections": traffic.connections, "frames": traffic.frames })
    };
    let faults: Vec<_> =
        trace.faults().iter().map(|(fault, hits)| with_hits(fault, *hits)).collect();
    json!({ "laptop": traffic(Side::Laptop), "phone": traffic(Side::Phone), "faults": faults })
}

/// As it is written, with how often it struck.
fn with_hits(fault: &Fault, hits: u32) -> Value {
    match fault {
        Fault::Refuse { side, status } => {
            json!({ "from": side.name(), "do": "refuse", "status": status, "hits": hits })
        }
        Fault::Frame { from, number, harm } => {
            let (what, delay) = match harm {
                Harm::Drop => ("drop", None),
                Harm::Delay(delay) => ("delay", Some(delay.as_millis())),
                Harm::Corrupt => ("corrupt", None),
                Harm::Close => ("close", None),
            };
            let mut told =
                json!({ "from": from.name(), "do": what, "frame": number, "hits": hits });
            if let (Some(told), Some(delay)) = (told.as_object_mut(), delay) {
                told.insert("delayMs".to_owned(), u64::try_from(delay).unwrap_or(u64::MAX).into());
            }
            told
        }
    }
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

/// What a site's database needs: the key in COSE's form, and as browsers give it.
pub(super) fn planted(passkey: &PlantedPasskey) -> Value {
    let key = passkey.public_key;
    // EC2, ES256, P-256, x, y: RFC 9053, in CTAP2's canonical order.
    let cose = [
        &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20][..],
        &key.x[..],
        &[0x22, 0x58, 0x20][..],
        &key.y[..],
    ];
    json!({
        "id": URL_SAFE_NO_PAD.encode(passkey.id.as_bytes()),
        "publicKey": URL_SAFE_NO_PAD.encode(key.to_spki()),
        "cosePublicKey": URL_SAFE_NO_PAD.encode(cose.concat()),
    })
}
