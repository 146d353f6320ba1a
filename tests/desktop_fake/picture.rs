//! The screen, through the portal.

use std::collections::HashMap;
use std::path::Path;

use cabled::desktop::Error;
use cabled::desktop::portal::{self, Look};
use cabled::testbed::PrivateBus;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zbus::message::Message;
use zbus::zvariant::{OwnedValue, Value};

use crate::fake::{self, Fake, PATIENCE, Reply};

const NAME: &str = "org.freedesktop.portal.Desktop";
pub(crate) const REQUEST: &str = "org.freedesktop.portal.Request";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot really";

pub(crate) type Asked = (String, HashMap<String, OwnedValue>);

fn token(call: &Message) -> String {
    let (_, options): Asked = call.body().deserialize().unwrap();
    String::try_from(options["handle_token"].try_clone().unwrap()).unwrap()
}

pub(crate) fn request(call: &Message) -> String {
    let sender = fake::caller(call).trim_start_matches(':').replace('.', "_");
    format!("/org/freedesktop/portal/desktop/request/{sender}/{}", token(call))
}

pub(crate) async fn server(bus: &PrivateBus) -> Fake {
    let answer = |method: &str, call: &Message| match method {
        "Screenshot" => Reply::Path(request(call)),
        _ => Reply::Nothing,
    };
    Fake::start(bus, NAME, answer).await
}

fn look(bus: &PrivateBus, most: u64) -> JoinHandle<Result<Look, Error>> {
    let bus = fake::at(bus);
    tokio::spawn(async move { portal::screenshot(&bus, "cabled1", most).await })
}

async fn ended(task: JoinHandle<Result<Look, Error>>) -> Result<Look, Error> {
    timeout(PATIENCE, task).await.unwrap().unwrap()
}

pub(crate) async fn respond(fake: &Fake, call: &Message, code: u32, file: Option<&Path>) {
    let uri = file.map(|file| ("uri", Value::from(format!("file://{}", file.display()))));
    let results: HashMap<&str, Value<'_>> = uri.into_iter().collect();
    fake.signal(&request(call), REQUEST, "Response", &(code, results)).await;
}

fn is_interactive(call: &Message) -> bool {
    let (parent, options): Asked = call.body().deserialize().unwrap();
    assert_eq!(parent, "");
    bool::try_from(&options["interactive"]).unwrap()
}

#[tokio::test]
async fn the_picture_is_read_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Screenshot.png");
    std::fs::write(&file, PNG).unwrap();
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus).await;
    let task = look(&bus, 1000);
    let call = fake.called("Screenshot", 1).await;
    assert!(!is_interactive(&call));
    respond(&fake, &call, 0, Some(&file)).await;
    let Look::Picture(bytes) = ended(task).await.unwrap() else { panic!("no picture") };
    assert_eq!(bytes, PNG);
    assert!(!file.exists());
}

#[tokio::test]
async fn a_desktop_that_wants_to_ask_is_let_ask() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Screenshot.png");
    std::fs::write(&file, PNG).unwrap();
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus).await;
    let task = look(&bus, 1000);
    let call = fake.called("Screenshot", 1).await;
    respond(&fake, &call, 2, None).await;
    let again = fake.called("Screenshot", 2).await;
    assert!(is_interactive(&again) && token(&again) != token(&call));
    respond(&fake, &again, 0, Some(&file)).await;
    assert!(matches!(ended(task).await, Ok(Look::Picture(bytes)) if bytes == PNG));
}

#[tokio::test]
async fn a_user_who_declines_is_not_asked_again() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus).await;
    let task = look(&bus, 1000);
    let call = fake.called("Screenshot", 1).await;
    // A stranger's answer first.
    let stranger = fake::client(&bus).await;
    let own = HashMap::from([("uri", Value::from("file:///etc/hostname.png"))]);
    let to = fake::caller(&call);
    let body = (0_u32, own);
    fake::signal(&stranger, Some(&to), &request(&call), REQUEST, "Response", &body).await;
    respond(&fake, &call, 1, None).await;
    assert!(matches!(ended(task).await, Ok(Look::Declined)));
    assert_eq!(fake.methods(), ["Screenshot"]);
}

#[tokio::test]
async fn pictures_that_are_no_good() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.png");
    std::fs::write(&large, [PNG, &[0; 2000]].concat()).unwrap();
    for file in [large.as_path(), Path::new("/nonexistent/a.png"), folder.path()] {
        let bus = PrivateBus::start().await.unwrap();
        let fake = server(&bus).await;
        let task = look(&bus, 1000);
        let call = fake.called("Screenshot", 1).await;
        respond(&fake, &call, 0, Some(file)).await;
        let ended = ended(task).await;
        let told = matches!(ended, Err(Error::Picture(_) | Error::Nonsense(NAME)));
        assert!(told, "{ended:?}");
    }
    assert!(large.exists());
}

#[tokio::test]
async fn a_look_that_is_withdrawn_closes_the_dialog() {
    let bus = PrivateBus::start().await.unwrap();
    let fake = server(&bus).await;
    let task = look(&bus, 1000);
    fake.called("Screenshot", 1).await;
    task.abort();
    fake.called("Close", 1).await;
}

#[tokio::test]
async fn a_portal_that_is_not_there_or_vanishes() {
    let bus = PrivateBus::start().await.unwrap();
    assert!(matches!(ended(look(&bus, 1000)).await, Err(Error::NoService(NAME))));
    let fake = server(&bus).await;
    let task = look(&bus, 1000);
    fake.called("Screenshot", 1).await;
    fake.vanish().await;
    assert!(matches!(ended(task).await, Err(Error::Vanished(NAME))));
}
