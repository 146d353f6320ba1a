//! The stock OpenSSH with our security-key provider: no HID device anywhere, a key from a phone, a login to a real sshd.
//!
//! Needs OpenSSH's server and the library: `tests/run ssh`.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use cabled::cli::qr::{Glyphs, terminal};

use crate::daemon::Laptop;
use crate::linked;
use crate::program::{Ended, Program, alone};
use crate::three::Place;

const SSHD: &str = "/usr/sbin/sshd";

/// Where cargo puts it; the suite builds it.
fn library() -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cabled"));
    let library = program.with_file_name("libcabled_sk_provider.so");
    assert!(library.exists(), "cargo build --workspace makes {}", library.display());
    library.to_str().unwrap().to_owned()
}

/// A script with the daemon's socket and no terminal.
fn script(place: &Place, text: &str) -> Command {
    let mut command = alone(Command::new("setsid"));
    command.args(["--wait", "sh", "-euc", text]).current_dir(place.folder.path());
    command.env("PROVIDER", library()).env("CABLED_DAEMON_SOCKET", place.path("run/laptop.sock"));
    command.env_remove("SSH_AUTH_SOCK").env_remove("SSH_ASKPASS").env_remove("DISPLAY");
    command
}

const KEYGEN: &str = "ssh-keygen -q -t ecdsa-sk -w \"$PROVIDER\" -f id -N '' -C anna";

