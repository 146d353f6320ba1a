//! The radio of one machine for another: two machines on one host, each with folders of its own, and a phone on
//! the simulated air of the one that has a radio.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cabled::cli::relying_party::Account;
use serde_json::{Value, json};

use crate::program::{Ended, Program, alone, binary};
use crate::three::{Place, in_order};
use crate::world::{ORIGIN, PATIENCE, inner, site};

const SSHD: &str = "/usr/sbin/sshd";
const ELSEWHERE: &str = "note: the radio of another machine listens";

/// Both machines.
struct Two(Place);

impl Two {
    fn new() -> Self {
        Self(Place::new())
    }

    /// Two machines of which one has the code of the other.
    fn paired() -> (Self, String) {
        let two = Self::new();
        let code = two.there(&["radio", "pair"]).end().succeeded().out[0].clone();
        let pairing = two.takes(&code).succeeded();
        in_order(&pairing, &["Paired as ", "note: with a shared radio, Bluetooth proves"]);
        (two, code)
    }

    fn folders(&self, machine: &str) -> [(&'static str, String); 2] {
        ["state", "run"].map(|name| {
            let variable = if name == "run" { "XDG_RUNTIME_DIR" } else { "XDG_STATE_HOME" };
            let folder = self.0.path(&format!("{machine}/{name}"));
            std::fs::create_dir_all(&folder).unwrap();
            (variable, folder)
        })
    }

    fn on(&self, machine: &str, words: &[&str]) -> Command {
        let mut command = binary();
        command.envs(self.folders(machine)).args(words);
        command
    }

    /// A command on the machine without a radio.
    fn there(&self, words: &[&str]) -> Program {
        Program::of(self.on("there", words))
    }

    /// A command on the one with the radio.
    fn here(&self, words: &[&str]) -> Program {
        Program::of(self.on("here", words))
    }

    fn takes(&self, code: &str) -> Ended {
        let (read, mut write) = std::io::pipe().unwrap();
        writeln!(write, "{code}").unwrap();
        drop(write);
        let command = self.on("here", &["radio", "pair", "--with-code"]);
        Program::reading(command, Stdio::from(read)).end()
    }

    /// What stands for ssh: the command with the other machine's folders. What it tells goes to a file.
    fn share_saying(&self, more: &[&str]) -> Program {
        let variables = self.folders("there").map(|(name, folder)| format!("{name}={folder}"));
        let script = format!(
            "echo Welcome. && exec env {} {} radio receive 2>>{}",
            variables.join(" "),
            env!("CARGO_BIN_EXE_cabled"),
            self.0.path("told-there"),
        );
        let radio = self.0.radio();
        let words = ["radio", "share", "--radio", &radio];
        self.here(&[&words[..], more, &["--", "sh", "-c", &script]].concat())
    }

    /// The same, up to where programs may listen.
    fn share(&self) -> Program {
        let mut share = self.share_saying(&[]);
        share.begins("The other machine can use this radio now");
        share
    }

    fn told_there(&self) -> String {
        std::fs::read_to_string(self.0.path("told-there")).unwrap()
    }

    /// A ceremony on the machine without a radio, up to the code.
    fn asks(&self, command: &str, options: &str, more: &[&str]) -> (Program, String) {
        let file = self.0.path("options.json");
        std::fs::write(&file, options).unwrap();
        let mut words = vec![command, "--options", &file, "--origin", ORIGIN, "--qr", "url"];
        words.extend(["--radio", "shared", "--relay", &self.0.url]);
        words.extend(more);
        let mut laptop = self.there(&words);
        let code = laptop.begins("FIDO:/");
        (laptop, code)
    }

    fn socket(&self) -> String {
        self.0.path("there/run/cabled/radio.sock")
    }

    fn gone(&self) {
        let pause = Duration::from_millis(10);
        let mut looks = PATIENCE.div_duration_f32(pause);
        while Path::new(&self.socket()).exists() {
            assert!(looks > 0.0, "the socket stays");
            std::thread::sleep(pause);
            looks -= 1.0;
        }
    }
}

/// The one child of a process.
fn child_of(parent: u32) -> u32 {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // Behind the name, which may have anything in it: the state, then the parent.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        rest.split(' ').nth(1).and_then(|id| id.parse().ok()) == Some(parent)
    };
    ids.find(is_child).unwrap()
}

