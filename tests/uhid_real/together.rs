//! Programs beside each other: one waits for the owner, another uses the key meanwhile.

use crate::world::{Key, REQUESTS};

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn one_waits_and_another_learns_what_the_key_can_do() {
    let mut key = Key::asking().await;
    let waiting = key.begin(&format!(
        "{REQUESTS} fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made"
    ));
    let question = key.asks();
    key.is_busy_for_another();
    key.is_busy_for_another();
    // The first one still waits, and for the same answer.
    key.owner(&["approve", &question.to_string()]).succeeded();
    waiting.end().succeeded();
    key.tells("Saved a passkey.");
    assert_eq!(key.serves_another(), question + 1);
    key.keeps(2);
}
