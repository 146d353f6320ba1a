//! Phones that are remembered: linked with a code, then rung without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cabled::authenticator::service::{
    Happened as Phoned, Listening, Occasion, Question, Service as Phone, Settled, Setup,
    Sources as Inside,
};
use cabled::authenticator::{Pin, Timestamp, Verification};
use cabled::client::ceremony::{Answer, Ceremony, Error};
use cabled::client::phones::Phones;
use cabled::client::service::{Event, Events, Happened, Service, Sources, Transaction, Way};
use cabled::client::{self, Progress as Step};
use cabled::secret::Secret;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::laptop::until;
use crate::world::{NOW, ORIGIN, PIN, World, options_for, rand_core_os, request_for, soon};

/// Both services over one relay and one air, and the time that they go by.
struct Pair {
    world: World,
    laptop: Service,
    phone: Phone,
    listening: JoinHandle<()>,
    now: Arc<AtomicU64>,
}

fn phone(world: &World, now: &Arc<AtomicU64>, standing: bool) -> Phone {
    let now = Arc::clone(now);
    let setup = Setup {
        locked: world.store.locked(),
        open: Some(world.store.clone()),
        radio: world.radio(),
        phone: world.phone_config(),
        engine: world.engine.clone(),
        name: Some("Anna's phone".to_owned()),
        standing: standing.then(Verification::standing_approval),
        sources: Inside {
            clock: Arc::new(move || Timestamp(now.load(Ordering::SeqCst))),
            rng: Arc::new(|| Box::new(rand_core_os())),
        },
    };
    Phone::new(setup).unwrap()
}

fn laptop(world: &World) -> Service {
    let keyring: cabled::client::phones::Keyring =
        Arc::new(|_| Box::pin(async { Ok(Some(Secret::new([7; 32]))) }));
    let phones = Phones::at(world.folder.path().join("phones"), keyring);
    let sources = Sources { clock: Arc::new(|| NOW.0), rng: Arc::new(|| Box::new(rand_core_os())) };
    Service::remembering(world.laptop(), None, Some(phones), sources)
}

impl Pair {
    /// `standing`: the phone's user agrees to everything.
    async fn new(standing: bool) -> Self {
        let world = World::new(&[]).await;
        let now = Arc::new(AtomicU64::new(NOW.0));
        let (laptop, phone) = (laptop(&world), phone(&world, &now, standing));
        let listening = phone.clone();
        let listening = tokio::spawn(async move { listening.listen().await });
        Self { world, laptop, phone, listening, now }
    }

    /// Registers a passkey with a code, and has the phone remembered.
    async fn link(&self) -> String {
        let way = Way::code_to_remember();
        let mut transaction = self.laptop.begin_by(way, registration()).unwrap();
        let mut events = self.laptop.events(Some(transaction.id()));
        self.phone.submit_text(transaction.code(), false).unwrap();
        let answer = soon("the answer", transaction.answer()).await.unwrap();
        assert!(matches!(answer, Answer::Registered(_)));
        // Not behind the answer: a laptop that has that may hang up at once.
        let linked = |what: &Happened| matches!(what, Happened::Linked(_) | Happened::Answered);
        let linked = until(&mut events, linked).await;
        let Happened::Linked(name) = linked.what else { panic!("answered before it was linked") };
        ended(&mut events).await;
        self.is(|state| *state == Listening::Yes).await;
        name
    }

    /// The question that is open.
    async fn question(&self) -> Question {
        let mut events = self.phone.events(None);
        loop {
            if let Phoned::Asked(question) = soon("a question", events.next()).await.unwrap().what
                && self.phone.questions().iter().any(|open| open.id == question.id)
            {
                return question;
            }
        }
    }

    /// The same with a user who is asked, and agrees.
    async fn link_and_agree(&self) -> String {
        let agreeing = async {
            let question = self.question().await;
            assert_eq!(question.occasion, Occasion::WantsLink);
            let pin = Pin::new(PIN.to_owned()).unwrap();
            self.phone.approve(question.id, 0, pin).await.unwrap();
        };
        let (name, ()) = tokio::join!(self.link(), agreeing);
        name
    }

    /// Rings; the user declines if asked. The cause of the end.
    async fn in_vain(&self, name: &str, comes: bool) -> &'static str {
        let (mut transaction, mut events) = self.ring(name).await;
        if comes {
            self.phone.decline(self.question().await.id).unwrap();
        }
        let error = soon("an end", transaction.answer()).await.unwrap_err();
        ended(&mut events).await;
        cause(&error)
    }

    async fn is(&self, wanted: impl Fn(&Listening) -> bool) {
        let mut state = self.phone.listening();
        soon("listening", state.wait_for(|state| wanted(state))).await.unwrap();
    }

    async fn ring(&self, name: &str) -> (Transaction, Events) {
        let phone = self.laptop.phones().unwrap().find(name).await.unwrap();
        self.begin(Way::ring(phone))
    }

    /// Rings the phone, and is answered.
    async fn signs_in(&self, name: &str) {
        let (mut transaction, _) = self.ring(name).await;
        soon("the answer", transaction.answer()).await.unwrap();
    }

    fn begin(&self, way: Way) -> (Transaction, Events) {
        let options = request_for(&[], json!({}));
        let wanted = Ceremony::sign_in(options.as_bytes(), &ORIGIN.parse().unwrap(), None).unwrap();
        let transaction = self.laptop.begin_by(way, wanted).unwrap();
        let events = self.laptop.events(Some(transaction.id()));
        (transaction, events)
    }

    /// Later, so that the phone is not rung too often.
    fn a_while_later(&self) {
        self.now.fetch_add(1000, Ordering::SeqCst);
    }

    async fn over(self) {
        self.listening.abort();
        let _aborted = self.listening.await;
        self.phone.stop(Duration::from_secs(5)).await;
        self.laptop.stop(Duration::from_secs(5)).await;
        drop((self.phone, self.laptop));
        self.world.leaves_nothing().await;
    }
}

