//! The laptop's key: the passkeys are on a phone nearby, over the real bluetoothd, and unmodified programs do
//! not know it. Each case runs with a code for every transaction, and without any: the phone is remembered.

use std::time::{Duration, Instant};

use crate::around::{LAPTOP, OWNER, Way};
use crate::browsers;
use crate::login::{LOG_IN, MACHINE, MAPPING, TERMINAL};
use crate::programs::{SSH, SSH_KEYGEN, SSHD};
use crate::world::{Key, REQUESTS, THOUGHT, forgets, is_full};

/// The cases under the names of the suites that run them.
macro_rules! cases {
    ($module:ident, $way:ident, $($case:ident)*) => {
        mod $module {
            use super::Way;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs Bluetooth and /dev/uhid: tests/run uhid linked"]
                async fn $case() {
                    super::$case(Way::$way).await;
                }
            )*
        }
    };
}

cases! { with_a_code, Code,
    libfido2_uses_the_phone
    ssh_makes_keys_on_the_phone_and_logs_in
    ssh_logs_in_with_a_key_made_elsewhere
    a_login_looks_for_the_passkey_first
    the_program_login_takes_the_phone
    programs_that_leave_and_owners_who_decline
    logins_that_leave_and_owners_who_decline
    one_waits_and_another_is_told_at_once
    a_daemon_that_is_killed_leaves_nobody_waiting
    pamu2fcfg_writes_the_mapping
    our_keygen_makes_keys_with_which_ssh_logs_in
    what_ssh_keygen_refuses_of_such_a_phone
    our_enrolling_lets_pam_u2f_log_in
    chromium_registers_and_signs_in
}

// On an emulated processor each of these takes minutes: `tests/run --full` alone runs them.
cases! { with_a_code_at_length, Code,
    programs_wait_for_an_owner_who_thinks
    firefox_registers_and_signs_in
}

cases! { linked, Link,
    libfido2_uses_the_phone
    ssh_makes_keys_on_the_phone_and_logs_in
    ssh_logs_in_with_a_key_made_elsewhere
    a_login_looks_for_the_passkey_first
    programs_that_leave_and_owners_who_decline
    logins_that_leave_and_owners_who_decline
    one_waits_and_another_is_told_at_once
    a_daemon_that_is_killed_leaves_nobody_waiting
    pamu2fcfg_writes_the_mapping
}

cases! { linked_at_length, Link,
    the_program_login_takes_the_phone
    programs_wait_for_an_owner_who_thinks
    chromium_registers_and_signs_in
    firefox_registers_and_signs_in
}

async fn libfido2_uses_the_phone(way: Way) {
    let mut key = Key::nearby(way, &["--auto-approve"]).await;
    key.script(&format!(
        "{REQUESTS}
        fido2-token -L | grep -q vendor=0xf1d0
        fido2-token -I \"$KEY\" | grep -q credProtect
        fido2-cred -M -i registration -o made \"$KEY\"
        fido2-cred -V -i made -o known
        tail -n +2 known >public.pem
        {{ random 32; echo passkeys.example; head -n 1 known; }} >sign-in
        : Nobody is asked for what is only a look.
        fido2-assert -G -t up=false -i sign-in -o looked \"$KEY\"
        fails fido2-assert -V -i looked public.pem es256
        fido2-assert -G -i sign-in -o signed \"$KEY\"
        fido2-assert -V -p -i signed public.pem es256
        : As if another laptop had made it.
        \"$CABLED\" receipts forget \"$(\"$CABLED\" receipts list | awk '/passkeys.example/ {{ print $1 }}')\"
        fido2-assert -G -i sign-in -o signed \"$KEY\"
        fido2-assert -V -p -i signed public.pem es256
        : One that no phone has.
        {{ random 32; echo passkeys.example; random 32; }} >strange
        fails fido2-assert -G -i strange -o nothing \"$KEY\"
        : What no phone can do fails at once.
        fails fido2-cred -M -h -i registration -o secret \"$KEY\"
        fails ssh-keygen -q -t ed25519-sk -N '' -f never"
    ));
    for words in ["A program wants to save a passkey for passkeys.example, account anna.", "Done."]
    {
        key.shows(words);
    }
    key.shows("A program wants to sign in to passkeys.example.");
    key.says("Refused: the program wants a secret");
    key.says("Refused: phones make keys of ECDSA with P-256 only");
    let receipts = key.script("\"$CABLED\" receipts list").out;
    assert!(!receipts.iter().any(|line| line.contains("orphan")), "{receipts:?}");
    key.keeps(1);
}

