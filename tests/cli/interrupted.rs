//! Ctrl-C and sudden death at each step. The side that is not under test is the library's, so that
//! it can be held at any point.

use cabled::hybrid::qr::Hint;
use serde_json::json;

use crate::program::Program;
use crate::three::{Place, relay};
use crate::world::{Answer, Scanning, World, creation, options_for, request_for, soon};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Blow {
    CtrlC,
    Terminate,
    OtherSideDies,
    RelayDies,
}

async fn world(place: &Place, script: &[Answer]) -> World {
    let mut world = World::new(script).await;
    world.laptop_url = place.url.parse().unwrap();
    world.phone_url = place.url.parse().unwrap();
    world
}

/// A laptop's process, and a phone of the library on the same air.
fn laptop(place: &Place, world: &World) -> (Program, String) {
    let air = format!("air:{}", world.folder.path().join("air").to_str().unwrap());
    let mut laptop = Program::start(&[
        "register",
        "--rp-id",
        "passkeys.example",
        "--user",
        "anna",
        "--radio",
        &air,
        "--relay",
        &place.url,
        "--qr",
        "url",
    ]);
    let code = laptop.begins("FIDO:/");
    (laptop, code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_laptop_is_interrupted_while_it_shows_the_code() {
    let place = Place::new();
    let world = world(&place, &[]).await;
    for signal in ["INT", "TERM"] {
        let (mut laptop, _) = laptop(&place, &world);
        laptop.begins("Scan this code");
        laptop.signal(signal);
        let (error, hint) = laptop.end().failed(130);
        assert_eq!(error, "cancelled");
        assert!(hint.contains("when you are ready"), "{hint}");
    }
    world.leaves_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_laptop_waits_for_the_phones_user() {
    for (blow, status, error, hint) in [
        (Blow::CtrlC, 130, "cancelled", "when you are ready"),
        (Blow::Terminate, 130, "cancelled", "when you are ready"),
        (Blow::OtherSideDies, 4, "the phone's answer", "phone"),
        (Blow::RelayDies, 5, "the connection was lost", "internet connection"),
    ] {
        let place = Place::new();
        let world = world(&place, &[Answer::Think]).await;
        let (mut laptop, code) = laptop(&place, &world);
        let phone = world.scan(&code);
        laptop.begins("Follow the steps");
        world.user.is_asked().await;
        let phone = strike(blow, &laptop, &place, phone).await;
        let (said, advised) = laptop.end().failed(status);
        assert!(said.contains(error), "{blow:?}: {said}");
        assert!(advised.contains(hint), "{blow:?}: {advised}");
        if let Some(phone) = phone {
            phone.ends().await.unwrap_err();
        }
        assert_eq!(world.user.withdrawn(), 1, "{blow:?}");
        assert!(world.passkeys().is_empty());
        world.leaves_nothing().await;
    }
}

async fn strike(blow: Blow, program: &Program, place: &Place, other: Scanning) -> Option<Scanning> {
    match blow {
        Blow::CtrlC => program.signal("INT"),
        Blow::Terminate => program.signal("TERM"),
        Blow::OtherSideDies => {
            other.dies().await;
            return None;
        }
        Blow::RelayDies => place.relay.signal("KILL"),
    }
    Some(other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_laptop_dies_while_the_phones_user_thinks() {
    let place = Place::new();
    let world = world(&place, &[Answer::Think]).await;
    let (laptop, code) = laptop(&place, &world);
    let phone = world.scan(&code);
    world.user.is_asked().await;
    laptop.signal("KILL");
    let error = phone.ends().await.unwrap_err();
    assert!(matches!(error, cabled::authenticator::Error::Broken { .. }), "{error:?}");
    assert_eq!((world.user.withdrawn(), world.passkeys().len()), (1, 0));
    drop(laptop);
    // The socket that the dead laptop left in the air is gone since the phone sent to it, or since
    // the laptop had stopped listening.
    world.leaves_nothing().await;
}

/// A phone's process with its own air, which is the place's.
async fn beside(place: &Place) -> World {
    let mut world = world(place, &[]).await;
    world.air = Some(place.folder.path().join("air"));
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_is_interrupted_before_the_laptop_comes() {
    for signal in ["INT", "TERM"] {
        let place = Place::new();
        let offer = cabled::hybrid::client::QrOffer::new(
            &mut crate::world::rng(5),
            Hint::MakeCredential,
            0,
            false,
            false,
        );
        let mut phone = place.phone(&offer.contents.encode(), &[]);
        phone.begins("Showing");
        phone.signal(signal);
        let (error, hint) = phone.end().failed(130);
        assert_eq!(error, "cancelled");
        assert!(hint.contains("scan a new code"), "{hint}");
        assert!(place.listed().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_waits_for_a_request() {
    for (blow, status, error) in
        [(Blow::CtrlC, 130, "cancelled"), (Blow::RelayDies, 5, "the connection was lost")]
    {
        let place = Place::new();
        let world = beside(&place).await;
        let (mut handle, _) = world.begin(Hint::MakeCredential);
        let mut phone = place.phone(handle.qr_text().unwrap(), &[]);
        soon("the meeting", handle.ready()).await.unwrap();
        phone.begins("Connected");
        match blow {
            Blow::RelayDies => place.relay.signal("KILL"),
            _ => phone.signal("INT"),
        }
        let (said, _) = phone.end().failed(status);
        assert!(said.contains(error), "{said}");
        assert!(place.listed().is_empty());
        drop(handle);
        world.leaves_nothing_running().await;
    }
}

/// The phone has answered, and its laptop does not say that it has the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_waits_to_hear_that_its_answer_arrived() {
    for (blow, status) in [(Blow::CtrlC, 130), (Blow::OtherSideDies, 4), (Blow::RelayDies, 5)] {
        let place = Place::new();
        let mut world = beside(&place).await;
        let (mut handle, _) = world.begin(Hint::MakeCredential);
        let mut phone = place.phone(handle.qr_text().unwrap(), &[]);
        let said = soon("the meeting", handle.ready()).await.unwrap();
        let info = cabled::ctap::GetInfo::decode(&said.get_info.unwrap()).unwrap();
        let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
        let reply = soon("an answer", handle.call(pending.message())).await.unwrap();
        phone.begins("Passkey saved");
        match blow {
            Blow::CtrlC | Blow::Terminate => phone.signal("INT"),
            Blow::OtherSideDies | Blow::RelayDies => place.relay.signal(match blow {
                // A relay that stops in order says that the other side is gone.
                Blow::OtherSideDies => "TERM",
                _ => "KILL",
            }),
        }
        let (said, advised) = phone.end().failed(status);
        assert!(said.contains("the laptop did not confirm that it has it"), "{said}");
        assert!(advised.contains("orphan") && advised.contains("passkeys"), "{advised}");
        let listed = serde_json::to_string(&place.listed()).unwrap();
        assert!(listed.contains("orphan") || listed.contains("\"created\""), "{listed}");
        drop(handle);

        // The laptop has it all the same, and a sign-in by name clears the doubt.
        let made = pending.finish(&reply).unwrap();
        let (_relay, url) = relay(&[]);
        world.laptop_url = url.parse().unwrap();
        let again = Place { url, ..place };
        let (mut handle, _) = world.begin(Hint::GetAssertion);
        let phone = again.phone(handle.qr_text().unwrap(), &[]);
        let said = soon("the meeting", handle.ready()).await.unwrap();
        let info = cabled::ctap::GetInfo::decode(&said.get_info.unwrap()).unwrap();
        let options = request_for(&[&made.id.0], json!({}));
        crate::world::sign_in(handle, &info, &options, 0).await.unwrap();
        phone.end().succeeded();
        let listed = serde_json::to_string(&again.listed()).unwrap();
        assert!(listed.contains("\"used\""), "{listed}");
        world.leaves_nothing_running().await;
    }
}

/// A phone that is killed keeps what it saved, marked; its store opens again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_dies_after_its_answer() {
    let place = Place::new();
    let world = beside(&place).await;
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let mut phone = place.phone(handle.qr_text().unwrap(), &[]);
    let said = soon("the meeting", handle.ready()).await.unwrap();
    let info = cabled::ctap::GetInfo::decode(&said.get_info.unwrap()).unwrap();
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    soon("an answer", handle.call(pending.message())).await.unwrap();
    phone.begins("Passkey saved");
    phone.signal("KILL");
    assert_eq!(phone.end().status.code(), None);
    let listed = serde_json::to_string(&place.listed()).unwrap();
    assert!(listed.contains("orphan") || listed.contains("\"created\""), "{listed}");
    drop(handle);
    world.leaves_nothing_running().await;
}