fn registration() -> Ceremony {
    let options = options_for("anna", json!({}));
    Ceremony::register(options.as_bytes(), &ORIGIN.parse().unwrap()).unwrap()
}

async fn ended(events: &mut Events) -> Event {
    until(events, |what| matches!(what, Happened::Ended(_))).await
}

/// The cause of an end that is no good one.
fn cause(error: &Error) -> &'static str {
    error.cause()
}

#[tokio::test]
async fn a_phone_that_is_remembered_comes_when_it_is_rung() {
    let pair = Pair::new(true).await;
    assert_eq!(pair.link().await, "Anna's phone");
    let [link] = &pair.phone.vault().links().await.unwrap()[..] else { panic!("one link") };
    assert_eq!((link.rp_id.as_str(), link.rung_at), ("passkeys.example", None));
    for _ in 0..2 {
        pair.a_while_later();
        let mut told = pair.phone.events(None);
        told.skip_to_now();
        let (mut transaction, mut events) = pair.ring("Anna's phone").await;
        assert_eq!(transaction.code(), "");
        until(&mut events, |what| matches!(what, Happened::Step(Step::Ringing))).await;
        let answer = soon("the answer", transaction.answer()).await.unwrap();
        assert!(matches!(answer, Answer::SignedIn(_)));
        assert!(matches!(ended(&mut events).await.what, Happened::Ended(None)));
        let rung = async {
            while !matches!(told.next().await.unwrap().what, Phoned::Rung) {}
            while !matches!(told.next().await.unwrap().what, Phoned::Ended(None)) {}
        };
        soon("the phone's story", rung).await;
    }
    let links = pair.phone.vault().links().await.unwrap();
    assert_eq!(links[0].rung_at, Some(Timestamp(NOW.0 + 2000)));
    let phones = pair.laptop.phones().unwrap().list().await.unwrap();
    assert_eq!((phones.len(), phones[0].used_at), (1, Some(NOW.0)));
    pair.over().await;
}

#[tokio::test]
async fn rings_to_which_the_user_agrees_may_come_as_often_as_they_like() {
    let pair = Pair::new(true).await;
    let name = pair.link().await;
    // All in the same second.
    for _ in 0..8 {
        let (mut transaction, mut events) = pair.ring(&name).await;
        soon("the answer", transaction.answer()).await.unwrap();
        ended(&mut events).await;
    }
    pair.over().await;
}

#[tokio::test]
async fn a_phone_that_has_forgotten_is_forgotten_too() {
    let pair = Pair::new(true).await;
    let name = pair.link().await;
    let id = pair.phone.vault().links().await.unwrap()[0].id;
    // Another laptop is remembered too, so that the phone goes on listening.
    let way = Way::code_to_remember();
    let mut second = pair.laptop.begin_by(way, registration()).unwrap();
    pair.phone.submit_text(second.code(), false).unwrap();
    soon("the answer", second.answer()).await.unwrap();
    pair.phone.vault().forget_link(id).await.unwrap();
    let links = pair.phone.vault().links().await.unwrap();
    assert!(links.iter().all(|link| link.id != id));
    drop(second);
    pair.is(|state| *state == Listening::Yes).await;
    // This laptop now has the newer link; with the older one it is turned away for good.
    let phones = pair.laptop.phones().unwrap();
    let mut device = phones.find(&name).await.unwrap().device;
    device.link_id.0 = id;
    phones.remember(device, NOW.0, &mut rand_core_os()).await.unwrap();
    pair.a_while_later();
    let (mut transaction, _) = pair.ring(&name).await;
    let error = soon("the refusal", transaction.answer()).await.unwrap_err();
    assert_eq!(cause(&error), "unlinked");
    assert_eq!(phones.list().await.unwrap(), []);
    drop(transaction);
    pair.over().await;
}