async fn ssh_makes_keys_on_the_phone_and_logs_in(way: Way) {
    let key = Key::nearby(way, &["--auto-approve"]).await;
    key.script(&format!("{SSH_KEYGEN}{SSHD}{SSH}"));
    let receipts = key.script("\"$CABLED\" receipts list").out;
    assert!(receipts.iter().filter(|line| line.contains("  ssh:  ")).count() == 2, "{receipts:?}");
    key.keeps(2);
}

async fn ssh_logs_in_with_a_key_made_elsewhere(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    let making = key.begin("umask 077; ssh-keygen -q -t ecdsa-sk -N '' -f id");
    let question = key.asks();
    key.owner(&["approve"]).succeeded();
    making.end().succeeded();
    key.script(&forgets("ssh:"));
    // Of two keys on the machine ssh looks first which of them has it, and the laptop does not know.
    let other = Key::new().await;
    let login = key.begin(&format!("{SSHD} log_in id; kill \"$(cat sshd.pid)\""));
    assert_eq!(key.asks(), question + 1);
    key.owner(&["approve"]).succeeded();
    assert_eq!(login.end().succeeded().out, ["logged in"]);
    // Somebody else's key was looked at, and asked nothing.
    let told = other.keeps(0);
    assert!(!told.iter().any(|line| line.contains("Did you start this?")), "{told:?}");
    // Once to make it, and once for the look: the signature came over the same connection.
    key.keeps_after(1, 2);
}

async fn a_login_looks_for_the_passkey_first(way: Way) {
    let key = Key::nearby(way, &["--auto-approve"]).await;
    let told = key.script(&format!(
        "{REQUESTS} {MACHINE} {MAPPING}
        maps anna
        echo \"anna:$handle,$public,es256,+presence\" >mapping
        {LOG_IN}
        : Now as if another laptop had made it: the phone is fetched for the look.
        \"$CABLED\" receipts forget \"$(\"$CABLED\" receipts list | awk '/pam:/ {{ print $1 }}')\"
        {LOG_IN}"
    ));
    let verdicts: Vec<_> =
        told.out.iter().filter(|line| ["in", "out"].contains(&line.as_str())).collect();
    assert_eq!(verdicts, ["in", "in"], "{told:?}");
    key.keeps(1);
}

