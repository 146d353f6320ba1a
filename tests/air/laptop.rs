//! The laptop's service: many programs, one phone after the other, and receipts.

use std::sync::Arc;
use std::time::Duration;

use cabled::authenticator::State;
use cabled::client::ceremony::{Answer, Ceremony, Error};
use cabled::client::receipts::Receipts;
use cabled::client::service::{
    About, Error as Refused, Event, Events, Happened, MAX_RUNNING, Purpose, Service, Sources,
};
use cabled::client::{self, Progress as Step};
use cabled::ctap::Status;
use cabled::hybrid;
use serde_json::json;

use crate::world::{
    Answer as Says, NOW, ORIGIN, World, options_for, rand_core_os, request_for, soon,
};

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn service(world: &World) -> Service {
    let sources = Sources { clock: Arc::new(|| NOW.0), rng: Arc::new(|| Box::new(rand_core_os())) };
    let receipts = Receipts::at(world.folder.path().join("receipts.redb"));
    Service::new(world.laptop(), Some(receipts), sources)
}

fn registration(user: &str) -> Ceremony {
    let options = options_for(user, json!({}));
    Ceremony::register(options.as_bytes(), &ORIGIN.parse().unwrap()).unwrap()
}

/// The next event of a kind; what is before it is passed over.
pub(crate) async fn until(events: &mut Events, wanted: impl Fn(&Happened) -> bool) -> Event {
    let found = async {
        loop {
            let event = events.next().await.unwrap();
            if wanted(&event.what) {
                return event;
            }
        }
    };
    soon("an event", found).await
}

fn over(what: &Happened) -> bool {
    matches!(what, Happened::Ended(_))
}

