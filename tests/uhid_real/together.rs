//! Programs beside each other: one waits for the owner, another uses the key meanwhile.

use crate::world::{Key, REQUESTS};

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn one_waits_and_another_learns_what_the_key_can_do() {
    let mut key = Key::asking().await;
    // libfido2 locks the node that it opens, so that a second program of its would wait for the first and
    // not for the key. At another node of the same device there is no lock, as browsers set none.
    key.script(&format!(
        "{REQUESTS}
        mknod beside c $(stat -c '0x%t 0x%T' \"$KEY\")"
    ));
    let waiting =
        key.begin("fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made");
    let question = key.asks();
    for _ in 0..2 {
        let info = key.script("exec fido2-token -I beside").out.join("\n");
        assert!(info.contains("FIDO_2_1") && info.contains("credProtect"), "{info}");
        key.script(
            "fails timeout 60 fido2-cred -M -i registration -o nothing beside; [ ! -s nothing ]",
        );
    }
    // The first one still waits, and for the same answer.
    key.owner(&["approve", &question.to_string()]).succeeded();
    waiting.end().succeeded();
    key.tells("Saved a passkey.");
    // Now it is the other's turn.
    let other =
        key.begin("fido2-cred -M -i registration -o second beside; fido2-cred -V -i second");
    assert_eq!(key.asks(), question + 1);
    key.owner(&["approve"]).succeeded();
    other.end().succeeded();
    key.keeps(2);
}