async fn programs_that_leave_and_owners_who_decline(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    key.script(REQUESTS);
    let (mut question, mut patience) = (0, Patience::default());
    for (signal, program) in [
        ("INT", "exec ssh-keygen -q -t ecdsa-sk -N '' -f id"),
        ("KILL", "exec fido2-cred -M -r -i registration -o made \"$KEY\""),
    ] {
        question = withdraws(&mut key, signal, program);
        patience.was_tried();
    }
    let program = key.begin("fails ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    assert_eq!(key.asks(), question + 1);
    key.owner(&["decline"]).succeeded();
    // It would ask again here, if it took the answer for a mistyped PIN.
    program.end().succeeded();
    patience.was_tried();
    patience.lasts().await;
    let program = key.begin("ssh-keygen -q -t ecdsa-sk -N '' -f id; ssh-keygen -l -f id.pub");
    assert_eq!(key.asks(), question + 2);
    // The thinking itself is what the program has to bear.
    tokio::time::sleep(THOUGHT).await;
    key.owner(&["approve"]).succeeded();
    program.end().succeeded();
    // The same of signatures: what ssh-keygen signs, ssh signs too.
    let sign = "echo words >signed; rm -f signed.sig; ssh-keygen -q -Y sign -n file -f id signed";
    assert_eq!(withdraws(&mut key, "INT", sign), question + 3);
    patience.was_tried();
    patience.lasts().await;
    let program = key.begin(&format!("if {sign}; then exit 1; fi; [ ! -e signed.sig ]"));
    assert_eq!(key.asks(), question + 4);
    key.owner(&["decline"]).succeeded();
    program.end().succeeded();
    patience.was_tried();
    patience.lasts().await;
    let program = key.begin(&format!("{sign}; [ -s signed.sig ]"));
    assert_eq!(key.asks(), question + 5);
    key.owner(&["approve"]).succeeded();
    program.end().succeeded();
    key.keeps(1);
}

/// A phone that is remembered comes to three rings in 30 seconds to which nobody agrees, and to no more.
#[derive(Default)]
struct Patience(Vec<Instant>);

impl Patience {
    fn was_tried(&mut self) {
        self.0.push(Instant::now());
    }

    async fn lasts(&self) {
        if let [.., third, _, _] = self.0[..] {
            tokio::time::sleep_until((third + Duration::from_secs(32)).into()).await;
        }
    }
}

/// Begins a program, ends it so when the phone asks, and waits until the phone asks no more. Says how long
/// that took; gives the question's number.
fn withdraws(key: &mut Key, signal: &str, program: &str) -> u64 {
    let program = key.begin(program);
    let question = key.asks();
    let begun = Instant::now();
    program.signal_all(signal);
    key.says("The program does not wait any more.");
    let heard = begun.elapsed();
    key.tells(&format!("Question {question}: withdrawn"));
    println!(
        "measured: the key knows of SIG{signal} after {heard:?}, the phone after {:?}",
        begun.elapsed()
    );
    assert!(!program.end().status.success());
    question
}

/// Makes a passkey of Anna's, and pam_u2f's file of it; gives the number of the question.
fn anna_is_mapped(key: &mut Key) -> u64 {
    let making = key.begin(&format!(
        "{REQUESTS} {MACHINE} {MAPPING}
        maps anna
        echo \"anna:$handle,$public,es256,+presence\" >mapping"
    ));
    let question = key.asks();
    key.owner(&["approve"]).succeeded();
    making.end().succeeded();
    question
}

async fn logins_that_leave_and_owners_who_decline(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    let question = anna_is_mapped(&mut key);
    let left = withdraws(&mut key, "INT", "exec pamtester with-a-key anna authenticate");
    assert_eq!(left, question + 1);
    for (answer, verdict) in [("decline", "out"), ("approve", "in")] {
        let login = key.begin(LOG_IN);
        let question = key.asks();
        if is_full() {
            tokio::time::sleep(THOUGHT).await;
        }
        key.owner(&[answer, &question.to_string()]).succeeded();
        assert_eq!(login.end().succeeded().out.last().unwrap(), verdict);
    }
    key.keeps(1);
}

async fn the_program_login_takes_the_phone(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    let question = anna_is_mapped(&mut key);
    let by_key = "pam_u2f.so cue authfile=$PWD/mapping".to_owned();
    let command =
        "pam_exec.so seteuid stdout quiet $CABLED pam verify --timeout 120 --mapping $PWD/mapping";
    // With a radio of its own the code stands where somebody logs in; the phone that is remembered is the daemon's.
    let (by_command, meanwhile) = match way {
        Way::Code => (
            format!("{command} --qr url --radio {LAPTOP} --relay {}", key.relay()),
            "until grep -aoP '^FIDO:/\\d+(?=\\r)' terminal >code; do sleep 0.1; done
            \"$CABLED\" phone scan \"$(cat code)\" >scanned 2>&1 || :",
        ),
        Way::Link => (
            format!("{command} --socket $CABLED_DAEMON_SOCKET --phone [{OWNER}]"),
            "until grep -qa '^Ringing your phone' terminal; do
                if grep -qa '^Password: ' terminal; then
                    cp terminal \"$CABLED_PICTURES/login-without-a-ring.txt\"
                    exit 1
                fi
                sleep 0.1
            done",
        ),
    };
    let cue = "until grep -qa 'touch the device' terminal; do sleep 0.1; done";
    for (number, (line, meanwhile, answer, verdict)) in [
        (&by_key, cue, "approve", "in"),
        (&by_key, cue, "decline", "out"),
        (&by_command, meanwhile, "approve", "in"),
        (&by_command, meanwhile, "decline", "out"),
    ]
    .into_iter()
    .enumerate()
    {
        let login = key.begin(&format!(
            "{TERMINAL} before_the_password \"{line}\"
            sits_down
            {meanwhile}
            how_it_went"
        ));
        assert_eq!(key.asks(), question + 1 + number as u64);
        key.owner(&[answer]).succeeded();
        assert_eq!(login.end().succeeded().out, [verdict], "{line}");
    }
    key.keeps(1);
}

async fn programs_wait_for_an_owner_who_thinks(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    let mapped = format!(
        "{MACHINE} {MAPPING} maps anna
        echo \"anna:$handle,$public,es256,+presence\" >mapping"
    );
    let login = format!("[ \"$({{ {LOG_IN}; }} | tail -n 1)\" = in ]");
    for (number, program) in [
        "fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made -o known",
        "tail -n +2 known >public.pem
        { random 32; echo passkeys.example; head -n 1 known; } >sign-in
        fido2-assert -G -i sign-in -o signed \"$KEY\"
        fido2-assert -V -p -i signed public.pem es256",
        &mapped,
        &login,
    ]
    .into_iter()
    .enumerate()
    {
        let program = key.begin(&format!("{REQUESTS} {program}"));
        assert_eq!(key.asks(), (key.before() + number + 1) as u64);
        tokio::time::sleep(THOUGHT).await;
        key.owner(&["approve"]).succeeded();
        program.end().succeeded();
    }
    key.keeps(2);
}

async fn one_waits_and_another_is_told_at_once(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    let mut question = anna_is_mapped(&mut key);
    let login = format!("[ \"$({{ {LOG_IN}; }} | tail -n 1)\" = in ]");
    for program in [
        "fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made",
        "ssh-keygen -q -t ecdsa-sk -N '' -f id; ssh-keygen -l -f id.pub",
        &login,
    ] {
        let waiting = key.begin(program);
        question += 1;
        assert_eq!(key.asks(), question);
        key.is_busy_for_another();
        // The first one still waits, and for the same answer.
        key.owner(&["approve", &question.to_string()]).succeeded();
        waiting.end().succeeded();
    }
    assert_eq!(key.serves_another(), question + 1);
    key.keeps(4);
}

async fn a_daemon_that_is_killed_leaves_nobody_waiting(way: Way) {
    let mut key = Key::nearby(way, &[]).await;
    key.script(REQUESTS);
    for program in [
        "fails fido2-cred -M -i registration -o made \"$KEY\"; [ ! -s made ]",
        "fails ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]",
    ] {
        let waiting = key.begin(program);
        let question = key.asks();
        key.dies();
        waiting.end().succeeded();
        key.tells(&format!("Question {question}: withdrawn"));
        key.lives_again().await;
    }
    // What was known before is known still: a linked phone is rung again, too.
    let program =
        key.begin("fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made");
    key.asks();
    key.owner(&["approve"]).succeeded();
    program.end().succeeded();
    key.keeps(1);
}

async fn pamu2fcfg_writes_the_mapping(way: Way) {
    let key = Key::nearby(way, &["--auto-approve", "--attestation", "certificate"]).await;
    let told = key.script(&format!(
        "{REQUESTS} {MACHINE}
        pamu2fcfg -u anna >mapping
        grep -q '^anna:.*,es256,+presence$' mapping
        {LOG_IN}"
    ));
    assert_eq!(told.out.last().unwrap(), "in", "{told:?}");
    key.keeps(1);
}

async fn chromium_registers_and_signs_in(way: Way) {
    browsers::chromium(Key::nearby(way, &[]).await, name(way, "chromium"), true).await;
}

async fn firefox_registers_and_signs_in(way: Way) {
    browsers::firefox(Key::nearby(way, &[]).await, name(way, "firefox")).await;
}

/// Of the pictures.
fn name(way: Way, browser: &str) -> String {
    match way {
        Way::Code => format!("{browser}-code"),
        Way::Link => format!("{browser}-linked"),
    }
}

/// A phone of the usual kind: `ssh-keygen`, `fido2-cred` and `pamu2fcfg` refuse what it makes.
const VOUCHES_FOR_NOTHING: &[&str] = &["--auto-approve", "--attestation", "none"];

async fn our_keygen_makes_keys_with_which_ssh_logs_in(way: Way) {
    for phone in [&["--auto-approve"], VOUCHES_FOR_NOTHING] {
        let key = Key::nearby(way, phone).await;
        key.script(&format!(
            "\"$CABLED\" ssh keygen --qr none -f id
            \"$CABLED\" ssh keygen --qr none -f resident --resident --verify-required
            for key in id resident; do
                ssh-keygen -y -f \"$key\" | cmp - \"$key.pub\"
                ssh-keygen -l -f \"$key\" | grep -q ECDSA-SK
            done
            {SSHD}{SSH}"
        ));
        let receipts = key.script("\"$CABLED\" receipts list").out;
        let taken = |line: &&String| line.contains("  ssh:  ") && !line.contains("orphan");
        assert_eq!(receipts.iter().filter(taken).count(), 2, "{receipts:?}");
        key.keeps(2);
    }
}

async fn what_ssh_keygen_refuses_of_such_a_phone(way: Way) {
    let key = Key::nearby(way, VOUCHES_FOR_NOTHING).await;
    key.script("fails ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    key.keeps(1);
}

async fn our_enrolling_lets_pam_u2f_log_in(way: Way) {
    let key = Key::nearby(way, VOUCHES_FOR_NOTHING).await;
    let told = key.script(&format!(
        "{REQUESTS} {MACHINE}
        \"$CABLED\" pam enroll --qr none --user anna >mapping
        {LOG_IN}
        \"$CABLED\" pam enroll --qr none --user anna --file mapping --verify-required
        [ \"$(wc -l <mapping)\" = 1 ]
        {LOG_IN}
        : Now the second key alone.
        cut -d : -f 1,3 mapping >second
        mv second mapping
        grep -q '^anna:[^:]*,es256,+presence+verification$' mapping
        {LOG_IN}
        : What one may do, nobody else may.
        sed -i s/anna/berta/ mapping
        {LOG_IN}"
    ));
    let verdicts: Vec<_> =
        told.out.iter().filter(|line| ["in", "out"].contains(&line.as_str())).collect();
    assert_eq!(verdicts, ["in", "in", "in", "out"], "{told:?}");
    key.keeps(2);
}