#[test]
fn a_passkey_is_made_and_used_over_the_radio_of_another_machine() {
    let (two, _) = Two::paired();
    let mut share = two.share();
    assert!(two.0.is_quiet(), "nobody listens yet");
    let mut anna = site("anna");
    let (options, ceremony) = anna.begin_registration().unwrap();
    let (laptop, code) = two.asks("register", &inner(&options), &[]);
    share.begins("The other machine listens.");
    let phone = two.0.phone(&code, &[]);
    let ended = laptop.end().succeeded();
    in_order(&ended, &["Scan this code", ELSEWHERE, "Connected to your phone", "Passkey saved."]);
    anna.finish_registration(ceremony, &ended.out[0]).unwrap();
    phone.end().succeeded();
    share.begins("The other machine has stopped to listen.");
    assert!(two.0.is_quiet(), "the radio rests");

    let (options, ceremony) = anna.begin_sign_in(Account::FromPasskey).unwrap();
    let (laptop, code) = two.asks("sign-in", &inner(&options), &[]);
    let phone = two.0.phone(&code, &[]);
    anna.finish_sign_in(ceremony, &laptop.end().succeeded().out[0]).unwrap();
    phone.end().succeeded();

    // The receipt says how near the phone was, in both forms.
    let receipts = two.there(&["receipts", "list", "--json"]).end().succeeded();
    let receipts: Value = serde_json::from_str(&receipts.out[0]).unwrap();
    assert_eq!(receipts["receipts"][0]["proximity"], "shared", "{receipts}");
    let told = two.there(&["receipts", "explain", "1"]).end().succeeded();
    assert!(told.out.iter().any(|line| line.contains("near another machine")), "{told:#?}");

    share.signal("INT");
    share.end().succeeded();
    two.gone();
    assert_eq!(two.told_there(), "", "an end in order is no failure");
}

#[test]
fn a_daemon_with_a_shared_radio_says_so_wherever_it_shows_a_code() {
    let (two, _) = Two::paired();
    let _share = two.share();
    let words = ["daemon", "--json", "--radio", "shared", "--relay", &two.0.url];
    let mut daemon = two.there(&words);
    let serving = daemon.says(|line| line.contains("\"serving\""));
    let serving: Value = serde_json::from_str(&serving).unwrap();
    assert_eq!(serving["proximity"], "shared", "{serving}");
    let mut watcher = two.there(&["watch", "--qr", "url"]);
    watcher.begins("Watching");
    let words = ["register", "--rp-id", "passkeys.example", "--user", "anna", "--json"];
    let mut laptop = two.there(&words);
    let listening = laptop.tells(|line| line.contains("\"listening\""));
    let listening: Value = serde_json::from_str(&listening).unwrap();
    assert_eq!(listening["proximity"], "shared", "{listening}");
    let code = watcher.begins("FIDO:/");
    watcher.begins(ELSEWHERE);
    two.0.phone(&code, &[]).end().succeeded();
    laptop.end().succeeded();
}

#[test]
fn a_share_that_is_killed_in_the_middle_and_started_again_loses_no_ceremony() {
    let (two, _) = Two::paired();
    let first = two.share();
    let mut anna = site("anna");
    let (options, ceremony) = anna.begin_registration().unwrap();
    let (mut laptop, code) = two.asks("register", &inner(&options), &[]);
    laptop.begins("Scan this code");
    first.signal("KILL");
    drop(first.end());
    two.gone();
    let mut second = two.share();
    let phone = two.0.phone(&code, &[]);
    second.begins("The other machine listens.");
    let ended = laptop.end().succeeded();
    anna.finish_registration(ceremony, &ended.out[0]).unwrap();
    phone.end().succeeded();
}

