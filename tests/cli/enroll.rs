//! Keys for ssh and lines for pam_u2f, from a phone that vouches for nothing; read by the real `ssh-keygen`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon::Laptop;
use crate::program::Program;
use crate::three::{Place, in_order};

/// A phone of the usual kind.
const VOUCHES_FOR_NOTHING: &[&str] = &["--attestation", "none"];

/// The command in a process of its own, without a daemon.
fn alone(place: &Place, words: &[&str]) -> Program {
    let radio = place.radio();
    let link = ["--radio", &radio, "--relay", &place.url, "--qr", "url"];
    Program::of(Laptop::at_home(place, &[words, &link].concat()))
}

fn mode(file: &str) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o7777
}

/// Files in the folder whose name begins so.
fn named(place: &Place, start: &str) -> usize {
    let all = std::fs::read_dir(place.folder.path()).unwrap();
    all.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with(start))
        .count()
}

/// What OpenSSH reads out of the private file; nothing where there is no OpenSSH.
fn ssh_keygen(words: &[&str]) -> Option<String> {
    let run = Command::new("ssh-keygen").args(words).output().ok()?;
    assert!(run.status.success(), "{run:?}");
    Some(String::from_utf8(run.stdout).unwrap())
}

fn openssh_reads(file: &str, comment: &str) {
    let public = std::fs::read_to_string(format!("{file}.pub")).unwrap();
    assert!(public.starts_with("sk-ecdsa-sha2-nistp256@openssh.com AAAA"), "{public}");
    assert!(public.ends_with(&format!(" {comment}\n")), "{public}");
    assert_eq!((mode(file), mode(&format!("{file}.pub"))), (0o600, 0o644));
    // The guest has an OpenSSH in any case.
    let Some(again) = ssh_keygen(&["-y", "-f", file]) else { return };
    assert_eq!(again, public);
    let told = ssh_keygen(&["-l", "-f", file]).unwrap();
    assert!(told.starts_with("256 SHA256:") && told.ends_with("(ECDSA-SK)\n"), "{told}");
    assert!(told.contains(&format!(" {comment} ")), "{told}");
}

