//! Logins through the real pam_exec, asked by pamtester, without pam_u2f and without a virtual key.
//!
//! Needs pamtester, and namespaces in which PAM has other files: `tests/run pam`.

use std::process::Command;

use crate::daemon::Laptop;
use crate::program::{Ended, Program, alone};
use crate::three::Place;

/// Whoever runs the tests is root in the namespace, and nobody else is there.
const USER: &str = "root";
const ORIGIN: &str = "pam://here";

/// A machine on which a login asks `cabled pam verify` with these words.
fn login(place: &Place, words: &str, rhost: &str) -> Program {
    login_or(place, "required", words, rhost, "")
}

/// The same, with more of PAM's lines after it.
fn login_or(place: &Place, control: &str, words: &str, rhost: &str, more: &str) -> Program {
    let program = env!("CARGO_BIN_EXE_cabled");
    let service = format!(
        "auth {control} pam_exec.so seteuid stdout quiet \
         {program} pam verify --mapping {} --origin {ORIGIN} {words}\n\
         {more}account required pam_permit.so\n",
        place.path("mapping"),
    );
    std::fs::create_dir_all(place.path("pam.d")).unwrap();
    std::fs::write(place.path("pam.d/cabled-test"), service).unwrap();
    let script = format!(
        "mount --bind {} /etc/pam.d
        stdbuf -oL pamtester {rhost} cabled-test {USER} authenticate",
        place.path("pam.d")
    );
    let mut command = alone(Command::new("unshare"));
    command.args(["--map-root-user", "--mount", "sh", "-euc", &script]);
    Program::of(command)
}

fn words(place: &Place) -> String {
    format!("--radio {} --relay {} --qr url", place.radio(), place.url)
}

/// A passkey for the user, in the mapping file.
fn enrolls(place: &Place, more: &[&str]) {
    let (radio, mapping) = (place.radio(), place.path("mapping"));
    let words = ["pam", "enroll", "--user", USER, "--origin", ORIGIN, "--file", &mapping];
    let link = ["--radio", &radio, "--relay", &place.url, "--qr", "url"];
    let mut asking = Program::of(Laptop::at_home(place, &[&words[..], &link, more].concat()));
    let code = asking.begins("FIDO:/");
    place.phone(&code, &["--attestation", "none"]).end().succeeded();
    asking.end().succeeded();
}