#[test]
fn a_command_that_ends_is_started_again() {
    let (two, _) = Two::paired();
    let mut share = two.share();
    let kill = format!("kill -KILL {}", child_of(share.id()));
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let lost = share.begins("the connection to the other machine ended");
    assert!(lost.ends_with("; trying again in 1 s."), "{lost}");
    share.begins("The other machine can use this radio now");
    share.signal("TERM");
    share.end().succeeded();
    two.gone();
}

#[test]
fn machines_of_different_pairings_part_and_say_what_to_do_on_both() {
    let (two, old) = Two::paired();
    two.there(&["radio", "unpair"]).end().succeeded();
    let new = two.there(&["radio", "pair"]).end().succeeded().out[0].clone();
    assert_ne!(old, new);
    let (error, hint) = two.share_saying(&["--quiet"]).end().failed(6);
    assert_eq!(error, "this machine is not paired with the other one");
    assert!(hint.contains("cabled radio pair --with-code"), "{hint}");
    let there = two.told_there();
    assert!(
        there.contains("error: the other machine does not know this pairing\nhint: pair again"),
        "{there}"
    );
    two.takes(&new).succeeded();
    two.share();
}

#[test]
fn a_machine_that_is_not_paired_does_not_begin() {
    let two = Two::new();
    let (error, hint) = two.share_saying(&[]).end().failed(2);
    assert_eq!(error, "this machine has not taken a pairing");
    assert!(hint.contains("--with-code"), "{hint}");
    assert_eq!(two.takes("abcde-fghij").failed(2).0, "this is not the code of a pairing");
    let code = two.there(&["radio", "pair"]).end().succeeded().out[0].clone();
    two.takes(&code.to_uppercase().replace('-', " ")).succeeded();
    let (error, hint) = two.there(&["radio", "pair"]).end().failed(2);
    assert!(error.contains("already") && hint.contains("cabled radio unpair"), "{error} {hint}");
    // The other end forgets: what never comes about is not tried again and again.
    two.there(&["radio", "unpair"]).end().succeeded();
    let (error, _) = two.share_saying(&["--quiet"]).end().failed(5);
    assert_eq!(error, "the connection to the other machine ended");
    assert!(two.told_there().contains("cabled radio pair"), "{}", two.told_there());
}

