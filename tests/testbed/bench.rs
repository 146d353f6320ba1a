//! The bench from Rust: scripts, and that nothing is left of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cabled::authenticator::service::{Answered, Sources};
use cabled::authenticator::{State, Timestamp};
use cabled::testbed::{
    Account, Answer, Bench, Ceremony, Choice, Error, PhoneSetup, Point, Script, seeded,
};

use crate::laptop::{PATIENCE, register, sign_in, soon, sources};

async fn bench() -> Bench {
    let bench = soon("the bench", Bench::start(sources())).await.unwrap();
    bench.add_phone("anna's", PhoneSetup::default()).await.unwrap();
    bench
}

/// One registration with this script; what the laptop and the phone make of it.
async fn registered(bench: &Bench, script: Script) -> (bool, Ceremony) {
    let mut id = 0;
    let scan = |code: &str| id = bench.scan("anna's", code, script).unwrap();
    let made = register(bench, "anna", PATIENCE, scan).await;
    (made.is_ok(), soon("the end of the ceremony", bench.over(id)).await.unwrap())
}

async fn states(bench: &Bench) -> Vec<State> {
    bench.passkeys("anna's").await.unwrap().iter().map(|passkey| passkey.state).collect()
}

#[tokio::test]
async fn a_passkey_is_made_and_used_and_nothing_is_left() {
    let bench = bench().await;
    let folder = bench.folder().to_owned();
    let (made, ceremony) = registered(&bench, Script::default()).await;
    assert!(made && ceremony.as_scripted() == Some(true), "{ceremony:?}");
    assert_eq!(ceremony.outcome(), Some("registered"));
    assert!(matches!(ceremony.answered(), Some(Answered::Saved(whom)) if whom.account == "anna"));
    assert_eq!(states(&bench).await, [State::Delivered]);
    let handle = sign_in(&bench, |code| {
        bench.scan("anna's", code, Script::default()).unwrap();
    });
    assert_eq!(handle.await.unwrap(), "anna");
    assert_eq!(soon("the end", bench.over(2)).await.unwrap().outcome(), Some("signed-in"));
    assert_eq!(states(&bench).await, [State::Used]);
    soon("the end of the bench", bench.stop()).await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_person_declines_or_mistypes_or_thinks() {
    let bench = bench().await;
    for choice in [Choice::Decline, Choice::WrongPin] {
        let (made, ceremony) = registered(&bench, Script::always(choice.clone())).await;
        assert!(!made && ceremony.as_scripted() == Some(true), "{choice:?}: {ceremony:?}");
        assert_eq!(ceremony.outcome(), Some("refused"));
    }
    assert_eq!(states(&bench).await, []);
    let delay = Duration::from_millis(300);
    let mut script = Script::default();
    script.answers = vec![Answer { choice: Choice::default(), delay }];
    let before = now();
    let (made, _) = registered(&bench, script).await;
    assert!(made && now() - before >= delay);
    // An account that is not there is a fault of the script's.
    let script = Script::always(Choice::Approve(Account::Named("ben".to_owned())));
    let mut id = 0;
    sign_in(&bench, |code| id = bench.scan("anna's", code, script).unwrap()).await.unwrap_err();
    let ceremony = soon("the end", bench.over(id)).await.unwrap();
    assert_eq!((ceremony.outcome(), ceremony.as_scripted()), (Some("refused"), Some(false)));
    assert!(ceremony.problem.is_some());
}

/// A lower bound only: nothing fails because a machine is slow.
#[allow(clippy::disallowed_methods, reason = "a test of a delay reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_phone_is_gone_where_the_script_says() {
    let bench = bench().await;
    // The laptop hears nothing, so it need not be patient.
    let mut id = 0;
    let scan = |code: &str| {
        id = bench.scan("anna's", code, Script::gone(Point::BeforeAdvert)).unwrap();
    };
    register(&bench, "anna", Duration::from_millis(200), scan).await.unwrap_err();
    assert_eq!(bench.ceremony(id).unwrap().as_scripted(), Some(true));
    let points = Point::NAMES.into_iter().filter(|(_, point)| *point != Point::BeforeAdvert);
    for (name, point) in points {
        let (made, ceremony) = registered(&bench, Script::gone(point)).await;
        assert_eq!(ceremony.outcome(), Some("walked-away"), "{name}: {ceremony:?}");
        assert_eq!(ceremony.as_scripted(), Some(true));
        // The answer arrives, and the phone never knows.
        assert_eq!(made, point == Point::AfterAnswer, "{name}");
        let left: &[State] = if made { &[State::Created] } else { &[] };
        assert_eq!(states(&bench).await, left, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_gone_after_its_answer_hears_no_thanks_that_are_there_already() {
    // A phone that is held up wherever it looks at the clock, as on a busy machine; the laptop is not.
    let sources = sources();
    let clock = sources.clock;
    let clock = Arc::new(move || {
        std::thread::sleep(Duration::from_millis(50));
        clock()
    });
    let bench = Bench::start(Sources { clock, rng: sources.rng });
    let bench = soon("the bench", bench).await.unwrap();
    bench.add_phone("anna's", PhoneSetup::default()).await.unwrap();
    let (made, ceremony) = registered(&bench, Script::gone(Point::AfterAnswer)).await;
    assert!(made);
    assert_eq!(ceremony.outcome(), Some("walked-away"), "{ceremony:?}");
    assert_eq!(states(&bench).await, [State::Created]);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let bench = bench().await;
    let again = bench.add_phone("anna's", PhoneSetup::default()).await;
    assert!(matches!(again, Err(Error::PhoneExists(name)) if name == "anna's"));
    let mut foreign = PhoneSetup::default();
    foreign.aaguid = Some(0xde1e552d_db1d_4423_a619_566b625cdc84_u128.to_be_bytes());
    assert!(matches!(bench.add_phone("ben's", foreign).await, Err(Error::ForeignAaguid(_))));
    assert!(matches!(
        bench.scan("ben's", "FIDO:/1", Script::default()),
        Err(Error::NoSuchPhone(_))
    ));
    assert!(matches!(bench.scan("anna's", "FIDO:/1", Script::default()), Err(Error::Phone(_))));
    assert!(matches!(bench.ceremony(1), Err(Error::NoSuchCeremony(1))));
    assert_eq!(bench.phone_names(), ["anna's"]);
}

#[tokio::test]
async fn a_dropped_bench_takes_its_ceremonies_and_its_folder_along() {
    let bench = bench().await;
    let folder = bench.folder().to_owned();
    let mut script = Script::default();
    script.answers = vec![Answer { choice: Choice::default(), delay: PATIENCE * 10 }];
    let laptop = register(&bench, "anna", PATIENCE, |code| {
        bench.scan("anna's", code, script).unwrap();
    });
    {
        let mut laptop = std::pin::pin!(laptop);
        let asked = async {
            while !asks(&bench) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            made = &mut laptop => panic!("{made:?}"),
            () = soon("a question", asked) => {}
        }
    }
    drop(bench);
    soon("the folder's end", gone(&folder)).await;
}

fn asks(bench: &Bench) -> bool {
    let asked = |ceremony: &Ceremony| {
        ceremony
            .events
            .iter()
            .any(|event| matches!(event.what, cabled::authenticator::service::Happened::Asked(_)))
    };
    bench.ceremonies().iter().any(asked)
}

async fn gone(folder: &Path) {
    while folder.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_seed_repeats_keys() {
    let ids = |seed| async move {
        let rng = seeded(seed);
        let clock = Arc::new(|| Timestamp(1_800_000_000));
        let bench = Bench::start(Sources { clock, rng }).await.unwrap();
        bench.add_phone("anna's", PhoneSetup::default()).await.unwrap();
        let (made, _) = registered(&bench, Script::default()).await;
        assert!(made);
        let authority = std::fs::read_to_string(bench.authority()).unwrap();
        (authority, bench.passkeys("anna's").await.unwrap()[0].id.clone())
    };
    let first = soon("a run", ids(7)).await;
    assert_eq!(first, soon("the same again", ids(7)).await);
    assert_ne!(first, soon("another one", ids(8)).await);
}
