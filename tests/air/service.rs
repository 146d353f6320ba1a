//! The phone as a service: laptops, questions, front ends, and all of them at once.

use std::sync::Arc;
use std::time::Duration;

use cabled::authenticator::service::{
    Answered, Asker, Error, Event, Happened, MAX_CODE_AGE, MAX_RUNNING, Milestone, Question,
    Service, Settled, Setup, Sources, TransactionId,
};
use cabled::authenticator::{ConsentRequest, Pin, State};
use cabled::client::TransactionHandle;
use cabled::hybrid;
use cabled::hybrid::qr::{Hint, QrContents};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::world::{
    NOW, PIN, World, creation, options_for, rand_core_os, register, request_for, sign_in, soon,
};

fn service(world: &World) -> Service {
    let setup = Setup {
        locked: world.store.locked(),
        open: Some(world.store.clone()),
        radio: world.radio(),
        phone: world.phone_config(),
        engine: world.engine.clone(),
        name: None,
        standing: None,
        sources: Sources { clock: Arc::new(|| NOW), rng: Arc::new(|| Box::new(rand_core_os())) },
    };
    Service::new(setup).unwrap()
}

fn pin() -> Pin {
    Pin::new(PIN.to_owned()).unwrap()
}

fn contents(handle: &TransactionHandle) -> QrContents {
    QrContents::decode(handle.qr_text().unwrap()).unwrap()
}

/// Waits for the question of a transaction.
async fn asked(service: &Service, id: TransactionId) -> Question {
    let mut events = service.events(Some(id));
    loop {
        match soon("a question", events.next()).await.unwrap().what {
            Happened::Asked(question) => return question,
            Happened::Ended(error) => panic!("{error:?}"),
            _ => {}
        }
    }
}

/// All that happened, up to the end.
async fn story(service: &Service, id: TransactionId) -> Vec<Event> {
    let mut events = service.events(Some(id));
    let mut story = Vec::new();
    while let Some(event) = soon("the end", events.next()).await {
        story.push(event);
    }
    story
}

fn approving(service: &Service, id: TransactionId) -> JoinHandle<Question> {
    let service = service.clone();
    tokio::spawn(async move {
        let question = asked(&service, id).await;
        service.approve(question.id, 0, pin()).await.unwrap();
        question
    })
}

#[tokio::test]
async fn a_passkey_is_made_and_used_and_the_story_is_told() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let id = service.submit(contents(&handle), false).unwrap();
    let approved = approving(&service, id);
    let info = world.info(&mut handle).await;
    let made = register(handle, &info, &options_for("anna", json!({}))).await.unwrap();
    let question = approved.await.unwrap();
    assert_eq!(question.asker, Asker::Laptop(id));
    assert!(
        matches!(&question.request, ConsentRequest::Save { rp_id, .. } if rp_id == "passkeys.example")
    );
    let story = story(&service, id).await;
    assert!(story.iter().zip(0..).all(|(event, number)| event.number == number));
    let mut what = story.iter().map(|event| &event.what);
    let mut find = |wanted: fn(&Happened) -> bool| assert!(what.any(wanted), "{story:?}");
    find(|what| matches!(what, Happened::Scanned));
    find(|what| matches!(what, Happened::OpeningTunnel));
    find(|what| matches!(what, Happened::Advertising));
    find(|what| matches!(what, Happened::Connected { .. }));
    find(|what| matches!(what, Happened::Asked(_)));
    find(|what| matches!(what, Happened::Settled { how: Settled::Approved, .. }));
    find(
        |what| matches!(what, Happened::Answered(Answered::Saved(whom)) if whom.account == "anna"),
    );
    find(|what| matches!(what, Happened::Acknowledged));
    find(|what| matches!(what, Happened::Ended(None)));
    assert_eq!(service.vault().passkeys().await.unwrap()[0].state, State::Delivered);

    let (mut handle, _) = world.begin(Hint::GetAssertion);
    let id = service.submit(contents(&handle), false).unwrap();
    let approved = approving(&service, id);
    let info = world.info(&mut handle).await;
    sign_in(handle, &info, &request_for(&[&made.id.0], json!({})), 0).await.unwrap();
    approved.await.unwrap();
    assert_eq!(service.vault().passkeys().await.unwrap()[0].state, State::Used);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_laptop_that_goes_withdraws_its_question_from_all_front_ends() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let id = service.submit(contents(&handle), false).unwrap();
    let info = world.info(&mut handle).await;
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let question = {
        let mut call = std::pin::pin!(handle.call(pending.message()));
        tokio::select! {
            reply = &mut call => panic!("{reply:?}"),
            question = asked(&service, id) => question,
        }
    };
    drop(handle);
    let story = story(&service, id).await;
    let withdrawn = |event: &Event| matches!(event.what, Happened::Settled { question: q, how: Settled::Withdrawn } if q == question.id);
    assert!(story.iter().any(withdrawn), "{story:?}");
    let late = service.approve(question.id, 0, pin()).await;
    assert!(matches!(late, Err(Error::NoSuchQuestion)));
    assert!(service.vault().passkeys().await.unwrap().is_empty());
    world.leaves_nothing().await;
}

