//! Ceremonies and passkeys as messages of the schema. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::v1;
use crate::authenticator::service::{Answered, Event, Happened, Settled, Whom};
use crate::authenticator::{ConsentRequest, PasskeyView};
use crate::testbed::{Ceremony, Fault, Harm, PlantedPasskey, Request, Side, Trace};

pub(super) fn ceremony(ceremony: &Ceremony) -> v1::Ceremony {
    v1::Ceremony {
        id: ceremony.id,
        phone: ceremony.phone.clone(),
        over: ceremony.over,
        outcome: ceremony.outcome().map(str::to_owned),
        as_scripted: ceremony.as_scripted(),
        problem: ceremony.problem.clone(),
        walked_away: ceremony.walked_away,
        events: ceremony.events.iter().map(event).collect(),
        requests: ceremony.trace.requests().into_iter().map(request).collect(),
        relay: Some(relay(&ceremony.trace)),
    }
}

fn request(request: Request) -> v1::Request {
    let options = &request.options;
    v1::Request {
        command: request.command.to_owned(),
        options: Some(v1::Options { rk: options.rk, up: options.up, uv: options.uv }),
        rp_id: request.rp_id,
        account: request.account,
        algorithms: request.algorithms,
        allow_list: count(request.allow_list),
        exclude_list: count(request.exclude_list),
        extensions: request.extensions,
        malformed: request.malformed,
    }
}

/// Lists that came in one message are far shorter than the largest number.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn relay(trace: &Trace) -> v1::Way {
    let traffic = |side| {
        let traffic = trace.traffic(side);
        Some(v1::Traffic { connections: traffic.connections, frames: traffic.frames })
    };
    let faults = trace.faults().iter().map(|(fault, hits)| struck(fault, *hits)).collect();
    v1::Way { laptop: traffic(Side::Laptop), phone: traffic(Side::Phone), faults }
}

/// As it is written, with how often it struck.
fn struck(fault: &Fault, hits: u32) -> v1::Struck {
    match fault {
        Fault::Refuse { side, status } => v1::Struck {
            from: side.name().to_owned(),
            r#do: "refuse".to_owned(),
            status: Some((*status).into()),
            hits,
            ..v1::Struck::default()
        },
        Fault::Frame { from, number, harm } => {
            let (what, delay) = match harm {
                Harm::Drop => ("drop", None),
                Harm::Delay(delay) => ("delay", Some(delay.as_millis())),
                Harm::Corrupt => ("corrupt", None),
                Harm::Close => ("close", None),
            };
            v1::Struck {
                from: from.name().to_owned(),
                r#do: what.to_owned(),
                frame: Some(*number),
                delay_ms: delay.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)),
                hits,
                ..v1::Struck::default()
            }
        }
    }
}

fn event(event: &Event) -> v1::Event {
    let (what, fields) = match &event.what {
        Happened::Scanned => ("scanned", v1::Event::default()),
        Happened::Rung => ("rung", v1::Event::default()),
        Happened::Linked => ("linked", v1::Event::default()),
        Happened::OpeningTunnel => ("opening-tunnel", v1::Event::default()),
        Happened::WithoutTunnel(why) => ("without-tunnel", failed(why)),
        Happened::Advertising => ("advertising", v1::Event::default()),
        Happened::Connected { via } => {
            ("connected", v1::Event { via: text(via.name()), ..v1::Event::default() })
        }
        Happened::Asked(question) => ("asked", asked(&question.request)),
        Happened::Settled { how, .. } => ("settled", ended_as(settled(*how))),
        Happened::Answered(how) => ("answered", answered(how)),
        Happened::Acknowledged => ("acknowledged", v1::Event::default()),
        Happened::Ended(None) => ("ended", v1::Event::default()),
        Happened::Ended(Some(error)) => {
            ("ended", v1::Event { cause: text(error.cause()), ..failed(&causes(&**error)) })
        }
    };
    v1::Event { event: what.to_owned(), at: event.at.0, ..fields }
}

/// Of a field that is there.
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn failed(why: &str) -> v1::Event {
    v1::Event { error: text(why), ..v1::Event::default() }
}

fn ended_as(how: &str) -> v1::Event {
    v1::Event { how: text(how), ..v1::Event::default() }
}

fn asked(request: &ConsentRequest) -> v1::Event {
    let about = |question: &str, rp_id: &str| v1::Event {
        question: text(question),
        rp_id: text(rp_id),
        ..v1::Event::default()
    };
    match request {
        ConsentRequest::Save { rp_id, account, replaces, .. } => v1::Event {
            account: account.clone(),
            replaces: Some(count(replaces.len())),
            ..about("save", rp_id)
        },
        ConsentRequest::SignIn { rp_id, accounts, .. } => v1::Event {
            accounts: accounts.iter().map(|account| account.name.clone()).collect(),
            ..about("sign-in", rp_id)
        },
        ConsentRequest::AlreadyRegistered { rp_id, account } => {
            v1::Event { account: text(&account.name), ..about("already-registered", rp_id) }
        }
        ConsentRequest::NothingFound { rp_id } => about("nothing-found", rp_id),
        _ => v1::Event { question: text("other"), ..v1::Event::default() },
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

fn answered(how: &Answered) -> v1::Event {
    let named = |how: &str, whom: &Whom| v1::Event {
        credential: Some(URL_SAFE_NO_PAD.encode(whom.credential.as_bytes())),
        rp_id: Some(whom.rp_id.clone()),
        account: Some(whom.account.clone()),
        ..ended_as(how)
    };
    match how {
        Answered::Saved(whom) => named("saved", whom),
        Answered::SignedIn(whom) => named("signed-in", whom),
        Answered::Offered(whom) => named("offered", whom),
        Answered::Refused(status) => {
            v1::Event { status: text(status.name()), ..ended_as("refused") }
        }
        Answered::StoreFailed(error) => {
            v1::Event { error: text(error), ..ended_as("store-failed") }
        }
        Answered::Other => ended_as("other"),
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

pub(super) fn passkey(passkey: &PasskeyView) -> v1::Passkey {
    v1::Passkey {
        id: URL_SAFE_NO_PAD.encode(passkey.id.as_bytes()),
        rp_id: passkey.rp_id.clone(),
        user_id: URL_SAFE_NO_PAD.encode(&passkey.user_id),
        user_name: passkey.user_name.clone(),
        user_display_name: passkey.user_display_name.clone(),
        discoverable: passkey.discoverable,
        state: passkey.state.name().to_owned(),
        created_at: passkey.created_at.0,
        delivered_at: passkey.delivered_at.map(|at| at.0),
        last_used_at: passkey.last_used_at.map(|at| at.0),
    }
}

/// What a site's database needs: the key in COSE's form, and as browsers give it.
pub(super) fn planted(passkey: &PlantedPasskey) -> v1::PlantPasskeyResponse {
    let key = passkey.public_key;
    // EC2, ES256, P-256, x, y: RFC 9053, in CTAP2's canonical order.
    let cose = [
        &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20][..],
        &key.x[..],
        &[0x22, 0x58, 0x20][..],
        &key.y[..],
    ];
    v1::PlantPasskeyResponse {
        id: URL_SAFE_NO_PAD.encode(passkey.id.as_bytes()),
        public_key: URL_SAFE_NO_PAD.encode(key.to_spki()),
        cose_public_key: URL_SAFE_NO_PAD.encode(cose.concat()),
    }
}