#[test]
fn ssh_gets_a_key_pair_without_a_daemon() {
    let place = Place::new();
    let file = place.path("id");
    let words = ["ssh", "keygen", "-f", &file, "-C", "anna on a phone"];
    let mut laptop = alone(&place, &words);
    let code = laptop.begins("FIDO:/");
    let phone = place.phone(&code, VOUCHES_FOR_NOTHING);
    let laptop = laptop.end().succeeded();
    phone.end().succeeded();
    in_order(&laptop, &["Scan this code", "Connected", "Follow the steps", "The key is in "]);
    assert_eq!(laptop.out, [std::fs::read_to_string(format!("{file}.pub")).unwrap().trim_end()]);
    openssh_reads(&file, "anna on a phone");
    assert_eq!(named(&place, "id"), 2);
    let [passkey] = &place.listed()[..] else { panic!("{:?}", place.listed()) };
    assert_eq!((&passkey["rpId"], &passkey["state"]), (&"ssh:".into(), &"delivered".into()));

    // What is there stays, and nobody is asked for a phone.
    let before = std::fs::read(&file).unwrap();
    let (error, hint) = alone(&place, &words).end().failed(2);
    assert!(error.ends_with("id is there already"), "{error}");
    assert!(hint.contains("--force"), "{hint}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // Two keys for one application: neither takes the place of the other on the phone.
    let mut laptop = alone(&place, &[&words[..], &["--force"]].concat());
    let code = laptop.begins("FIDO:/");
    let phone = place.phone(&code, VOUCHES_FOR_NOTHING);
    laptop.end().succeeded();
    phone.end().succeeded();
    assert_ne!(std::fs::read(&file).unwrap(), before);
    openssh_reads(&file, "anna on a phone");
    assert_eq!((place.listed().len(), named(&place, "id")), (2, 2));
    assert!(place.is_quiet());
}

#[test]
fn an_old_key_is_lost_to_a_new_pair_only() {
    let laptop = Laptop::start();
    let folder = laptop.place.path("keys");
    let file = format!("{folder}/id");
    let public = format!("{file}.pub");
    // What cannot be replaced is known before anybody looks for the phone.
    std::fs::create_dir_all(&public).unwrap();
    for words in [["-f", &file], ["-f", &folder]] {
        let all = [&["ssh", "keygen", "--force"][..], &words].concat();
        let (error, _) = laptop.command(&all).end().failed(2);
        assert!(error.ends_with("is no file"), "{error}");
    }
    std::fs::remove_dir(&public).unwrap();
    std::fs::write(&file, "old").unwrap();
    let mut asking = laptop.command(&["ssh", "keygen", "--force", "-f", &file, "--qr", "url"]);
    let code = asking.begins("FIDO:/");
    std::fs::create_dir(&public).unwrap();
    let phone = laptop.place.phone(&code, VOUCHES_FOR_NOTHING);
    asking.end().failed(9);
    phone.end().succeeded();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
}

#[test]
fn a_link_to_nothing_stays_one() {
    let place = Place::new();
    let link = place.path("mapping");
    std::os::unix::fs::symlink(place.path("nowhere"), &link).unwrap();
    let (error, _) =
        alone(&place, &["pam", "enroll", "--user", "anna", "--file", &link]).end().failed(2);
    assert!(error.ends_with("is a link to nothing"), "{error}");
    assert!(Path::new(&link).is_symlink());
}

#[test]
fn ssh_gets_a_key_pair_through_the_daemon() {
    let laptop = Laptop::start();
    let file = laptop.place.path("id");
    let mut watcher = laptop.command(&["watch", "--qr", "url"]);
    watcher.begins("Watching");
    let words = ["ssh", "keygen", "-f", &file, "-C", "c", "--application", "ssh:work", "--json"];
    let more = ["--resident", "--verify-required", "--qr", "url"];
    let asking = laptop.command(&[&words[..], &more].concat());
    watcher.begins("A program wants to save a passkey for ssh:work, account openssh.");
    let code = watcher.begins("FIDO:/");
    let phone = laptop.place.phone(&code, VOUCHES_FOR_NOTHING);
    let ended = asking.end().succeeded();
    phone.end().succeeded();
    watcher.begins("Done.");
    openssh_reads(&file, "c");
    let [line] = &ended.out[..] else { panic!("{ended:#?}") };
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["event"], &told["rpId"]), (&"ssh-key".into(), &"ssh:work".into()));
    let public = std::fs::read_to_string(format!("{file}.pub")).unwrap();
    assert_eq!(
        (told["publicKey"].as_str(), told["file"].as_str()),
        (Some(public.trim_end()), Some(&file[..]))
    );
    let [receipt] = &laptop.receipts()[..] else { panic!("{:?}", laptop.receipts()) };
    assert!(receipt["takenAt"].is_u64(), "{receipt}");
    assert_eq!(receipt["credentialId"], told["credentialId"]);
}

#[test]
fn what_cannot_be_written_is_an_open_receipt() {
    let laptop = Laptop::start();
    let folder = laptop.place.path("keys");
    std::fs::create_dir(&folder).unwrap();
    let file = format!("{folder}/id");
    let mut asking = laptop.command(&["ssh", "keygen", "-f", &file, "--qr", "url"]);
    let code = asking.begins("FIDO:/");
    // Somebody else is quicker with the second file.
    std::fs::write(format!("{file}.pub"), "theirs").unwrap();
    let phone = laptop.place.phone(&code, VOUCHES_FOR_NOTHING);
    let (error, hint) = asking.end().failed(9);
    phone.end().succeeded();
    assert!(
        error.starts_with("cannot write ") && hint.contains("cabled receipts"),
        "{error} {hint}"
    );
    assert!(!Path::new(&file).exists());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(format!("{file}.pub")).unwrap(), "theirs");
    assert!(laptop.receipts()[0]["takenAt"].is_null());
}