#[tokio::test]
async fn a_registration_leaves_a_receipt_that_the_program_closes() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let mut transaction = service.begin(registration("anna")).unwrap();
    let mut events = service.events(Some(transaction.id()));
    let begun = soon("the beginning", events.next()).await.unwrap();
    let Happened::Begun(about) = begun.what else { panic!("{begun:?}") };
    let wanted = (Purpose::Register, "passkeys.example", "anna");
    assert_eq!((about.purpose(), about.rp_id(), about.user_name()), wanted);
    until(&mut events, |what| matches!(what, Happened::Step(Step::Listening))).await;
    assert_eq!(service.code(transaction.id()).as_deref(), Some(transaction.code()));
    let phone = world.scan(transaction.code());
    let answer = soon("the answer", transaction.answer()).await.unwrap();
    let Answer::Registered(response) = answer else { panic!("{answer:?}") };
    until(&mut events, over).await;
    assert_eq!(service.code(transaction.id()), None);
    phone.ends().await.unwrap();

    let [(number, receipt)] = &service.receipts().await.unwrap()[..] else { panic!() };
    assert_eq!((receipt.at, receipt.taken_at), (NOW.0, None));
    assert_eq!((&receipt.rp_id[..], &receipt.user_name[..]), ("passkeys.example", "anna"));
    assert_eq!(receipt.credential_id, response.id);
    service.taken(transaction.id()).await.unwrap();
    assert_eq!(service.taken(transaction.id()).await, Err(Refused::NoSuchTransaction));
    assert_eq!(service.receipts().await.unwrap()[0].1.taken_at, Some(NOW.0));
    let mut all = service.events(None);
    drop(transaction);
    until(&mut all, over).await;
    service.forget(*number).await.unwrap();
    assert_eq!(service.receipts().await.unwrap(), []);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_program_that_leaves_without_its_passkey_is_told_of() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let mut events = service.events(None);
    let mut transaction = service.begin(registration("anna")).unwrap();
    let phone = world.scan(transaction.code());
    soon("the answer", transaction.answer()).await.unwrap();
    phone.ends().await.unwrap();
    drop(transaction);
    let event = until(&mut events, |what| matches!(what, Happened::MayBeOrphaned(_))).await;
    let Happened::MayBeOrphaned(number) = event.what else { panic!() };
    let receipts = service.receipts().await.unwrap();
    assert!(receipts[0].0 == number && receipts[0].1.may_be_orphaned());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn whoever_lets_go_withdraws_and_whoever_watches_may_cancel() {
    let world = World::new(&[Says::Think, Says::Think]).await;
    let service = service(&world);
    for drops in [true, false] {
        let mut transaction = service.begin(registration("anna")).unwrap();
        let mut events = service.events(Some(transaction.id()));
        let phone = world.scan(transaction.code());
        until(&mut events, |what| matches!(what, Happened::Step(Step::WaitingForUser))).await;
        world.user.is_asked().await;
        if drops {
            drop(transaction);
        } else {
            service.cancel(transaction.id()).unwrap();
            let error = soon("the answer", transaction.answer()).await.unwrap_err();
            let cancelled = client::Error::Protocol(hybrid::Error::Cancelled);
            assert_eq!(error.to_string(), cancelled.to_string());
            assert_eq!(error.cause(), "cancelled");
        }
        let end = until(&mut events, over).await;
        assert!(matches!(end.what, Happened::Ended(Some(_))), "{end:?}");
        phone.ends().await.unwrap_err();
    }
    assert_eq!(world.user.withdrawn(), 2);
    assert_eq!(service.receipts().await.unwrap(), []);
    assert_eq!(service.running(), []);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn many_programs_share_one_scan_and_one_too_many_is_refused() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let all: Vec<_> =
        (0..MAX_RUNNING).map(|_| service.begin(registration("anna")).unwrap()).collect();
    assert_eq!(service.begin(registration("one more")).unwrap_err(), Refused::Busy);
    assert_eq!(service.running().len(), MAX_RUNNING);
    let mut events = service.events(None);
    for _ in 0..MAX_RUNNING {
        until(&mut events, |what| matches!(what, Happened::Step(Step::Listening))).await;
    }
    assert_eq!(crate::world::scans(&world.folder.path().join("air")), 1);
    // Each code leads to its own program.
    for (number, mut transaction) in all.into_iter().enumerate().take(3) {
        let phone = world.scan(transaction.code());
        soon("the answer", transaction.answer()).await.unwrap();
        service.taken(transaction.id()).await.unwrap();
        phone.ends().await.unwrap();
        assert_eq!(service.receipts().await.unwrap().len(), number + 1);
    }
    soon("the stop", service.stop(LONG)).await;
    assert_eq!(service.running(), []);
    assert_eq!(service.begin(registration("too late")).unwrap_err(), Refused::Stopping);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_refusal_is_an_end_with_its_status() {
    let declined = cabled::authenticator::Decision::Declined;
    let world = World::new(&[Says::Say(declined)]).await;
    let service = service(&world);
    let origin = ORIGIN.parse().unwrap();
    let options = request_for(&[], json!({}));
    let wanted = Ceremony::sign_in(options.as_bytes(), &origin, None).unwrap();
    let mut transaction = service.begin(wanted).unwrap();
    let phone = world.scan(transaction.code());
    let error = soon("the answer", transaction.answer()).await.unwrap_err();
    assert_eq!(error.cause(), "refused");
    assert!(matches!(&*error, Error::WebAuthn(client::webauthn::Error::Refused(_))), "{error:?}");
    let _hung_up = phone.ends().await;
    world.leaves_nothing().await;
}

#[tokio::test]
async fn who_speaks_ctap_gets_it_untouched_and_a_receipt_too() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let about = About::new(Purpose::Register, "passkeys.example", "anna");
    let mut carrier = service.carry(about.clone(), LONG).unwrap();
    let phone = world.scan(carrier.code());
    let said = soon("the meeting", carrier.ready()).await.unwrap();
    let info = cabled::ctap::GetInfo::decode(&said.get_info.unwrap()).unwrap();
    let request = crate::world::creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let reply = soon("the answer", carrier.call(request.message())).await.unwrap();
    assert_eq!(reply[0], Status::OK.0);
    assert!(service.receipts().await.unwrap()[0].1.may_be_orphaned());
    carrier.taken().await;
    soon("the end", carrier.finish()).await.unwrap();
    phone.ends().await.unwrap();
    assert_eq!(world.only_state(), State::Delivered);
    assert!(!service.receipts().await.unwrap()[0].1.may_be_orphaned());

    let mut events = service.events(None);
    events.skip_to_now();
    let mut impatient = service.carry(about, Duration::from_millis(20)).unwrap();
    let late = soon("the deadline", impatient.ready()).await.unwrap_err();
    assert_eq!(late.cause(), "too-late");
    soon("the end", impatient.fail(late)).await;
    until(&mut events, over).await;
    world.leaves_nothing().await;
}