#[tokio::test]
async fn the_last_laptop_that_is_forgotten_is_told_so_when_it_rings_and_then_nobody_can() {
    let pair = Pair::new(true).await;
    let name = pair.link().await;
    let id = pair.phone.vault().links().await.unwrap()[0].id;
    pair.is(|state| *state == Listening::Yes).await;
    pair.phone.vault().forget_link(id).await.unwrap();
    assert_eq!(pair.phone.vault().links().await.unwrap(), []);
    pair.is(|state| *state == Listening::ForForgotten).await;
    // Also when the phone was locked, or switched off, in between.
    pair.phone.vault().lock();
    pair.is(|state| *state == Listening::No).await;
    pair.phone.vault().unlock(Pin::new(PIN.to_owned()).unwrap()).await.unwrap();
    pair.is(|state| *state == Listening::ForForgotten).await;
    let (mut transaction, _) = pair.ring(&name).await;
    let error = soon("the refusal", transaction.answer()).await.unwrap_err();
    assert_eq!(cause(&error), "unlinked");
    assert_eq!(pair.laptop.phones().unwrap().list().await.unwrap(), []);
    pair.is(|state| *state == Listening::No).await;
    drop(transaction);
    pair.over().await;
}

#[tokio::test]
async fn a_phone_that_is_locked_cannot_be_rung_and_is_not_forgotten() {
    let pair = Pair::new(true).await;
    let name = pair.link().await;
    pair.phone.vault().lock();
    pair.is(|state| *state == Listening::No).await;
    // The relay hears of it a moment later.
    let error = loop {
        let (mut transaction, _) = pair.ring(&name).await;
        let error = soon("the refusal", transaction.answer()).await.unwrap_err();
        if cause(&error) == "phone-away" {
            break error;
        }
        pair.a_while_later();
    };
    assert!(matches!(&*error, Error::Transaction(client::Error::Ring { .. })));
    assert_eq!(pair.laptop.phones().unwrap().list().await.unwrap().len(), 1);
    pair.phone.vault().unlock(Pin::new(PIN.to_owned()).unwrap()).await.unwrap();
    pair.is(|state| *state == Listening::Yes).await;
    pair.a_while_later();
    pair.signs_in(&name).await;
    pair.over().await;
}

#[tokio::test]
async fn a_code_is_shown_where_the_phone_does_not_come() {
    let pair = Pair::new(true).await;
    let name = pair.link().await;
    pair.phone.vault().lock();
    pair.is(|state| *state == Listening::No).await;
    pair.phone.vault().unlock(Pin::new(PIN.to_owned()).unwrap()).await.unwrap();
    // It is back, but nobody listens for it.
    pair.listening.abort();
    let known = pair.laptop.phones().unwrap().find(&name).await.unwrap();
    let (mut transaction, mut events) = pair.begin(Way::ring_or_code(Some(known)));
    until(&mut events, |what| matches!(what, Happened::Step(Step::Ringing))).await;
    let note = until(&mut events, |what| matches!(what, Happened::Note(_))).await;
    let Happened::Note(words) = note.what else { panic!() };
    assert!(words.starts_with("Anna's phone was rung and did not come ("), "{words}");
    until(&mut events, |what| matches!(what, Happened::Step(Step::Listening))).await;
    let code = pair.laptop.code(transaction.id()).unwrap();
    pair.phone.submit_text(&code, false).unwrap();
    let answer = soon("the answer", transaction.answer()).await.unwrap();
    assert!(matches!(answer, Answer::SignedIn(_)));
    assert!(matches!(ended(&mut events).await.what, Happened::Ended(None)));
    drop(transaction);
    pair.over().await;
}

#[tokio::test]
async fn the_user_is_told_what_agreeing_means_and_may_decline_a_ring() {
    let pair = Pair::new(false).await;
    let name = pair.link_and_agree().await;
    pair.a_while_later();
    let (mut transaction, _) = pair.ring(&name).await;
    let question = pair.question().await;
    assert_eq!(question.occasion, Occasion::Rung);
    pair.phone.decline(question.id).unwrap();
    let error = soon("the refusal", transaction.answer()).await.unwrap_err();
    assert_eq!(cause(&error), "refused");
    drop(transaction);
    let mut events = pair.phone.events(None);
    let declined = async {
        loop {
            let what = events.next().await.unwrap().what;
            if matches!(what, Phoned::Settled { how: Settled::Declined, .. }) {
                return;
            }
        }
    };
    soon("the decline", declined).await;
    pair.over().await;
}

#[tokio::test]
async fn who_rings_all_the_time_is_not_heard() {
    let pair = Pair::new(false).await;
    let name = pair.link_and_agree().await;
    for _ in 0..3 {
        assert_eq!(pair.in_vain(&name, true).await, "refused");
    }
    assert_eq!(pair.in_vain(&name, false).await, "phone-away");
    pair.a_while_later();
    assert_eq!(pair.in_vain(&name, true).await, "refused");
    pair.over().await;
}

#[tokio::test]
async fn nobody_is_remembered_who_does_not_ask_or_where_it_is_not_wanted() {
    let pair = Pair::new(true).await;
    let mut transaction = pair.laptop.begin(registration()).unwrap();
    pair.phone.submit_text(transaction.code(), false).unwrap();
    soon("the answer", transaction.answer()).await.unwrap();
    drop(transaction);
    assert_eq!(pair.phone.vault().links().await.unwrap(), []);
    assert_eq!(pair.laptop.phones().unwrap().list().await.unwrap(), []);
    assert_eq!(*pair.phone.listening().borrow(), Listening::No);
    pair.over().await;
}
