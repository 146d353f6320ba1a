//! Questions as notifications.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cabled::desktop::Error;
use cabled::desktop::notify::{Answer, Notifier, Question};
use cabled::testbed::PrivateBus;
use tokio::time::timeout;
use zbus::message::Message;
use zbus::zvariant::OwnedValue;

use crate::fake::{self, Fake, PATIENCE, Reply};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

pub(crate) async fn server(bus: &PrivateBus, capabilities: &'static [&'static str]) -> Fake {
    let next = AtomicU32::new(1);
    let answer = move |method: &str, _: &Message| match method {
        "GetCapabilities" => Reply::Texts(capabilities.iter().map(|&one| one.to_owned()).collect()),
        "Notify" => Reply::Number(next.fetch_add(1, Ordering::Relaxed)),
        _ => Reply::Nothing,
    };
    Fake::start(bus, NAME, answer).await
}

fn notifier(bus: &PrivateBus) -> Notifier {
    Notifier::new(fake::at(bus), "Passkeys", "org.cabled.Phone")
}

fn question() -> Question {
    Question {
        summary: "Sign in to bank.example?".to_owned(),
        lines: vec!["as <a href='https://evil.example'>root & co</a>\n".to_owned()],
        buttons: ["Decline", "Approve", "Show…"].map(str::to_owned).to_vec(),
        elsewhere: "Answer in the terminal.".to_owned(),
        urgent: true,
    }
}

pub(crate) type Asked =
    (String, u32, String, String, String, Vec<String>, HashMap<String, OwnedValue>, i32);

pub(crate) async fn shown(fake: &Fake, times: usize) -> Asked {
    fake.called("Notify", times).await.body().deserialize().unwrap()
}

pub(crate) async fn pressed(fake: &Fake, id: u32, key: &str) {
    fake.signal(PATH, NAME, "ActionInvoked", &(id, key)).await;
}

async fn answered(asking: tokio::task::JoinHandle<Result<Answer, Error>>) -> Result<Answer, Error> {
    timeout(PATIENCE, asking).await.unwrap().unwrap()
}

fn ask(bus: &PrivateBus) -> tokio::task::JoinHandle<Result<Answer, Error>> {
    let notifier = notifier(bus);
    tokio::spawn(async move { notifier.ask(&question()).await })
}

#[tokio::test]
async fn a_button_is_an_answer_and_takes_the_question_away() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, &["actions", "body-markup"]).await;
    let asking = ask(&bus);
    let (app, replaces, _, summary, body, actions, hints, expires) = shown(&fake, 1).await;
    assert_eq!((app.as_str(), replaces, expires), ("Passkeys", 0, 0));
    assert_eq!(summary, "Sign in to bank.example?");
    let seen = "as &lt;a href=&#39;https://evil.example&#39;&gt;root &amp; co&lt;/a&gt;\u{fffd}";
    assert_eq!(body, seen);
    let wanted = ["default", "", "button0", "Decline", "button1", "Approve", "button2", "Show…"];
    assert_eq!(actions, wanted);
    assert_eq!(u8::try_from(&hints["urgency"]).unwrap(), 2);
    assert_eq!(<&str>::try_from(&hints["desktop-entry"]).unwrap(), "org.cabled.Phone");
    // Another one's notification, keys of nobody, and a number too high.
    for (id, key) in [(9, "button1"), (1, "approve"), (1, "button3"), (1, "button01"), (1, "")] {
        pressed(&fake, id, key).await;
    }
    pressed(&fake, 1, "button1").await;
    assert_eq!(answered(asking).await.unwrap(), Answer::Pressed(1));
    let closed: u32 = fake.called("CloseNotification", 1).await.body().deserialize().unwrap();
    assert_eq!(closed, 1);
}

#[tokio::test]
async fn putting_it_aside_is_no_answer() {
    for (reason, wanted) in
        [(1_u32, Answer::Expired), (2, Answer::Dismissed), (9, Answer::Dismissed)]
    {
        let bus = PrivateBus::start().await.unwrap();
        let fake = server(&bus, &["actions"]).await;
        let asking = ask(&bus);
        shown(&fake, 1).await;
        fake.signal(PATH, NAME, "NotificationClosed", &(5_u32, reason)).await;
        fake.signal(PATH, NAME, "NotificationClosed", &(1_u32, reason)).await;
        assert_eq!(answered(asking).await.unwrap(), wanted);
        // It is gone, so nothing is withdrawn: the next thing that the service hears is the next question.
        let asking = ask(&bus);
        shown(&fake, 2).await;
        assert!(!fake.methods().contains(&"CloseNotification".to_owned()));
        pressed(&fake, 2, "default").await;
        assert_eq!(answered(asking).await.unwrap(), Answer::Opened);
    }
}

#[tokio::test]
async fn without_buttons_it_says_where_to_answer() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, &["body"]).await;
    let note = notifier(&bus).show(&question()).await.unwrap();
    assert!(!note.has_buttons());
    let (_, _, _, _, body, actions, ..) = shown(&fake, 1).await;
    assert!(actions.is_empty());
    assert!(body.ends_with("\nAnswer in the terminal."), "{body}");
    drop(note);
    fake.called("CloseNotification", 1).await;
}

