//! What each state of a machine's Bluetooth comes to.

use super::*;
use crate::ble::bluez::Capabilities;
use crate::cli::doctor::finding::verdict;

fn adapter(name: &str) -> Adapter {
    let sends =
        Capabilities { active: Some(1), free: Some(4), max_len: Some(31), ..Default::default() };
    Adapter {
        name: name.to_owned(),
        address: "00:00:5E:00:53:01".to_owned(),
        powered: true,
        roles: ["central", "peripheral"].map(str::to_owned).to_vec(),
        sends: Some(sends),
    }
}

fn facts(survey: Result<Vec<Adapter>, SurveyError>) -> Facts {
    Facts {
        survey,
        wanted: None,
        version: Some("5.82".to_owned()),
        switches: Vec::new(),
        group: Group::Missing,
        kernel: vec!["hci0".to_owned()],
        l2cap: Ok(()),
        remote: false,
    }
}

fn found(facts: &Facts, severity: Severity) -> Vec<Finding> {
    judge(facts).into_iter().filter(|finding| finding.severity == severity).collect()
}

/// The only problem, which has a remedy and makes the radio's exit status.
fn problem(facts: &Facts) -> (String, String) {
    let found = found(facts, Severity::Problem);
    let [problem] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(verdict(&found).unwrap_err().status, crate::cli::failure::Status::Radio);
    assert!(!problem.evidence.is_empty());
    (problem.cause.clone(), problem.fix.clone().unwrap())
}

fn missing(why: &str) -> Error {
    Error::NoService(why.to_owned().into())
}

#[test]
fn a_machine_with_bluetooth_is_fine() {
    let all = judge(&facts(Ok(vec![adapter("hci0")])));
    assert!(all.iter().all(|finding| finding.severity == Severity::Ok), "{all:#?}");
    let of = all.iter().find(|finding| finding.cause == "hci0 can hear and send adverts");
    assert_eq!(
        of.unwrap().evidence,
        "on, address 00:00:5E:00:53:01; LE roles central peripheral; 1 adverts on the air, room \
         for 4, of 31 bytes, no extended adverts"
    );
}

#[test]
fn what_is_missing_below_the_adapters_is_told_apart() {
    let (cause, fix) = problem(&facts(Err(SurveyError::Bus(missing("no such file")))));
    assert!(cause.contains("no D-Bus") && fix.contains("start dbus"));
    let (cause, _) = problem(&facts(Err(SurveyError::Bus(Error::PermissionDenied))));
    assert!(cause.contains("may not use the system's D-Bus"), "{cause}");
    let stopped = facts(Err(SurveyError::Bluez(missing("unknown name"))));
    let (cause, fix) = problem(&stopped);
    assert!(cause.contains("does not run") && fix.contains("enable --now"));
    let (cause, fix) = problem(&Facts { version: None, ..stopped });
    assert!(cause.contains("not installed") && fix.contains("install BlueZ"));
    let hangs = Error::NoAnswer(std::time::Duration::from_secs(10));
    let (cause, fix) = problem(&facts(Err(SurveyError::Bluez(hangs))));
    assert!(cause.contains("hangs") && fix.contains("restart bluetooth"));
}

#[test]
fn a_missing_right_has_a_remedy_for_this_distribution() {
    let denied = |group| {
        let survey = Err(SurveyError::Bluez(Error::PermissionDenied));
        problem(&Facts { group, ..facts(survey) })
    };
    let (cause, fix) = denied(Group::Outside);
    assert!(cause.contains("may not use Bluetooth") && fix.contains("usermod -aG bluetooth"));
    let (_, fix) = denied(Group::Missing);
    assert!(fix.contains("polkit") && !fix.contains("usermod"), "{fix}");
    assert_eq!(denied(Group::Inside).1, fix);
}

#[test]
fn adapters_that_are_not_there() {
    let none = facts(Ok(Vec::new()));
    let (cause, fix) = problem(&none);
    assert_eq!(cause, "there is no Bluetooth adapter");
    assert!(fix.contains("plug in"));
    let wanted = Some("hci7".to_owned());
    assert_eq!(problem(&Facts { wanted: wanted.clone(), ..none }).0, cause);
    let other = Facts { wanted, ..facts(Ok(vec![adapter("hci0")])) };
    assert_eq!(problem(&other).0, "there is no Bluetooth adapter hci7");
}

#[test]
fn an_adapter_that_is_off_matters_if_it_is_the_one_that_is_used() {
    let mut off = adapter("hci0");
    off.powered = false;
    let both = facts(Ok(vec![off.clone(), adapter("hci1")]));
    let (cause, fix) = problem(&both);
    assert!(cause.contains("hci0 is switched off") && fix.contains("bluetoothctl power on"));
    let other = Facts { wanted: Some("hci1".to_owned()), ..both };
    assert!(found(&other, Severity::Problem).is_empty());
    assert_eq!(found(&other, Severity::Note).len(), 1);
}

#[test]
fn a_block_is_named_with_what_blocks() {
    let mut off = adapter("hci0");
    off.powered = false;
    let switch = |soft, hard| vec![Switch { name: "hci0".to_owned(), soft, hard }];
    let soft = Facts { switches: switch(true, false), ..facts(Ok(vec![off])) };
    let problems = found(&soft, Severity::Problem);
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|p| p.fix.as_ref().unwrap().contains("rfkill unblock bluetooth")));
    assert_eq!(problems[0].evidence, "rfkill, blocked by software: hci0");
    let hard = Facts { switches: switch(false, true), ..facts(Ok(vec![adapter("hci0")])) };
    assert!(problem(&hard).1.contains("wireless switch"));
    let mut one_of_two = switch(true, false);
    one_of_two.extend(switch(false, false));
    let some = Facts { switches: one_of_two, ..facts(Ok(vec![adapter("hci0")])) };
    assert!(found(&some, Severity::Problem).is_empty());
}

#[test]
fn what_an_adapter_cannot_do_is_a_warning_or_worse() {
    let with = |change: fn(&mut Adapter)| {
        let mut odd = adapter("hci0");
        change(&mut odd);
        let all = judge(&facts(Ok(vec![odd])));
        let worst = all.into_iter().max_by_key(|finding| finding.severity).unwrap();
        (worst.severity, worst.cause)
    };
    let (severity, cause) = with(|odd| odd.sends = None);
    assert_eq!(severity, Severity::Warning);
    assert!(cause.contains("will do for the laptop's part"), "{cause}");
    assert_eq!(with(|odd| odd.roles = vec!["central".to_owned()]).1, cause);
    assert_eq!(with(|odd| odd.roles = vec!["peripheral".to_owned()]).0, Severity::Problem);
    assert_eq!(with(|odd| odd.roles = vec!["central-peripheral".to_owned()]).0, Severity::Ok);
    assert_eq!(with(|odd| odd.roles.clear()).0, Severity::Ok);
    assert!(with(|odd| odd.sends.as_mut().unwrap().free = Some(0)).1.contains("no room"));
    assert!(with(|odd| odd.sends.as_mut().unwrap().max_len = Some(20)).1.contains("too short"));
}

#[test]
fn l2cap_and_ssh_are_only_noted() {
    let l2cap = Err("Address family not supported by protocol".to_owned());
    let noted = Facts { l2cap, remote: true, ..facts(Ok(vec![adapter("hci0")])) };
    assert_eq!(found(&noted, Severity::Note).len(), 2);
    assert!(verdict(&judge(&noted)).is_ok());
}