/// PAM's own verdict, and that the user sees why.
fn refused(ended: &Ended, why: &str) {
    assert!(!ended.status.success(), "{ended:#?}");
    let seen = [&ended.out[..], &ended.err].concat().join("\n");
    assert!(seen.contains(why) && !seen.contains("successfully"), "{why}: {seen}");
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn a_login_shows_the_code_and_takes_the_phone_of_the_user_alone() {
    let place = Place::new();
    enrolls(&place, &[]);
    let mut asking = login(&place, &words(&place), "");
    let code = asking.says(|line| line.starts_with("FIDO:/"));
    place.phone(&code, &[]).end().succeeded();
    let ended = asking.end().succeeded();
    assert!(ended.out.iter().any(|line| line.contains("Verified: root.")), "{ended:#?}");

    // The phone of somebody else.
    let mut asking = login(&place, &words(&place), "");
    let code = asking.says(|line| line.starts_with("FIDO:/"));
    let (radio, other, pin) = (place.radio(), place.path("other"), place.path("pin"));
    let words_of_phone = ["phone", "scan", &code, "--radio", &radio, "--relay", &place.url];
    let more = ["--store", &other, "--pin-file", &pin, "--auto-approve", "--any-age"];
    let phone = Program::start(&[&words_of_phone[..], &more].concat());
    refused(&asking.end(), "error: ");
    phone.end();

    // The right phone, and a key in the file that is not its own.
    let mapping = std::fs::read_to_string(place.path("mapping")).unwrap();
    let mut fields: Vec<_> = mapping.trim_end().split(',').map(str::to_owned).collect();
    let other_key = {
        let elsewhere = Place::new();
        enrolls(&elsewhere, &[]);
        let text = std::fs::read_to_string(elsewhere.path("mapping")).unwrap();
        text.split(',').nth(1).unwrap().to_owned()
    };
    fields[1] = other_key;
    std::fs::write(place.path("mapping"), fields.join(",")).unwrap();
    let mut asking = login(&place, &words(&place), "");
    let code = asking.says(|line| line.starts_with("FIDO:/"));
    let phone = place.phone(&code, &[]);
    refused(&asking.end(), "a signature that is not right");
    phone.end();
    assert!(place.is_quiet());
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn the_code_is_drawn_in_lines_that_pam_takes() {
    let place = Place::new();
    enrolls(&place, &["--verify-required"]);
    let words = format!("--radio {} --relay {}", place.radio(), place.url);
    let mut asking = login(&place, &words, "");
    let drawn = std::cell::Cell::new(0);
    asking.says(|line| {
        if line.contains("\u{2588}") {
            // PAM_MAX_MSG_SIZE
            assert!(line.len() < 512, "{}", line.len());
            drawn.set(drawn.get() + 1);
        }
        line.contains("Scan this code")
    });
    assert!(drawn.get() > 15, "{drawn:?}");
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn the_daemon_of_the_user_serves_too() {
    let laptop = Laptop::start();
    enrolls(&laptop.place, &[]);
    let mut watcher = laptop.command(&["watch", "--qr", "url"]);
    watcher.begins("Watching");
    let words = format!("--qr none --socket {}", laptop.place.path("run/laptop.sock"));
    let asking = login(&laptop.place, &words, "");
    watcher.begins("A program wants to sign in to pam://here.");
    let code = watcher.begins("FIDO:/");
    laptop.place.phone(&code, &[]).end().succeeded();
    asking.end().succeeded();
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn whoever_must_not_be_asked_is_not() {
    let place = Place::new();
    enrolls(&place, &[]);
    let words = words(&place);
    let mapping = place.path("mapping");
    let from = "-I rhost=198.51.100.1";
    refused(&login(&place, &words, from).end(), "the login is from another machine");
    let chmod = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&mapping, mode).unwrap();
    };
    chmod(0o620);
    refused(&login(&place, &words, "").end(), "others can write to ");
    chmod(0o600);
    let text = std::fs::read_to_string(&mapping).unwrap();
    std::fs::write(&mapping, text.replace("root:", "anna:")).unwrap();
    refused(&login(&place, &words, "").end(), "root has no passkey in ");
    std::fs::remove_file(&mapping).unwrap();
    refused(&login(&place, &words, "").end(), "cannot read ");
    assert!(place.is_quiet());
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn without_the_phone_pam_goes_on() {
    let place = Place::new();
    enrolls(&place, &[]);
    let words = format!("{} --timeout 1", words(&place));
    let goes_on = login_or(&place, "sufficient", &words, "", "auth required pam_permit.so\n");
    let ended = goes_on.end().succeeded();
    assert!(ended.out.iter().any(|line| line.starts_with("error: ")), "{ended:#?}");
    let stops = login_or(&place, "sufficient", &words, "", "auth required pam_deny.so\n");
    refused(&stops.end(), "error: ");
}

#[test]
#[ignore = "needs pamtester: tests/run pam"]
fn whoever_is_not_root_lets_nobody_in() {
    let mut command = alone(Command::new("unshare"));
    command.args(["--user", env!("CARGO_BIN_EXE_cabled"), "pam", "verify"]);
    command.env("PAM_USER", USER).env("PAM_TYPE", "auth");
    let (error, hint) = Program::of(command).end().failed(2);
    assert_eq!(error, "only root can let somebody in");
    assert!(hint.contains("seteuid"), "{hint}");
}
