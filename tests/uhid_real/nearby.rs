//! The laptop's key: the passkeys are on a phone nearby, and unmodified programs do not know it.

use crate::login::{LOG_IN, MACHINE, MAPPING};
use crate::programs::{SSH, SSH_KEYGEN};
use crate::world::{Key, REQUESTS};

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn libfido2_uses_the_phone() {
    let mut key = Key::nearby(&["--auto-approve"]).await;
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
        ! fido2-assert -V -i looked public.pem es256
        fido2-assert -G -i sign-in -o signed \"$KEY\"
        fido2-assert -V -p -i signed public.pem es256
        : What no phone can do fails at once.
        ! fido2-cred -M -h -i registration -o secret \"$KEY\"
        ! ssh-keygen -q -t ed25519-sk -N '' -f never"
    ));
    for words in ["A program wants to save a passkey for passkeys.example, account anna.", "Done."]
    {
        key.shows(words);
    }
    key.shows("A program wants to sign in to passkeys.example.");
    key.says("Refused: the program wants a secret");
    key.says("Refused: phones make keys of ECDSA with P-256 only");
    let receipts = key.script("\"$CABLED\" receipts list").out;
    assert!(receipts.len() == 1 && !receipts[0].contains("orphan"), "{receipts:?}");
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn ssh_makes_keys_on_the_phone_and_logs_in() {
    let key = Key::nearby(&["--auto-approve"]).await;
    key.script(&format!("{SSH_KEYGEN}{SSH}"));
    let receipts = key.script("\"$CABLED\" receipts list").out;
    assert!(
        receipts.len() == 2 && receipts.iter().all(|line| line.contains("  ssh:  ")),
        "{receipts:?}"
    );
    key.keeps(2);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_login_looks_for_the_passkey_first() {
    let key = Key::nearby(&["--auto-approve"]).await;
    let told = key.script(&format!(
        "{REQUESTS} {MACHINE} {MAPPING}
        maps anna
        echo \"anna:$handle,$public,es256,+presence\" >mapping
        {LOG_IN}
        : Now as if another laptop had made it: the phone is fetched for the look.
        \"$CABLED\" receipts forget 1
        {LOG_IN}"
    ));
    let verdicts: Vec<_> =
        told.out.iter().filter(|line| ["in", "out"].contains(&line.as_str())).collect();
    assert_eq!(verdicts, ["in", "in"], "{told:?}");
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn programs_that_leave_and_owners_who_decline() {
    let mut key = Key::nearby(&[]).await;
    key.script(REQUESTS);
    let mut question = 0;
    for (signal, program) in [
        ("INT", "exec ssh-keygen -q -t ecdsa-sk -N '' -f id"),
        ("KILL", "exec fido2-cred -M -r -i registration -o made \"$KEY\""),
    ] {
        let program = key.begin(program);
        question = key.asks();
        program.signal_all(signal);
        assert!(!program.end().status.success());
        key.tells(&format!("Question {question}: withdrawn"));
    }
    let program = key.begin("! ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    assert_eq!(key.asks(), question + 1);
    key.owner(&["decline"]).succeeded();
    // It would ask again here, if it took the answer for a mistyped PIN.
    program.end().succeeded();
    let program = key.begin("ssh-keygen -q -t ecdsa-sk -N '' -f id; ssh-keygen -l -f id.pub");
    assert_eq!(key.asks(), question + 2);
    key.owner(&["approve"]).succeeded();
    program.end().succeeded();
    key.keeps(1);
}

/// A phone of the usual kind: `ssh-keygen`, `fido2-cred` and `pamu2fcfg` refuse what it makes.
const VOUCHES_FOR_NOTHING: &[&str] = &["--auto-approve", "--attestation", "none"];

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn our_keygen_makes_keys_with_which_ssh_logs_in() {
    for phone in [&["--auto-approve"], VOUCHES_FOR_NOTHING] {
        let key = Key::nearby(phone).await;
        key.script(&format!(
            "\"$CABLED\" ssh keygen --qr none -f id
            \"$CABLED\" ssh keygen --qr none -f resident --resident --verify-required
            for key in id resident; do
                ssh-keygen -y -f \"$key\" | cmp - \"$key.pub\"
                ssh-keygen -l -f \"$key\" | grep -q ECDSA-SK
            done
            {SSH}"
        ));
        let receipts = key.script("\"$CABLED\" receipts list").out;
        let taken = |line: &String| line.contains("  ssh:  ") && !line.contains("orphan");
        assert!(receipts.len() == 2 && receipts.iter().all(taken), "{receipts:?}");
        key.keeps(2);
    }
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn what_ssh_keygen_refuses_of_such_a_phone() {
    let key = Key::nearby(VOUCHES_FOR_NOTHING).await;
    key.script("! ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn our_enrolling_lets_pam_u2f_log_in() {
    let key = Key::nearby(VOUCHES_FOR_NOTHING).await;
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
