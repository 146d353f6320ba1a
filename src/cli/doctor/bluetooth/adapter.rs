//! One adapter: whether it can hear, send, and how much.
//!
//! Depends on what the survey of `ble` tells.

use super::AREA;
use crate::ble::bluez::{Adapter, Capabilities};
use crate::cli::doctor::finding::{Finding, Severity};

/// Bytes of the smallest advertisement that every controller takes: flags, head and 20 bytes.
const ADVERT: u8 = 27;
/// Bytes of an advertisement without the extension.
const LEGACY: u8 = 31;

/// There is none, or not the one that was asked for.
pub(super) fn missing(wanted: Option<&str>, there: &[Adapter], kernel: &[String]) -> Finding {
    let problem = |cause: String, fix: &str| Finding::new(Severity::Problem, AREA, cause, fix);
    let listed: Vec<_> = there.iter().map(|adapter| adapter.name.clone()).collect();
    let (listed, known) = (names(&listed), names(kernel));
    let evidence = format!("adapters that BlueZ lists: {listed}; that the kernel has: {known}");
    match wanted {
        Some(name) if !there.is_empty() => problem(
            format!("there is no Bluetooth adapter {name}"),
            "name one that is there, or none: --radio bluez",
        ),
        _ => problem(
            "there is no Bluetooth adapter".to_owned(),
            "plug in or enable one; a virtual machine has to be given one by its host",
        ),
    }
    .seen(evidence)
}

pub(super) fn names(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// `used`: this is the one that a ceremony would use. `blocked`: by software, with rfkill.
pub(super) fn judge(adapter: &Adapter, used: bool, blocked: bool) -> Finding {
    let name = &adapter.name;
    let role = |role: &str| {
        let mut told = adapter.roles.iter().flat_map(|told| told.split('-'));
        adapter.roles.is_empty() || told.any(|told| told == role)
    };
    let sends = adapter.sends.as_ref().filter(|_| role("peripheral"));
    let (severity, cause, fix) = if !adapter.powered {
        let fix = match blocked {
            true => "unblock it with: rfkill unblock bluetooth".to_owned(),
            false => "switch it on with: bluetoothctl power on".to_owned(),
        };
        (Severity::Problem, format!("the Bluetooth adapter {name} is switched off"), fix)
    } else if !role("central") {
        let fix = "use another adapter: --radio bluez:hciN".to_owned();
        (Severity::Problem, format!("{name} cannot hear adverts"), fix)
    } else if let Some((cause, fix)) = cannot_send(sends) {
        (Severity::Warning, format!("{name} hears adverts, but {cause}"), fix.to_owned())
    } else {
        let fine = Finding::ok(AREA, format!("{name} can hear and send adverts"));
        return fine.seen(describe(adapter));
    };
    // What nobody uses may be as it likes.
    let severity = if used { severity } else { Severity::Note };
    Finding::new(severity, AREA, cause, fix).seen(describe(adapter))
}

/// Only the phone's part sends.
fn cannot_send(sends: Option<&Capabilities>) -> Option<(&'static str, &'static str)> {
    match sends {
        None => Some((
            "cannot send them: it will do for the laptop's part, not for the phone's",
            "use another adapter for the phone's part: --radio bluez:hciN",
        )),
        Some(sends) if sends.free == Some(0) => Some((
            "has no room for another one to send",
            "end other programs that advertise over Bluetooth",
        )),
        Some(sends) if sends.max_len.is_some_and(|max| max < ADVERT) => Some((
            "those that it sends are too short for a phone's",
            "use another adapter for the phone's part: --radio bluez:hciN",
        )),
        Some(_) => None,
    }
}

fn describe(adapter: &Adapter) -> String {
    let or_unknown = |text: String| if text.is_empty() { "unknown".to_owned() } else { text };
    let power = if adapter.powered { "on" } else { "off" };
    let address = or_unknown(adapter.address.clone());
    let roles = or_unknown(adapter.roles.join(" "));
    let sends = adapter.sends.as_ref().map_or_else(|| "no way to send".to_owned(), sending);
    format!("{power}, address {address}; LE roles {roles}; {sends}")
}

fn sending(can: &Capabilities) -> String {
    let number = |n: Option<u8>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    let extended = match (can.max_len, can.secondary.as_slice()) {
        (Some(max), []) if max <= LEGACY => "no extended adverts".to_owned(),
        (None, []) => "extended adverts unknown".to_owned(),
        (_, []) => "extended adverts".to_owned(),
        (_, channels) => format!("extended adverts on {}", channels.join(" ")),
    };
    format!(
        "{} adverts on the air, room for {}, of {} bytes, {extended}",
        number(can.active),
        number(can.free),
        number(can.max_len),
    )
}
