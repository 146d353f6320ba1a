//! `cabled phone open`: nothing happens before the user has said what they see.

use std::net::TcpListener;

use cabled::hybrid::PrivateKey;
use cabled::hybrid::keys::QrSecret;
use cabled::hybrid::qr::{Hint, QrContents};
use cabled::secret::Secret;

use crate::program::run;
use crate::terminal::OnTerminal;

fn link(shown_at: Option<u64>) -> String {
    let key = PrivateKey::from_scalar(&Secret::new([1; 32])).unwrap();
    let contents = QrContents {
        identity: *key.public(),
        secret: QrSecret::new([2; 16]),
        known_services: 2,
        shown_at,
        wants_linking: None,
        hint: Some(Hint::GetAssertion),
        channels: None,
        grease: None,
    };
    contents.encode().replace("FIDO:/", "fido:/")
}

#[test]
fn a_link_is_not_followed_without_a_clear_yes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, air) = (folder.path().join("store"), folder.path().join("air"));
    std::fs::create_dir(&air).unwrap();
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    relay.set_nonblocking(true).unwrap();
    let places = format!(
        "--store {} --radio air:{} --relay ws://{}",
        store.display(),
        air.display(),
        relay.local_addr().unwrap()
    );
    for answer in ["\r", "n\r", "perhaps\rno\r", "\x04"] {
        let mut program = OnTerminal::start(&format!("phone open {} {places}", link(None)));
        program.until("do you see the code there? [y/N] ");
        for text in ["You opened a link. You did not scan a code.", "sign in", "signed in as you"] {
            assert!(program.seen.contains(text), "{}", program.seen);
        }
        let (first, second) = answer.split_once('\r').unwrap_or((answer, ""));
        program.types(first);
        if answer.contains('\r') {
            program.types("\r");
        }
        if !second.is_empty() {
            // What was typed before it is asked again is thrown away.
            program.seen.clear();
            program.until("[y/N] ");
            program.types(second);
        }
        let (status, seen) = program.end();
        assert_eq!(status, Some(6), "{answer:?}: {seen}");
        assert!(seen.contains("the link was not followed; nothing was sent"), "{seen}");
        assert!(!store.exists() && relay.accept().is_err());
        assert_eq!(std::fs::read_dir(&air).unwrap().count(), 0, "nothing was advertised");
    }
    // Yes goes on to the next question, which is for a new PIN.
    let mut program = OnTerminal::start(&format!("phone open {} {places}", link(None)));
    program.until("[y/N] ");
    program.types("y\r");
    program.until("PIN");
}

#[test]
fn a_link_has_nobody_to_say_yes_beforehand() {
    let (error, hint) = run(&["phone", "open", &link(None)]).failed(2);
    assert!(error.contains("only after asking you"), "{error}");
    assert!(hint.contains("scan --screen"), "{hint}");
    for option in ["--yes", "--auto-approve"] {
        let (error, _) = run(&["phone", "open", &link(None), option]).failed(2);
        assert!(error.contains("unexpected argument"), "{error}");
    }
    run(&["phone", "open", &link(Some(1_000_000))]).failed(4);
    run(&["phone", "open", "https://contoso.example"]).failed(2);
    run(&["phone", "open", "-"]).failed(2);
}
