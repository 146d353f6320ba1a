//! What the owner of the key does while programs wait: thinks, agrees, declines, ends the program.

use crate::world::{Key, PIN, REQUESTS, THOUGHT, is_full};

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_program_that_is_ended_withdraws_its_question() {
    let mut key = Key::asking().await;
    key.script(REQUESTS);
    let waiting = [
        ("INT", "exec ssh-keygen -q -t ecdsa-sk -N '' -f id"),
        ("TERM", "exec ssh-keygen -q -t ecdsa-sk -O resident -N '' -f id"),
        ("KILL", "exec fido2-cred -M -r -i registration -o made \"$KEY\""),
        ("INT", "exec fido2-cred -M -r -i registration -o made \"$KEY\""),
    ];
    for (signal, program) in waiting {
        let program = key.begin(program);
        let question = key.asks();
        // As Ctrl-C does: ssh-keygen has a helper that uses the key for it.
        program.signal_all(signal);
        assert!(!program.end().status.success());
        key.tells(&format!("Question {question}: withdrawn"));
        // What was withdrawn can be agreed to no more.
        key.owner(&["approve", &question.to_string()]).failed(2);
    }
    let program =
        key.begin("fido2-cred -M -r -i registration -o made \"$KEY\"; fido2-cred -V -i made");
    key.asks();
    key.owner(&["approve"]).succeeded();
    program.end().succeeded();
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_program_waits_for_an_owner_who_thinks() {
    let mut key = Key::asking().await;
    let program = key.begin("ssh-keygen -q -t ecdsa-sk -N '' -f id; ssh-keygen -l -f id.pub");
    key.asks();
    // The thinking itself is what the program has to bear.
    tokio::time::sleep(THOUGHT).await;
    // The owner types the PIN at a terminal, once it is asked for.
    key.script(&format!(
        "mkfifo typed
        SHELL=/bin/sh script -qefc '\"$CABLED\" phone approve' terminal <typed >/dev/null &
        exec 3>typed
        until grep -q '^PIN of ' terminal; do sleep 0.1; done
        echo {PIN} >&3
        wait $!
        grep -q 'wants to save a passkey for ssh:' terminal
        fails grep -q {PIN} terminal"
    ));
    let made = program.end().succeeded().out;
    assert!(made.iter().any(|line| line.ends_with("(ECDSA-SK)")), "{made:?}");
    key.tells("Saved a passkey.");
    key.keeps(1);
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_program_is_told_once_that_its_owner_declines() {
    let mut key = Key::asking().await;
    let program = key.begin("fails ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    let question = key.asks();
    if is_full() {
        tokio::time::sleep(THOUGHT).await;
    }
    key.owner(&["decline"]).succeeded();
    key.tells(&format!("Question {question}: declined"));
    // It would ask again here, if it took the answer for a mistyped PIN.
    program.end().succeeded();
    key.script(REQUESTS);
    let program = key.begin("fails fido2-cred -M -i registration -o made \"$KEY\"");
    assert_eq!(key.asks(), question + 1);
    key.owner(&["decline"]).succeeded();
    program.end().succeeded();
    key.keeps(0);
}
