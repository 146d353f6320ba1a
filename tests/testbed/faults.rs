//! What goes wrong between laptop and phone: each fault of the tunnel service, adverts that are not simply
//! heard, a phone whose answers claim nothing, passkeys from the start.

use std::cell::Cell;
use std::time::Duration;

use cabled::authenticator::State;
use cabled::authenticator::service::Happened;
use cabled::testbed::{Adverts, Bench, Fault, Harm, NewPasskey, PhoneSetup, Script, Side};

use crate::laptop::{PATIENCE, register, sign_in, soon, sources};

const PHONE: &str = "anna's";

async fn bench(setup: PhoneSetup) -> Bench {
    let bench = soon("the bench", Bench::start(sources())).await.unwrap();
    bench.add_phone(PHONE, setup).await.unwrap();
    bench
}

/// A registration with a fault; whether it succeeded. Ends as soon as it cannot go on.
async fn with(bench: &Bench, fault: &Fault) -> bool {
    let id = Cell::new(0);
    let made = {
        let laptop = register(bench, "anna", PATIENCE, |code| {
            let script = Script::faulty(std::slice::from_ref(fault));
            id.set(bench.scan(PHONE, code, script).unwrap());
        });
        // A frame that is lost is waited for, and a phone that is refused does not come.
        let endless = matches!(
            fault,
            Fault::Frame { harm: Harm::Drop, .. } | Fault::Refuse { side: Side::Phone, .. }
        );
        let hit = || bench.ceremony(id.get()).is_ok_and(|found| found.trace.faults()[0].1 > 0);
        let struck = async {
            while !(endless && hit()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            made = laptop => made.is_ok(),
            () = soon("the fault", struck) => false,
        }
    };
    let trace = bench.ceremony(id.get()).unwrap().trace;
    assert_eq!(trace.faults(), [(fault.clone(), 1)], "{fault:?}");
    made
}

#[tokio::test]
async fn the_tunnel_service_has_each_fault_once_and_then_none() {
    let bench = bench(PhoneSetup::default()).await;
    let delay = Harm::Delay(Duration::from_millis(100));
    let mut faults = vec![];
    for side in [Side::Laptop, Side::Phone] {
        faults.push((Fault::Refuse { side, status: 503 }, false));
        for harm in [Harm::Drop, Harm::Corrupt, Harm::Close] {
            faults.push((Fault::Frame { from: side, number: 1, harm }, false));
        }
        faults.push((Fault::Frame { from: side, number: 2, harm: delay }, true));
    }
    for (fault, good) in faults {
        assert_eq!(with(&bench, &fault).await, good, "{fault:?}");
        // Whatever still waits goes with its phone.
        bench.remove_phone(PHONE).unwrap();
        bench.add_phone(PHONE, PhoneSetup::default()).await.unwrap();
    }
    let mut id = 0;
    let scan = |code: &str| id = bench.scan(PHONE, code, Script::default()).unwrap();
    register(&bench, "anna", PATIENCE, scan).await.unwrap();
    let ceremony = soon("the end", bench.over(id)).await.unwrap();
    assert_eq!(ceremony.outcome(), Some("registered"), "another ceremony has no part in it");
    assert_eq!(ceremony.trace.traffic(Side::Laptop).connections, 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_passkey_that_was_not_delivered() {
    let bench = bench(PhoneSetup::default()).await;
    let lost = Fault::Frame { from: Side::Phone, number: 3, harm: Harm::Close };
    // The frame itself is still forwarded, so the last good one is the message before the answer.
    assert!(with(&bench, &lost).await, "the answer was let through");
    let spoilt = Fault::Frame { from: Side::Phone, number: 3, harm: Harm::Corrupt };
    assert!(!with(&bench, &spoilt).await);
    let states: Vec<_> =
        bench.passkeys(PHONE).await.unwrap().iter().map(|passkey| passkey.state).collect();
    assert!(states.contains(&State::Created), "{states:?}");
}

#[tokio::test]
async fn adverts_are_lost_late_or_replayed() {
    for (adverts, patience, good) in [
        (Adverts::Lost, Duration::from_millis(500), false),
        (Adverts::Late(Duration::from_millis(400)), PATIENCE, true),
        (Adverts::Replayed, PATIENCE, true),
    ] {
        let mut setup = PhoneSetup::default();
        setup.adverts = adverts;
        let bench = bench(setup).await;
        // The second one hears what was recorded of the first.
        for _ in 0..2 {
            let scan = |code: &str| {
                bench.scan(PHONE, code, Script::default()).unwrap();
            };
            let made = register(&bench, "anna", patience, scan).await;
            assert_eq!(made.is_ok(), good, "{adverts:?}: {made:?}");
        }
        bench.remove_phone(PHONE).unwrap();
        let over = async {
            while bench.ceremonies().iter().any(|ceremony| !ceremony.over) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon("the ends", over).await;
        let ceremonies = bench.ceremonies();
        assert!(ceremonies.iter().all(|ceremony| ceremony.as_scripted() == Some(true)));
        let sent = |ceremony: &cabled::testbed::Ceremony| {
            ceremony.events.iter().any(|event| matches!(event.what, Happened::Advertising))
        };
        assert!(ceremonies.iter().all(sent), "the phone itself sends in any case");
    }
}

#[tokio::test]
async fn a_phone_has_passkeys_from_the_start_and_may_claim_nothing() {
    let mut setup = PhoneSetup::default();
    setup.unverified = true;
    let bench = bench(setup).await;
    let mut new = NewPasskey::new("passkeys.example", b"anna");
    new.user_name = Some("anna".to_owned());
    let planted = bench.plant(PHONE, new).await.unwrap();
    let mut id = 0;
    let scan = |code: &str| id = bench.scan(PHONE, code, Script::default()).unwrap();
    // Base64url of the account's id.
    assert_eq!(sign_in(&bench, scan).await.unwrap(), "YW5uYQ");
    let request = bench.ceremony(id).unwrap().trace.requests().remove(0);
    assert_eq!((request.command, request.allow_list), ("getAssertion", 0));
    let passkeys = bench.passkeys(PHONE).await.unwrap();
    assert_eq!((passkeys[0].id == planted.id, passkeys[0].state), (true, State::Used));
    let made = register(&bench, "bert", PATIENCE, |code| {
        bench.scan(PHONE, code, Script::default()).unwrap();
    });
    let made = serde_json::to_value(made.await.unwrap()).unwrap();
    let data = made["response"]["authenticatorData"].as_str().unwrap();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |at: usize| digits.find(data.as_bytes()[at] as char).unwrap();
    // Byte 32 is bits 256 to 263: the lower two of digit 42, and digit 43.
    let flags = (digit(42) & 3) << 6 | digit(43);
    assert_eq!(flags & 0x05, 0x01, "present, not verified");
    bench.delete_passkey(PHONE, planted.id).await.unwrap();
    assert_eq!(bench.passkeys(PHONE).await.unwrap().len(), 1);
}