#[test]
fn keys_are_their_owners_and_are_forgotten() {
    let (two, code) = Two::paired();
    for file in ["there/state/cabled/radio-own.key", "here/state/cabled/radio-others.keys"] {
        let mode = std::fs::metadata(two.0.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(two.0.path(file), open).unwrap();
    }
    let (error, _) = two.share_saying(&[]).end().failed(9);
    assert!(error.contains("can be used by others"), "{error}");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(two.0.path("here/state/cabled/radio-others.keys"), private).unwrap();
    let again = two.takes(&code).succeeded();
    let name = again.err[0].strip_prefix("Paired as ").unwrap().get(..9).unwrap().to_owned();
    two.here(&["radio", "unpair", "0000-0000"]).end().failed(2);
    let gone = two.here(&["radio", "unpair", &name]).end().succeeded();
    assert!(gone.err[0].starts_with(&format!("The pairing {name} is forgotten")), "{gone:#?}");
    two.here(&["radio", "unpair"]).end().succeeded();
    two.share_saying(&[]).end().failed(2);
}

#[test]
fn nobody_shares() {
    let (two, _) = Two::paired();
    let words = ["register", "--rp-id", "a.example", "--radio", "shared", "--relay", &two.0.url];
    let (error, hint) = two.there(&words).end().failed(3);
    assert!(error.contains("no other machine shares its radio with this one"), "{error}");
    assert_eq!(hint, "run on the machine that has the radio: cabled radio share HOST");
    let mut lost = binary();
    lost.args(words);
    let (_, hint) = Program::of(lost).end().failed(3);
    assert!(hint.contains("XDG_RUNTIME_DIR"), "{hint}");
}

#[test]
fn what_a_shared_radio_cannot_do_is_refused() {
    let (two, _) = Two::paired();
    let shared = ["--radio", "shared", "--relay", &two.0.url];
    let offline = [&["register", "--rp-id", "a.example", "--offline"], &shared[..]].concat();
    let (error, hint) = two.there(&offline).end().failed(2);
    assert!(error.contains("only hears") && hint == "leave out --offline", "{error} {hint}");
    let share = ["radio", "share", "--radio", "shared", "nowhere"];
    let (error, _) = two.here(&share).end().failed(2);
    assert!(error.contains("cannot be shared on"), "{error}");
    // A simulated radio does not become a real one on the way.
    let _share = two.share();
    let public = ["register", "--rp-id", "a.example", "--radio", "shared"];
    let (error, _) = two.there(&public).end().failed(3);
    assert!(error.contains("is simulated"), "{error}");
}

#[test]
fn the_doctor_says_whose_radio_it_is() {
    let (two, _) = Two::paired();
    let words = ["doctor", "--radio", "shared", "--offline", "--proxy", "none", "--json"];
    let finding = |ended: Ended| {
        let lines = ended.out.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.into_iter().find(|line| line["area"] == "bluetooth").unwrap()
    };
    let alone = finding(two.there(&words).end());
    assert_eq!(alone["severity"], "problem", "{alone}");
    assert!(alone["fix"].as_str().unwrap().contains("cabled radio share"), "{alone}");
    let _share = two.share();
    let shared = finding(two.there(&words).end());
    assert_eq!(
        (&shared["severity"], &shared["evidence"]),
        (&json!("note"), &json!("proximity: shared"))
    );
}

#[test]
fn a_command_that_is_not_the_other_machine_is_told_of_and_a_host_is_no_option() {
    let (two, _) = Two::paired();
    let (error, hint) = two.here(&["radio", "share", "--", "echo", "hello"]).end().failed(5);
    assert_eq!(error, "the connection to the other machine ended");
    assert!(hint.contains("cabled --version"), "{hint}");
    let (error, _) = two.here(&["radio", "share", "--", "/nonexistent/ssh"]).end().failed(2);
    assert!(error.contains("cannot run /nonexistent/ssh"), "{error}");
    two.here(&["radio", "share", "-oProxyCommand=touch x"]).end().failed(2);
}

/// The same through the real ssh and sshd, whoever runs the tests, without a port.
#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn a_passkey_is_made_through_a_real_ssh() {
    assert!(Path::new(SSHD).exists(), "the Debian package openssh-server has {SSHD}");
    let (two, _) = Two::paired();
    let variables = two.folders("there").map(|(name, folder)| format!("{name}={folder}"));
    let script = format!(
        r#"
        [ -e host ] || ssh-keygen -q -t ed25519 -N '' -f host
        [ -e id ] || ssh-keygen -q -t ed25519 -N '' -f id
        [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
        cp id.pub authorized
        printf '%s\n' "HostKey $PWD/host" "AuthorizedKeysFile $PWD/authorized" 'StrictModes no' 'UsePAM no' \
            'PermitRootLogin yes' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' >sshd_config
        exec {program} radio share --radio {radio} -- ssh -T -F none -o ProxyCommand="/usr/sbin/sshd -i -f $PWD/sshd_config" \
            -i id -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
            -o LogLevel=ERROR "$(id -un)@nowhere" env {there} {program} radio receive
        "#,
        program = env!("CARGO_BIN_EXE_cabled"),
        radio = two.0.radio(),
        there = variables.join(" "),
    );
    let mut command = alone(Command::new("sh"));
    command.args(["-euc", &script]).current_dir(two.0.folder.path()).envs(two.folders("here"));
    command.env_remove("SSH_AUTH_SOCK").env_remove("SSH_ASKPASS").env_remove("DISPLAY");
    let mut share = Program::of(command);
    share.begins("The other machine can use this radio now");
    let mut anna = site("anna");
    let (options, ceremony) = anna.begin_registration().unwrap();
    let (laptop, code) = two.asks("register", &inner(&options), &[]);
    let phone = two.0.phone(&code, &[]);
    anna.finish_registration(ceremony, &laptop.end().succeeded().out[0]).unwrap();
    phone.end().succeeded();
    share.signal("INT");
    share.end().succeeded();
    two.gone();
}