#[tokio::test]
async fn two_laptops_are_answered_at_once() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let mut both = Vec::new();
    for name in ["anna", "ben"] {
        let (handle, _) = world.begin(Hint::MakeCredential);
        let id = service.submit(contents(&handle), false).unwrap();
        both.push((name, handle, id));
    }
    let [(_, mut one, first), (_, mut two, second)] = <[_; 2]>::try_from(both).ok().unwrap();
    let info = world.info(&mut one).await;
    let first_made = tokio::spawn({
        let info = info.clone();
        async move { register(one, &info, &options_for("anna", json!({}))).await.unwrap() }
    });
    let question = asked(&service, first).await;
    // While the first user thinks, the second is served.
    let approved = approving(&service, second);
    let info = world.info(&mut two).await;
    register(two, &info, &options_for("ben", json!({}))).await.unwrap();
    approved.await.unwrap();
    assert_eq!(service.questions(), std::slice::from_ref(&question));
    service.approve(question.id, 0, pin()).await.unwrap();
    first_made.await.unwrap();
    assert_eq!(service.vault().passkeys().await.unwrap().len(), 2);
    world.leaves_nothing().await;
}

/// What a phone that vanished leaves: no passkey, or one that nobody confirmed.
async fn vanished(world: World, service: Service, id: TransactionId, left: &[State]) {
    let story = story(&service, id).await;
    let last = story.last().map(|event| &event.what);
    assert!(matches!(last, Some(Happened::Ended(Some(_)))), "{story:?}");
    assert!(!story.iter().any(|event| matches!(event.what, Happened::Acknowledged)), "{story:?}");
    let states: Vec<_> = world.passkeys().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, left);
    drop(service);
    world.leaves_nothing().await;
}

#[tokio::test]
async fn a_phone_may_vanish_once_its_answer_is_out() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let id = service.submit_until(contents(&handle), false, Milestone::Answered).unwrap();
    let approved = approving(&service, id);
    let info = world.info(&mut handle).await;
    // The laptop has the answer all the same, which the phone never learns.
    let pending = creation(&options_for("anna", json!({}))).request(&info).unwrap();
    let reply = soon("an answer", handle.call(pending.message())).await.unwrap();
    pending.finish(&reply).unwrap();
    let _gone_already = soon("the end", handle.finish()).await;
    approved.await.unwrap();
    vanished(world, service, id, &[State::Created]).await;
}

#[tokio::test]
async fn a_phone_may_vanish_when_it_is_asked_or_before() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let (mut handle, _) = world.begin(Hint::MakeCredential);
    let id = service.submit(contents(&handle), false).unwrap();
    let info = world.info(&mut handle).await;
    let laptop = tokio::spawn(async move {
        register(handle, &info, &options_for("anna", json!({}))).await.unwrap_err()
    });
    asked(&service, id).await;
    service.vanish(id).unwrap();
    assert!(matches!(service.vanish(id), Err(Error::NoSuchTransaction)));
    // The tunnel service saw it go.
    soon("the laptop's error", laptop).await.unwrap();
    assert!(service.questions().is_empty());

    let (handle, _) = world.begin(Hint::MakeCredential);
    let early = service.submit_until(contents(&handle), false, Milestone::Advertising).unwrap();
    let story = story(&service, early).await;
    assert!(story.iter().any(|event| matches!(event.what, Happened::Advertising)), "{story:?}");
    assert!(!story.iter().any(|event| matches!(event.what, Happened::Connected { .. })));
    drop(handle);
    vanished(world, service, id, &[]).await;
}

#[tokio::test]
async fn what_cannot_be_begun_is_refused() {
    let world = World::new(&[]).await;
    let service = service(&world);
    let (handle, _) = world.begin(Hint::MakeCredential);
    let fresh = contents(&handle);
    let old = QrContents { shown_at: Some(NOW.0 - MAX_CODE_AGE.as_secs() - 1), ..fresh.clone() };
    let refused = service.submit(old.clone(), false);
    assert!(matches!(refused, Err(Error::CodeTooOld { seconds: 901 })), "{refused:?}");
    service.vault().lock();
    assert!(matches!(service.submit(fresh.clone(), false), Err(Error::Locked)));
    service.vault().unlock(pin()).await.unwrap();
    let mut ids = vec![service.submit(old, true).unwrap()];
    ids.extend((1..MAX_RUNNING).map(|_| service.submit(fresh.clone(), false).unwrap()));
    assert!(matches!(service.submit(fresh.clone(), false), Err(Error::Busy)));
    // One that is cancelled makes room as soon as it is over.
    service.cancel(ids[0]).unwrap();
    let ended = story(&service, ids[0]).await.pop().unwrap().what;
    assert!(matches!(ended, Happened::Ended(Some(_))), "{ended:?}");
    assert!(matches!(service.cancel(ids[0]), Err(Error::NoSuchTransaction)));
    ids.push(service.submit(fresh.clone(), false).unwrap());
    service.stop(Duration::from_secs(20)).await;
    for id in ids {
        let Some(Happened::Ended(Some(error))) = story(&service, id).await.pop().map(|e| e.what)
        else {
            panic!("not ended in order")
        };
        let protocol =
            |e: &_| matches!(e, cabled::authenticator::Error::Protocol(hybrid::Error::Cancelled));
        assert!(protocol(&error), "{error:?}");
    }
    assert!(matches!(service.submit(fresh, false), Err(Error::Stopping)));
    drop(handle);
    world.leaves_nothing().await;
}
