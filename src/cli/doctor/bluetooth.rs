//! D-Bus, BlueZ and the adapters: facts are gathered in `facts`, judged here.
//!
//! Depends on the survey of `ble`.

mod adapter;
mod facts;

use super::finding::{Area, Finding, Severity};
use crate::ble::Error;
use crate::ble::bluez::{Adapter, SurveyError};
use crate::cli::failure::causes;

pub(super) use facts::{Facts, gather};
use facts::{Group, Switch};

const AREA: Area = Area::Bluetooth;

/// What these facts mean.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![dbus(&facts.survey)];
    findings.extend(blocked(&facts.switches));
    match &facts.survey {
        Err(SurveyError::Bluez(error)) => findings.push(silent(error, facts)),
        Err(_) => findings.push(unasked(&facts.kernel)),
        Ok(adapters) => {
            findings.push(bluez(facts.version.as_deref()));
            findings.extend(all(adapters, facts));
        }
    }
    findings.extend(l2cap(&facts.l2cap));
    findings.extend(facts.remote.then(remote));
    findings
}

fn dbus(survey: &Result<Vec<Adapter>, SurveyError>) -> Finding {
    let Err(SurveyError::Bus(error)) = survey else {
        return Finding::ok(Area::DBus, "the system's D-Bus can be used");
    };
    let (cause, fix) = match error {
        Error::PermissionDenied => (
            "this user may not use the system's D-Bus",
            "check who may use /run/dbus/system_bus_socket; a sandbox may have to be allowed to",
        ),
        _ => (
            "there is no D-Bus of the system, through which Bluetooth is used",
            "start it with: sudo systemctl start dbus; a container needs the host's \
             /run/dbus/system_bus_socket",
        ),
    };
    Finding::new(Severity::Problem, Area::DBus, cause, fix).seen(seen(error))
}

/// The cause alone where the error's own words would say the same again.
fn seen(error: &Error) -> String {
    match error {
        Error::NoService(why) => causes(&**why),
        other => causes(other),
    }
}

fn unasked(kernel: &[String]) -> Finding {
    let finding = Finding::note(AREA, "adapters could not be looked at without D-Bus");
    finding.seen(format!("adapters that the kernel has: {}", adapter::names(kernel)))
}

/// D-Bus is there, and BlueZ does not answer.
fn silent(error: &Error, facts: &Facts) -> Finding {
    let (cause, fix) = match error {
        Error::PermissionDenied => ("this user may not use Bluetooth", facts.group.remedy()),
        Error::NoAnswer(_) => {
            ("the Bluetooth service hangs", "restart it with: sudo systemctl restart bluetooth")
        }
        _ if facts.version.is_none() => (
            "the Bluetooth service is not installed",
            "install BlueZ, in most distributions the package bluez",
        ),
        _ => (
            "the Bluetooth service does not run",
            "start it with: sudo systemctl enable --now bluetooth",
        ),
    };
    let evidence = match (error, &facts.group) {
        (Error::PermissionDenied, group) => format!("{}; {}", seen(error), group.words()),
        _ => seen(error),
    };
    Finding::new(Severity::Problem, AREA, cause, fix).seen(evidence)
}

fn bluez(version: Option<&str>) -> Finding {
    let found = Finding::ok(AREA, "BlueZ answers");
    found.seen(match version {
        Some(version) => format!("installed version: {version}"),
        None => "its version is not known: no bluetoothd in the usual places".to_owned(),
    })
}

/// `rfkill`: nothing to say where there is no switch for Bluetooth.
fn blocked(switches: &[Switch]) -> Option<Finding> {
    let found = |wanted: fn(&Switch) -> bool| {
        let names = switches.iter().filter(|switch| wanted(switch));
        names.map(|switch| switch.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let free = switches.iter().any(|switch| !switch.soft && !switch.hard);
    let severity = if free { Severity::Note } else { Severity::Problem };
    let (hard, soft) = (found(|switch| switch.hard), found(|switch| switch.soft));
    let finding = match (switches, hard.as_str(), soft.as_str()) {
        ([], ..) => return None,
        (_, "", "") => Finding::ok(AREA, "no switch blocks Bluetooth"),
        (_, "", _) => {
            let fix = "unblock it with: rfkill unblock bluetooth";
            Finding::new(severity, AREA, "Bluetooth is blocked by software", fix)
        }
        _ => {
            let fix = "use this machine's wireless switch or key, or enable Bluetooth in its \
                       firmware's setup";
            Finding::new(severity, AREA, "Bluetooth is blocked by a switch of this machine", fix)
        }
    };
    let words = |what: &str, names: String| (!names.is_empty()).then(|| format!("{what}: {names}"));
    let parts = [
        words("blocked by a switch", hard),
        words("blocked by software", soft),
        words("free", found(|switch| !switch.soft && !switch.hard)),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    Some(finding.seen(format!("rfkill, {}", parts.join("; "))))
}

fn all(adapters: &[Adapter], facts: &Facts) -> Vec<Finding> {
    let wanted = facts.wanted.as_deref();
    let chosen = match wanted {
        Some(name) => adapters.iter().find(|adapter| adapter.name == name),
        None => adapters.first(),
    };
    let blocked = facts.switches.iter().any(|switch| switch.soft);
    let each = |other: &Adapter| {
        let used = chosen.is_some_and(|chosen| chosen.name == other.name);
        adapter::judge(other, used, blocked)
    };
    let missing = chosen.is_none().then(|| adapter::missing(wanted, adapters, &facts.kernel));
    missing.into_iter().chain(adapters.iter().map(each)).collect()
}

/// Where L2CAP sockets can be opened nothing has to be said.
fn l2cap(opened: &Result<(), String>) -> Option<Finding> {
    let Err(why) = opened else {
        return Some(Finding::ok(AREA, "L2CAP sockets can be opened"));
    };
    let cause = "this program cannot open L2CAP sockets, by which phones can be reached without \
                 internet";
    let fix = "load the kernel's part with: sudo modprobe bluetooth; a sandbox or a systemd unit \
               must allow AF_BLUETOOTH";
    Some(Finding::new(Severity::Note, AREA, cause, fix).seen(why.as_str()))
}

fn remote() -> Finding {
    let cause = "this is a session over SSH: the phone has to be near the machine that runs this";
    Finding::note(AREA, cause).seen("SSH_CONNECTION is set")
}

impl Group {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Outside => {
                "join the group with: sudo usermod -aG bluetooth \"$USER\"; then log out and in"
            }
            Self::Inside | Self::Missing => {
                "log in at the machine itself, not remotely; or let a rule of polkit or D-Bus allow \
                 this user to use org.bluez"
            }
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Outside => "there is a group bluetooth, and this user is not in it",
            Self::Inside => "this user is in the group bluetooth",
            Self::Missing => "there is no group bluetooth",
        }
    }
}

#[cfg(test)]
mod tests;
