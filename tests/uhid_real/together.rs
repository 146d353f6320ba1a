//! Programs beside each other: one waits for the owner, others use the key meanwhile.

use crate::world::{Key, REQUESTS};

/// A program that uses the key without locking it, as browsers do: python-fido2.
const BESIDE: &str = "
from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.hid import CtapHidDevice

[device] = CtapHidDevice.list_devices()
assert device.ping(bytes(range(256)) * 4) == bytes(range(256)) * 4
key = Ctap2(device)
print(*key.info.versions, *key.info.extensions)
try:
    key.selection()
except CtapError as error:
    print(error.code.name)
device.close()
";

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn one_waits_and_others_learn_what_the_key_can_do() {
    let mut key = Key::asking().await;
    key.script(REQUESTS);
    let waiting =
        key.begin("fido2-cred -M -i registration -o made \"$KEY\"; fido2-cred -V -i made");
    let question = key.asks();
    for _ in 0..2 {
        let beside = key.script(&format!("exec /usr/bin/python3 -c '{BESIDE}'")).out;
        let [can, told] = &beside[..] else { panic!("{beside:?}") };
        assert!(can.contains("FIDO_2_1") && can.contains("credProtect"), "{can}");
        assert_eq!(told, "CHANNEL_BUSY");
    }
    // The first one still waits, and for the same answer.
    key.owner(&["approve", &question.to_string()]).succeeded();
    waiting.end().succeeded();
    key.tells("Saved a passkey.");
    // Now it is the other's turn.
    let other = key.begin(&format!("exec /usr/bin/python3 -c '{BESIDE}'"));
    assert_eq!(key.asks(), question + 1);
    key.owner(&["decline"]).succeeded();
    let told = other.end().succeeded().out;
    assert_eq!(told.last().unwrap(), "USER_ACTION_TIMEOUT");
    key.keeps(1);
}
