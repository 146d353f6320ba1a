//! The fingerprint reader.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cabled::desktop::Error;
use cabled::desktop::fingerprint::{Hint, Limits, Reader, Verdict};
use cabled::testbed::PrivateBus;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::message::Message;

use crate::fake::{self, Fake, PATIENCE, Reply};

const NAME: &str = "net.reactivated.Fprint";
const DEVICE: &str = "net.reactivated.Fprint.Device";
const PATH: &str = "/net/reactivated/Fprint/Device/0";

pub(crate) fn uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
}

/// fprintd with one reader, which knows one finger and serves one program at a time. `fails` names a
/// method and the error that it ends with.
pub(crate) async fn server(bus: &PrivateBus, fails: Option<(&'static str, &'static str)>) -> Fake {
    let claimed: Mutex<Option<String>> = Mutex::new(None);
    let answer = move |method: &str, call: &Message| {
        if let Some((_, error)) = fails.filter(|(failing, _)| *failing == method) {
            return Reply::Error(error);
        }
        let mut claimed = claimed.lock().unwrap();
        let own = claimed.as_ref() == Some(&fake::caller(call));
        match method {
            "GetDefaultDevice" => Reply::Path(PATH.to_owned()),
            "ListEnrolledFingers" => Reply::Texts(vec!["right-index-finger".to_owned()]),
            "Claim" if claimed.is_some() => {
                Reply::Error("net.reactivated.Fprint.Error.AlreadyInUse")
            }
            "Claim" => {
                *claimed = Some(fake::caller(call));
                Reply::Nothing
            }
            "Release" if own => {
                *claimed = None;
                Reply::Nothing
            }
            "VerifyStart" | "VerifyStop" if own => Reply::Nothing,
            _ => Reply::Error("net.reactivated.Fprint.Error.ClaimDevice"),
        }
    };
    Fake::start(bus, NAME, answer).await
}

type Told = Arc<Mutex<Vec<Hint>>>;

fn verify(bus: &PrivateBus, limits: Limits) -> (JoinHandle<Result<Verdict, Error>>, Told) {
    let (reader, told) = (Reader::at(fake::at(bus), uid()), Told::default());
    let hear = Arc::clone(&told);
    let task = async move { reader.verify(limits, |hint| hear.lock().unwrap().push(hint)).await };
    (tokio::spawn(task), told)
}

async fn ended(task: JoinHandle<Result<Verdict, Error>>) -> Result<Verdict, Error> {
    timeout(PATIENCE, task).await.unwrap().unwrap()
}

pub(crate) async fn says(fake: &Fake, result: &str, done: bool) {
    fake.signal(PATH, DEVICE, "VerifyStatus", &(result, done)).await;
}

const BEGIN: [&str; 4] = ["GetDefaultDevice", "ListEnrolledFingers", "Claim", "VerifyStart"];

fn did(fake: &Fake, then: &[&str]) {
    assert_eq!(fake.methods(), [&BEGIN, then].concat());
}

#[tokio::test]
async fn the_right_finger_after_poor_touches_and_a_wrong_one() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, told) = verify(&bus, Limits::default());
    let started = fake.called("VerifyStart", 1).await;
    assert_eq!(started.body().deserialize::<String>().unwrap(), "any");
    fake.signal(PATH, DEVICE, "VerifyFingerSelected", &"right-index-finger").await;
    let poor = [
        ("verify-retry-scan", Hint::Again),
        ("verify-swipe-too-short", Hint::TooShort),
        ("verify-finger-not-centered", Hint::NotCentered),
        ("verify-remove-and-retry", Hint::Lift),
    ];
    for (result, _) in poor {
        says(&fake, result, false).await;
    }
    says(&fake, "verify-no-match", true).await;
    fake.called("VerifyStart", 2).await;
    says(&fake, "verify-match", true).await;
    assert!(matches!(ended(task).await, Ok(Verdict::Matched(_))));
    let wanted = [Hint::Touch].into_iter().chain(poor.map(|(_, hint)| hint));
    let wanted: Vec<Hint> = wanted.chain([Hint::WrongFinger, Hint::Touch]).collect();
    assert_eq!(*told.lock().unwrap(), wanted);
    fake.called("Release", 1).await;
    did(&fake, &["VerifyStop", "VerifyStart", "VerifyStop", "Release"]);
}

#[tokio::test]
async fn wrong_fingers_are_counted() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits { tries: 2, ..Limits::default() });
    for touch in 1..=2 {
        fake.called("VerifyStart", touch).await;
        says(&fake, "verify-no-match", true).await;
    }
    assert!(matches!(ended(task).await, Ok(Verdict::NotMatched)));
    fake.called("Release", 1).await;
    did(&fake, &["VerifyStop", "VerifyStart", "VerifyStop", "Release"]);
}

#[tokio::test]
async fn poor_touches_come_to_an_end() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits { tries: 1, ..Limits::default() });
    fake.called("VerifyStart", 1).await;
    for _ in 0..20 {
        says(&fake, "verify-retry-scan", false).await;
    }
    assert!(matches!(ended(task).await, Ok(Verdict::NotMatched)));
}

