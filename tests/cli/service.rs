//! `cabled phone run` and the commands that speak to it, as real programs.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Ended, Program, binary, run};
use crate::world::PATIENCE;

const PIN: &str = "2468 right";

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        home.pin("pin", PIN);
        home.pin("wrong", "1357 wrong");
        home
    }

    fn pin(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let (socket, store) = (self.path("run/phone.sock"), self.path("store"));
        let place = ["--socket", socket.as_str(), "--store", store.as_str()];
        let words = ["phone"].iter().chain(words).chain(&place);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn phone(&self, words: &[&str]) -> Ended {
        run(&self.arguments(words))
    }

    /// The service, serving, and the socket on which it tells how far it is.
    fn serve(&self, words: &[&str]) -> (Program, UnixDatagram) {
        let notices = self.path("notices");
        let _none_before = std::fs::remove_file(&notices);
        let heard = UnixDatagram::bind(&notices).unwrap();
        heard.set_read_timeout(Some(PATIENCE)).unwrap();
        let radio = format!("air:{}", self.path("air"));
        let common = ["run", "--json", "--radio", &radio, "--relay", "ws://127.0.0.1:1"];
        let words: Vec<_> = common.iter().chain(words).copied().collect();
        let mut command = binary();
        command.args(self.arguments(&words)).env("NOTIFY_SOCKET", &notices);
        let mut service = Program::of(command);
        service.says(|line| line.contains("\"serving\""));
        assert_eq!(notice(&heard), "READY=1");
        (service, heard)
    }
}

fn notice(heard: &UnixDatagram) -> String {
    let mut bytes = [0; 64];
    let count = heard.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

fn result(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.last().unwrap()).unwrap()
}

#[test]
fn a_service_is_asked_locked_unlocked_and_ended_in_order() {
    let home = Home::new();
    let (service, heard) = home.serve(&["--pin-file", &home.path("pin")]);
    let pending = result(&home.phone(&["pending", "--json"]).succeeded());
    assert_eq!(pending["questions"], serde_json::json!([]));
    let (error, hint) = home.phone(&["decline"]).failed(2);
    assert!(error.contains("no such question") && hint.contains("pending"), "{error} {hint}");
    let (error, _) = home.phone(&["scan", "FIDO:/123"]).failed(2);
    assert!(error.contains("do not hold"), "{error}");
    home.phone(&["lock"]).succeeded();
    for words in [
        &["passkeys", "list"][..],
        &["pin", "--pin-file", &home.path("pin"), "--new-pin-file", &home.path("wrong")],
    ] {
        let (error, hint) = home.phone(words).failed(8);
        assert!(error.contains("locked") && hint == "cabled phone unlock", "{error} {hint}");
    }
    let (error, _) = home.phone(&["unlock", "--pin-file", &home.path("wrong")]).failed(8);
    assert!(error.contains("7 more tries"), "{error}");
    home.phone(&["unlock", "--pin-file", &home.path("pin")]).succeeded();
    // The second service goes without asking for anything.
    let (error, hint) = home.phone(&["run"]).failed(2);
    assert!(error.contains("runs already") && hint.contains("--socket"), "{error} {hint}");
    service.signal("TERM");
    assert_eq!(notice(&heard), "STOPPING=1");
    let ended = service.end().succeeded();
    assert!(ended.out.last().unwrap().contains("\"stopped\""), "{ended:?}");
    let (error, hint) = home.phone(&["pending"]).failed(2);
    assert!(error.contains("no service of cabled runs") && hint.contains("phone run"), "{error}");
}

#[test]
fn a_killed_service_leaves_nothing_that_stops_the_next_one() {
    let home = Home::new();
    let (service, _) = home.serve(&["--pin-file", &home.path("pin")]);
    service.signal("KILL");
    service.end();
    assert!(std::path::Path::new(&home.path("run/phone.sock")).exists());
    let (service, _) = home.serve(&["--locked"]);
    home.phone(&["unlock", "--pin-file", &home.path("pin")]).succeeded();
    service.signal("INT");
    service.end().succeeded();
}