#[tokio::test]
async fn two_questions_at_once_are_told_apart() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, &["actions"]).await;
    let first = ask(&bus);
    shown(&fake, 1).await;
    let second = ask(&bus);
    shown(&fake, 2).await;
    pressed(&fake, 2, "button0").await;
    pressed(&fake, 1, "button2").await;
    assert_eq!(answered(first).await.unwrap(), Answer::Pressed(2));
    assert_eq!(answered(second).await.unwrap(), Answer::Pressed(0));
}

#[tokio::test]
async fn what_a_stranger_presses_does_not_count() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus, &["actions"]).await;
    let asking = ask(&bus);
    let asked = fake.called("Notify", 1).await;
    let stranger = fake::client(&bus).await;
    let to = fake::caller(&asked);
    let yes = (1_u32, "button1");
    fake::signal(&stranger, Some(&to), PATH, NAME, "ActionInvoked", &yes).await;
    fake::signal(&stranger, None, PATH, NAME, "ActionInvoked", &yes).await;
    // Neither does the word of a stranger who says that the service left.
    let left = (NAME, asked.header().destination().unwrap().to_string(), "");
    let dbus = "org.freedesktop.DBus";
    fake::signal(&stranger, Some(&to), "/", dbus, "NameOwnerChanged", &left).await;
    pressed(&fake, 1, "button0").await;
    assert_eq!(answered(asking).await.unwrap(), Answer::Pressed(0));
}

#[tokio::test]
async fn a_service_that_restarts_is_asked_again() {
    let bus = PrivateBus::start().await.unwrap();
    let first = server(&bus, &["actions"]).await;
    let asking = ask(&bus);
    shown(&first, 1).await;
    first.vanish().await;
    let second = server(&bus, &["actions"]).await;
    shown(&second, 1).await;
    pressed(&second, 1, "button1").await;
    assert_eq!(answered(asking).await.unwrap(), Answer::Pressed(1));
}

#[tokio::test]
async fn a_service_that_vanishes_is_an_error() {
    let bus = PrivateBus::start().await.unwrap();
    let none = notifier(&bus).show(&question()).await;
    assert!(matches!(none, Err(Error::NoService(NAME))));
    let fake = server(&bus, &["actions"]).await;
    let mut note = notifier(&bus).show(&question()).await.unwrap();
    fake.vanish().await;
    let gone = timeout(PATIENCE, note.answer()).await.unwrap();
    assert!(matches!(gone, Err(Error::Vanished(NAME))));
    bus.stop().await.unwrap();
}

#[tokio::test]
async fn a_bus_that_ends_is_an_error() {
    let bus = PrivateBus::start().await.unwrap();
    let _fake = server(&bus, &["actions"]).await;
    let mut note = notifier(&bus).show(&question()).await.unwrap();
    let notifier = notifier(&bus);
    bus.stop().await.unwrap();
    let gone = timeout(PATIENCE, note.answer()).await.unwrap();
    assert!(matches!(gone, Err(Error::Vanished(NAME))));
    assert!(matches!(notifier.show(&question()).await, Err(Error::NoBus(..))));
}

/// A server that shows something only when the test says so.
async fn late(bus: &PrivateBus) -> Fake {
    let answer = |method: &str, _: &Message| match method {
        "GetCapabilities" => Reply::Texts(vec!["actions".to_owned()]),
        "Notify" => Reply::Silence,
        _ => Reply::Nothing,
    };
    Fake::start(bus, NAME, answer).await
}

#[tokio::test]
async fn a_question_that_is_shown_after_it_was_withdrawn_is_taken_away() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = late(&bus).await;
    let asking = ask(&bus);
    let asked = fake.called("Notify", 1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    fake.connection.reply(&asked.header(), &7_u32).await.unwrap();
    let closed: u32 = fake.called("CloseNotification", 1).await.body().deserialize().unwrap();
    assert_eq!(closed, 7);
}

#[tokio::test]
async fn an_answer_before_the_number_is_known_counts() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = late(&bus).await;
    let asking = ask(&bus);
    let asked = fake.called("Notify", 1).await;
    pressed(&fake, 7, "button1").await;
    fake.connection.reply(&asked.header(), &7_u32).await.unwrap();
    assert_eq!(answered(asking).await.unwrap(), Answer::Pressed(1));
}

#[tokio::test]
async fn a_service_that_keeps_silent_or_talks_nonsense_is_an_error() {
    let bus = PrivateBus::start().await.unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let answer = move |_: &str, _: &Message| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Number(5),
        1 => Reply::Error("org.freedesktop.DBus.Error.AccessDenied"),
        2 => Reply::Error("org.example.Error.No"),
        _ => Reply::Silence,
    };
    let _fake = Fake::start(&bus, NAME, answer).await;
    let notifier = notifier(&bus);
    assert!(matches!(notifier.show(&question()).await, Err(Error::Nonsense(NAME))));
    assert!(matches!(notifier.show(&question()).await, Err(Error::Denied(NAME, _))));
    assert!(matches!(notifier.show(&question()).await, Err(Error::Refused(NAME, _))));
    let silent = timeout(PATIENCE, notifier.show(&question())).await.unwrap();
    assert!(matches!(silent, Err(Error::NoAnswer(NAME, _))));
}