#[tokio::test]
async fn a_verification_that_is_withdrawn_stops_at_once() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits::default());
    fake.called("VerifyStart", 1).await;
    task.abort();
    fake.called("Release", 1).await;
    did(&fake, &["VerifyStop", "Release"]);
    // And the reader serves the next.
    let (task, _) = verify(&bus, Limits::default());
    fake.called("VerifyStart", 2).await;
    says(&fake, "verify-match", true).await;
    assert!(matches!(ended(task).await, Ok(Verdict::Matched(_))));
}

#[tokio::test]
async fn nobody_touches_it() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits { tries: 1, time: Duration::from_millis(500) });
    assert!(matches!(ended(task).await, Ok(Verdict::TimedOut)));
    let (task, _) = verify(&bus, Limits { tries: 0, ..Limits::default() });
    assert!(matches!(ended(task).await, Ok(Verdict::NotMatched)));
    drop(fake);
}

#[tokio::test]
async fn two_at_once_do_not_share_the_reader() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (first, _) = verify(&bus, Limits::default());
    fake.called("VerifyStart", 1).await;
    let (second, _) = verify(&bus, Limits::default());
    assert!(matches!(ended(second).await, Err(Error::Busy)));
    says(&fake, "verify-match", true).await;
    assert!(matches!(ended(first).await, Ok(Verdict::Matched(_))));
}

#[tokio::test]
async fn a_reader_that_fails_says_nothing_about_the_user() {
    for result in ["verify-unknown-error", "verify-disconnected", "verify-MATCH", ""] {
        let bus = PrivateBus::start().await.unwrap();
        let fake = server(&bus, None).await;
        let (task, _) = verify(&bus, Limits::default());
        fake.called("VerifyStart", 1).await;
        says(&fake, result, true).await;
        assert!(matches!(ended(task).await, Err(Error::ReaderFailed)), "{result}");
        fake.called("Release", 1).await;
        did(&fake, &["VerifyStop", "Release"]);
    }
}

#[tokio::test]
async fn a_service_that_vanishes_is_an_error() {
    let bus = PrivateBus::start().await.unwrap();
    let (task, _) = verify(&bus, Limits::default());
    assert!(matches!(ended(task).await, Err(Error::NoService(NAME))));
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits::default());
    fake.called("VerifyStart", 1).await;
    fake.vanish().await;
    assert!(matches!(ended(task).await, Err(Error::Vanished(NAME))));
}

#[tokio::test]
async fn matches_of_strangers_and_impostors_do_not_count() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let (task, _) = verify(&bus, Limits { tries: 1, ..Limits::default() });
    let to = fake::caller(&fake.called("VerifyStart", 1).await);
    let (stranger, yes) = (fake::client(&bus).await, ("verify-match", true));
    fake::signal(&stranger, Some(&to), PATH, DEVICE, "VerifyStatus", &yes).await;
    fake::signal(&stranger, None, PATH, DEVICE, "VerifyStatus", &yes).await;
    // Nor does another reader's.
    let other = "/net/reactivated/Fprint/Device/1";
    fake.signal(other, DEVICE, "VerifyStatus", &yes).await;
    says(&fake, "verify-no-match", true).await;
    assert!(matches!(ended(task).await, Ok(Verdict::NotMatched)));

    let calls = fake.methods().len();
    let reader = Reader::at(fake::at(&bus), uid() + 1);
    let refused = reader.verify(Limits::default(), |_| ()).await;
    assert!(matches!(refused, Err(Error::Impostor { uid: who, .. }) if who == uid()));
    assert_eq!(fake.methods().len(), calls, "it is not even asked");
}

#[tokio::test]
async fn each_reason_is_told_apart() {
    #[allow(clippy::type_complexity, reason = "a table of three columns")]
    let cases: [(_, _, fn(&Error) -> bool); 6] = [
        ("GetDefaultDevice", "NoSuchDevice", |e| matches!(e, Error::NoReader)),
        ("ListEnrolledFingers", "NoEnrolledPrints", |e| matches!(e, Error::NoFinger)),
        ("Claim", "PermissionDenied", |e| matches!(e, Error::Denied(NAME, _))),
        ("Claim", "AlreadyInUse", |e| matches!(e, Error::Busy)),
        ("VerifyStart", "Internal", |e| matches!(e, Error::ReaderFailed)),
        ("VerifyStart", "Surprise", |e| matches!(e, Error::Refused(NAME, _))),
    ];
    for (method, error, is) in cases {
        let bus = PrivateBus::start().await.unwrap();
        let name: &'static str = format!("net.reactivated.Fprint.Error.{error}").leak();
        let _fake = server(&bus, Some((method, name))).await;
        let (task, _) = verify(&bus, Limits::default());
        let found = ended(task).await.unwrap_err();
        assert!(is(&found), "{method} {error}: {found:?}");
    }
}

#[tokio::test]
async fn the_fingers_that_are_enrolled() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, None).await;
    let reader = Reader::at(fake::at(&bus), uid());
    assert_eq!(reader.enrolled().await.unwrap(), ["right-index-finger"]);
    fake.vanish().await;
    let none = Some(("ListEnrolledFingers", "net.reactivated.Fprint.Error.NoEnrolledPrints"));
    let _fake = server(&bus, none).await;
    assert!(reader.enrolled().await.unwrap().is_empty());
}