/// A real sshd, of whoever runs the tests, without a port: ssh starts it for each login.
const SERVER: &str = r#"
    serve() {
        [ -e host ] || ssh-keygen -q -t ed25519 -N '' -f host
        [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
        echo "$1 $(cat id.pub)" >authorized
        printf '%s\n' "HostKey $PWD/host" "AuthorizedKeysFile $PWD/authorized" 'StrictModes no' 'UsePAM no' \
            'PermitRootLogin yes' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' >sshd_config
    }
    log_in() {
        ssh -F none -o ProxyCommand="/usr/sbin/sshd -i -f $PWD/sshd_config" -o IdentitiesOnly=yes -o BatchMode=yes \
            -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$@" \
            "$(id -un)@nowhere" echo logged in
    }
"#;

fn log_in(place: &Place, options: &str) -> Program {
    let with = "-i id -o SecurityKeyProvider=\"$PROVIDER\"";
    Program::of(script(place, &format!("{SERVER} serve '{options}'; log_in {with}")))
}

/// A watcher, which sees the codes.
fn watcher(laptop: &Laptop) -> Program {
    let mut watcher = laptop.command(&["watch", "--qr", "url"]);
    watcher.begins("Watching");
    watcher
}

/// A phone that agrees answers the next code.
fn answered(laptop: &Laptop, watcher: &mut Program, phone: &[&str]) {
    let code = watcher.begins("FIDO:/");
    laptop.place.phone(&code, phone).end().succeeded();
}

fn refused(ended: &Ended, why: &str) {
    assert!(!ended.status.success(), "{ended:#?}");
    assert!(
        ended.err.iter().any(|line| line.starts_with("cabled: ") && line.contains(why)),
        "{ended:#?}"
    );
    assert!(!ended.out.contains(&"logged in".to_owned()), "{ended:#?}");
}

/// Makes a key with this phone.
fn makes(laptop: &Laptop, watcher: &mut Program, more: &str, phone: &[&str]) -> Ended {
    let keygen = Program::of(script(&laptop.place, &format!("{KEYGEN} {more}")));
    watcher.begins("A program wants to save a passkey for ssh:");
    answered(laptop, watcher, phone);
    keygen.end().succeeded()
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn a_key_is_made_and_logs_in_whatever_the_phone_vouches_for() {
    assert!(std::path::Path::new(SSHD).exists(), "the Debian package openssh-server has {SSHD}");
    for mode in ["none", "self", "certificate"] {
        let laptop = Laptop::start();
        let mut watcher = watcher(&laptop);
        let told =
            makes(&laptop, &mut watcher, "-O write-attestation=vouched", &["--attestation", mode]);
        assert!(told.err.iter().any(|line| line.contains("`cabled watch`")), "{told:#?}");
        watcher.begins("Done.");
        let public = std::fs::read_to_string(laptop.place.path("id.pub")).unwrap();
        assert!(public.starts_with("sk-ecdsa-sha2-nistp256@openssh.com AAAA"), "{public}");
        // What ssh-keygen writes of it: a certificate, a signature and the authenticator data, each behind its length.
        let vouched = std::fs::read(laptop.place.path("vouched")).unwrap();
        let mut rest = &vouched[..];
        let mut next = || {
            let (len, after) = rest.split_first_chunk::<4>().unwrap();
            let (string, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            rest = after;
            string.len()
        };
        assert_eq!(next(), "ssh-sk-attest-v01".len());
        let (certificate, signature, data) = (next() > 0, next() > 0, next());
        assert_eq!((certificate, signature), (mode == "certificate", mode != "none"), "{mode}");
        assert!(data > 37 + 16 + 2 + 64, "{data}");
        // The program took it, and no phone has an orphan.
        assert!(laptop.receipts()[0]["takenAt"].is_u64(), "{:?}", laptop.receipts());
        for _ in 0..2 {
            let login = log_in(&laptop.place, "");
            answered(&laptop, &mut watcher, &[]);
            assert_eq!(login.end().succeeded().out, ["logged in"]);
        }
    }
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn two_keys_do_not_take_each_others_place_and_a_strange_phone_opens_nothing() {
    let laptop = Laptop::start();
    let mut watcher = watcher(&laptop);
    for name in ["first", "second"] {
        makes(&laptop, &mut watcher, "", &[]);
        for suffix in ["", ".pub"] {
            let from = laptop.place.path(&format!("id{suffix}"));
            std::fs::rename(from, laptop.place.path(&format!("{name}{suffix}"))).unwrap();
        }
    }
    assert_eq!(laptop.place.listed().len(), 2);
    for suffix in ["", ".pub"] {
        let to = laptop.place.path(&format!("id{suffix}"));
        std::fs::rename(laptop.place.path(&format!("first{suffix}")), to).unwrap();
    }
    let login = log_in(&laptop.place, "");
    answered(&laptop, &mut watcher, &[]);
    login.end().succeeded();
    // A phone of somebody else, which has other passkeys.
    let login = log_in(&laptop.place, "");
    let code = watcher.begins("FIDO:/");
    let other = laptop.place.path("other");
    let pin = laptop.place.path("pin");
    let radio = laptop.place.radio();
    let words = ["phone", "scan", &code, "--radio", &radio, "--relay", &laptop.place.url];
    let more = ["--store", &other, "--pin-file", &pin, "--auto-approve", "--any-age"];
    let phone = Program::start(&[&words[..], &more].concat());
    refused(&login.end(), "use the phone that made it");
    phone.end();
    // The other key's public half lets the first one's private half in nowhere.
    std::fs::copy(laptop.place.path("second.pub"), laptop.place.path("id.pub")).unwrap();
    let ended = Program::of(script(
        &laptop.place,
        &format!("{SERVER} serve ''; rm id.pub; log_in -i id -o SecurityKeyProvider=\"$PROVIDER\""),
    ))
    .end();
    assert_eq!((ended.status.success(), &ended.out[..]), (false, &[][..]));
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn servers_and_keys_can_ask_that_somebody_is_verified() {
    let laptop = Laptop::start();
    let mut watcher = watcher(&laptop);
    makes(&laptop, &mut watcher, "-O verify-required -O resident -O user=anna", &[]);
    let [passkey] = &laptop.place.listed()[..] else { panic!("{:?}", laptop.place.listed()) };
    assert_eq!(passkey["rpId"], "ssh:");
    let login = log_in(&laptop.place, "verify-required");
    answered(&laptop, &mut watcher, &[]);
    assert_eq!(login.end().succeeded().out, ["logged in"]);
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn whoever_declines_or_goes_away_makes_nothing() {
    let laptop = Laptop::start();
    let mut watcher = watcher(&laptop);
    let _service = linked::service(&laptop.place, &[]);
    let phone = |words: &[&str]| linked::phones_command(&laptop.place, words);
    let keygen = Program::of(script(&laptop.place, KEYGEN));
    let code = watcher.begins("FIDO:/");
    let mut scan = phone(&["scan", &code, "--any-age"]);
    scan.begins("Answer with: ");
    phone(&["decline"]).end().succeeded();
    refused(&keygen.end(), "the phone refused");
    scan.end();
    // Ctrl-C: the code goes, and the daemon knows.
    let mut command = Command::new("sh");
    let asked = script(&laptop.place, KEYGEN);
    command.args(["-euc", KEYGEN]).current_dir(laptop.place.folder.path()).process_group(0);
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let keygen = Program::reading(command, Stdio::null());
    watcher.begins("FIDO:/");
    keygen.signal_all("INT");
    watcher.begins("It came to nothing");
    assert!(!keygen.end().status.success());
    assert!(!std::path::Path::new(&laptop.place.path("id")).exists());
    assert_eq!((laptop.receipts().len(), laptop.place.is_quiet()), (0, true));
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn a_phone_that_is_remembered_is_rung_without_a_code() {
    let place = Place::new();
    let mut phone = linked::phone(&place);
    linked::remembers(&place, &mut phone);
    let _daemon = linked::daemon(&place);
    let keygen = Program::of(script(&place, &format!("{KEYGEN} 2>&1"))).end().succeeded();
    assert!(keygen.out.iter().any(|line| line.contains("Your phone is asked")), "{keygen:#?}");
    assert!(!keygen.out.iter().any(|line| line.contains("Scan")), "{keygen:#?}");
    assert_eq!(log_in(&place, "").end().succeeded().out, ["logged in"]);
    // By its name, and by one that no phone has.
    let named = "rm id id.pub; ssh-keygen -q -t ecdsa-sk -w \"$PROVIDER\" -f id -N '' -O device=";
    Program::of(script(&place, &format!("{named}\"Anna's phone\""))).end().succeeded();
    let nobody = Program::of(script(&place, &format!("{named}Berta"))).end();
    refused(&nobody, "Berta");
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn an_agent_signs_with_it_too() {
    let laptop = Laptop::start();
    let mut watcher = watcher(&laptop);
    makes(&laptop, &mut watcher, "", &[]);
    let text = format!(
        "{SERVER} serve ''
        eval \"$(ssh-agent -P \"$(realpath \"$PROVIDER\")\" -s)\" >told
        trap 'ssh-agent -k >told' EXIT
        ssh-add -q -S \"$(realpath \"$PROVIDER\")\" id
        rm id
        log_in -i id.pub"
    );
    let login = Program::of(script(&laptop.place, &text));
    answered(&laptop, &mut watcher, &[]);
    assert_eq!(login.end().succeeded().out, ["logged in"]);
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn what_cannot_be_done_is_told_with_the_way_out() {
    let place = Place::new();
    let keygen = |text: &str| Program::of(script(&place, text)).end();
    refused(&keygen(KEYGEN), "start it with: cabled daemon");
    refused(
        &keygen(&format!("unset CABLED_DAEMON_SOCKET; {KEYGEN}")),
        "XDG_RUNTIME_DIR is not set",
    );
    refused(&keygen("ssh-keygen -q -t ed25519-sk -w \"$PROVIDER\" -f id -N ''"), "use -t ecdsa-sk");
    refused(
        &keygen("SSH_ASKPASS=true SSH_ASKPASS_REQUIRE=force ssh-keygen -K -w \"$PROVIDER\""),
        "does not tell",
    );
    assert!(!std::path::Path::new(&place.path("id")).exists());
}

#[test]
#[ignore = "needs OpenSSH's server: tests/run ssh"]
fn whoever_has_a_terminal_sees_the_code_there() {
    let laptop = Laptop::start();
    let mut watcher = watcher(&laptop);
    let mut command = Command::new("script");
    let asked = script(&laptop.place, KEYGEN);
    command.args(["--quiet", "--return", "--command", KEYGEN, "/dev/null"]);
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LC_ALL", "C.UTF-8").current_dir(laptop.place.folder.path());
    let mut keygen = Program::of(command);
    let code = watcher.begins("FIDO:/");
    keygen.says(|line| line.contains("Scan this code with your phone's camera."));
    let wanted = terminal(&code, Glyphs::HalfBlocks).unwrap();
    let wanted: Vec<_> = wanted.lines().map(bare).collect();
    for line in &wanted {
        let seen = keygen.says(|_| true);
        assert_eq!(bare(seen.trim_end_matches('\r')), *line);
    }
    assert!(wanted.len() > 20);
    laptop.place.phone(&code, &[]).end().succeeded();
    keygen.end().succeeded();
}

/// Without the colours.
fn bare(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').unwrap().1)
}
