//! The laptop's key with a phone of the test bed, whose person follows a script: what tests of relying parties
//! have for Firefox, and for programs that know no codes.

use crate::browsers;
use crate::world::{Key, LIBFIDO2, REQUESTS};

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn programs_use_a_phone_that_follows_a_script() {
    let mut key = Key::of_a_bench("{}").await;
    key.script(&format!(
        "{REQUESTS}{LIBFIDO2}
        ssh-keygen -q -t ecdsa-sk -N '' -f id
        ssh-keygen -l -f id.pub | grep -q ECDSA-SK"
    ));
    for outcome in ["registered", "signed-in", "registered"] {
        key.bench_says(outcome);
    }
    key.interrupts();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn a_script_may_decline() {
    let mut key = Key::of_a_bench(r#"{"answers":[{"do":"decline"}]}"#).await;
    key.script("fails ssh-keygen -q -t ecdsa-sk -N '' -f id; [ ! -e id ]");
    key.bench_says("refused");
    key.interrupts();
}

#[tokio::test]
#[ignore = "needs /dev/uhid: tests/run uhid-real"]
async fn firefox_uses_a_phone_that_follows_a_script() {
    browsers::firefox_beside_a_bench(Key::of_a_bench("{}").await).await;
}