#[test]
fn ctrl_c_makes_nothing() {
    let laptop = Laptop::start();
    let file = laptop.place.path("id");
    let mut there = laptop.command(&["ssh", "keygen", "-f", &file, "--qr", "url"]);
    there.begins("FIDO:/");
    there.signal("INT");
    there.end().failed(130);
    let mut here = alone(&laptop.place, &["pam", "enroll", "--user", "anna"]);
    here.begins("FIDO:/");
    here.signal("INT");
    here.end().failed(130);
    assert_eq!((named(&laptop.place, "id"), laptop.receipts().len()), (0, 0));
}

#[test]
fn pam_gets_a_line_and_those_of_one_user_are_joined() {
    let laptop = Laptop::start();
    let mut asking = laptop.command(&["pam", "enroll", "--user", "anna", "--qr", "url"]);
    let code = asking.begins("FIDO:/");
    let phone = laptop.place.phone(&code, VOUCHES_FOR_NOTHING);
    let first = asking.end().succeeded();
    phone.end().succeeded();
    let [first] = &first.out[..] else { panic!("{first:#?}") };
    assert!(first.starts_with("anna:") && first.ends_with(",es256,+presence"), "{first}");

    let file = laptop.place.path("mapping");
    let text = format!("# who may log in\n{first}\nberta:x\n");
    std::fs::write(&file, &text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let link = laptop.place.path("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let words = ["pam", "enroll", "--user", "anna", "--file", &link, "--verify-required"];
    let mut asking =
        alone(&laptop.place, &[&words[..], &["--origin", "pam://else", "--json"]].concat());
    let code = asking.begins("FIDO:/");
    let phone = laptop.place.phone(&code, VOUCHES_FOR_NOTHING);
    let ended = asking.end().succeeded();
    phone.end().succeeded();
    let told: Value = serde_json::from_str(&ended.out[0]).unwrap();
    let second = told["mapping"].as_str().unwrap().strip_prefix("anna:").unwrap();
    assert!(second.ends_with(",es256,+presence+verification"), "{second}");
    assert_eq!(
        (told["event"].as_str(), told["rpId"].as_str()),
        (Some("pam-mapping"), Some("pam://else"))
    );
    let wanted = format!("# who may log in\n{first}:{second}\nberta:x\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), wanted);
    assert_eq!((mode(&file), named(&laptop.place, "mapping")), (0o640, 1));
    assert!(Path::new(&link).is_symlink());
    let sites: Vec<_> = laptop.place.listed().iter().map(|one| one["rpId"].clone()).collect();
    assert!(sites.len() == 2 && sites.contains(&"pam://else".into()), "{sites:?}");
}

#[test]
fn what_is_wrong_is_said_before_a_phone_is_fetched() {
    let place = Place::new();
    let file = place.path("id");
    for (words, said) in [
        (&["ssh", "keygen", "-f", &file, "--application", "web:x"][..], "no application of ssh"),
        (&["ssh", "keygen", "-f", &file, "--application", "ssh:a b"], "no application of ssh"),
        (&["ssh", "keygen", "-f", &file, "-C", "a\nb"], "the comment is no line"),
        (&["pam", "enroll", "--user", "a:b"], "no name of a user"),
        (&["pam", "enroll", "--user", "a", "--origin", "a b"], "is no origin"),
        (&["pam", "enroll", "--user", "a", "--file", "/"], "is no file"),
    ] {
        let (error, _) = alone(&place, words).end().failed(2);
        assert!(error.contains(said), "{error}");
    }
    let nowhere = place.path("none/id");
    let (error, _) = alone(&place, &["ssh", "keygen", "-f", &nowhere]).end().failed(9);
    assert!(error.starts_with("cannot write "), "{error}");
    assert_eq!(named(&place, "id"), 0);
}
