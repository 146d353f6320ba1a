//! Questions, events and the lock, without any laptop; `tests/air/service.rs` has laptops.

use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::authenticator::store::KdfCost;
use crate::authenticator::store::exchange::{Lock, Opener};
use crate::authenticator::{AccountView, Consent as _, ConsentRequest, CredentialId, State};
use crate::authenticator::{Config, Locked, PhoneConfig, Timestamp};
use crate::ble::Conditions;
use crate::ble::Radio;
use crate::ble::memory::MemoryRadio;
use crate::channel::tls::Trust;
use crate::channel::websocket::Connector;
use crate::hybrid::tunnel::TunnelServiceId;

const RIGHT: &str = "a long enough PIN";

struct World {
    folder: TempDir,
    now: Arc<AtomicU64>,
    service: Service,
}

fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

fn sources(now: &Arc<AtomicU64>) -> Sources {
    let now = Arc::clone(now);
    Sources {
        clock: Arc::new(move || Timestamp(now.load(Ordering::SeqCst))),
        rng: Arc::new(|| Box::new(ChaCha20Rng::seed_from_u64(7))),
    }
}

fn setup(locked: Locked, open: Option<Store>, now: &Arc<AtomicU64>) -> Setup {
    let connector = Connector::new(Trust::System);
    let relay = "ws://127.0.0.1:1".parse().unwrap();
    Setup {
        locked,
        open,
        radio: Radio::Memory(MemoryRadio::new(Conditions::default()).unwrap()),
        phone: PhoneConfig::new(connector, relay, TunnelServiceId::GOOGLE),
        engine: Config::default(),
        name: None,
        standing: None,
        sources: sources(now),
    }
}

impl World {
    fn new() -> Self {
        let (folder, now) = (TempDir::new().unwrap(), Arc::new(AtomicU64::new(1_000_000)));
        let cost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let store = Store::create_with_cost(folder.path(), &pin(RIGHT), cost, &mut rng).unwrap();
        let service = Service::new(setup(store.locked(), Some(store), &now)).unwrap();
        Self { folder, now, service }
    }

    /// The program ends and starts again, with the store locked.
    fn restart(self) -> Self {
        let Self { folder, now, service: old } = self;
        drop(old);
        let service = Service::new(setup(Store::open(folder.path()).unwrap(), None, &now)).unwrap();
        Self { folder, now, service }
    }

    /// A question is asked, and a front end sees it.
    async fn ask(&self, request: ConsentRequest) -> (JoinHandle<Decision>, Question) {
        let mut events = self.service.events(None);
        events.skip_to_now();
        let asking = self.service.asking_for_programs();
        let asked = tokio::spawn(async move { asking.ask(request).await });
        match events.next().await.unwrap().what {
            Happened::Asked(question) => (asked, question),
            other => panic!("{other:?}"),
        }
    }
}

fn accounts(count: u8) -> Vec<AccountView> {
    let account = |n| AccountView {
        id: CredentialId::from_bytes(&[n; 8]).unwrap(),
        name: format!("account {n}"),
        display_name: String::new(),
        label: None,
        created_at: Timestamp(1),
        last_used_at: None,
        state: State::Delivered,
    };
    (1..=count).map(account).collect()
}

fn sign_in(count: u8) -> ConsentRequest {
    let rp_id = "contoso.com".to_owned();
    ConsentRequest::SignIn { rp_id, accounts: accounts(count), pick: true }
}

#[tokio::test]
async fn the_first_valid_answer_counts_and_the_others_are_told() {
    let world = World::new();
    let (asked, question) = world.ask(sign_in(3)).await;
    assert_eq!(world.service.questions(), std::slice::from_ref(&question));
    let too_many = world.service.approve(question.id, 3, pin(RIGHT)).await;
    assert!(matches!(too_many, Err(Error::NoSuchAccount { number: 3 })));
    world.service.approve(question.id, 2, pin(RIGHT)).await.unwrap();
    let decision = asked.await.unwrap();
    assert!(matches!(decision, Decision::Approved { account: 2, .. }), "{decision:?}");
    assert!(matches!(world.service.decline(question.id), Err(Error::NoSuchQuestion)));
    let late = world.service.approve(question.id, 0, pin(RIGHT)).await;
    assert!(matches!(late, Err(Error::NoSuchQuestion)));
    assert!(world.service.questions().is_empty());
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts() {
    let world = World::new();
    for _ in 0..50 {
        let (asked, Question { id, .. }) = world.ask(ConsentRequest::Presence).await;
        let (one, two) = (world.service.clone(), world.service.clone());
        let yes = tokio::spawn(async move { one.approve(id, 0, pin(RIGHT)).await });
        let no = tokio::spawn(async move { two.decline(id) });
        let (yes, no) = (yes.await.unwrap(), no.await.unwrap());
        assert_eq!(usize::from(yes.is_ok()) + usize::from(no.is_ok()), 1, "{yes:?} {no:?}");
        let approved = matches!(asked.await.unwrap(), Decision::Approved { .. });
        assert_eq!(approved, yes.is_ok());
    }
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_withdrawn() {
    let world = World::new();
    let (asked, question) = world.ask(ConsentRequest::Presence).await;
    let mut events = world.service.events(None);
    events.skip_to_now();
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    let settled = events.next().await.unwrap();
    assert!(matches!(
        settled.what,
        Happened::Settled { question: id, how: Settled::Withdrawn } if id == question.id
    ));
    assert!(world.service.questions().is_empty());
    assert!(matches!(world.service.decline(question.id), Err(Error::NoSuchQuestion)));
}

#[tokio::test]
async fn one_that_thinks_holds_no_other_up() {
    let world = World::new();
    let (first, question) = world.ask(sign_in(1)).await;
    let (second, other) = world.ask(ConsentRequest::Presence).await;
    world.service.decline(other.id).unwrap();
    assert_eq!(second.await.unwrap(), Decision::Declined);
    assert_eq!(world.service.questions(), std::slice::from_ref(&question));
    world.service.decline(question.id).unwrap();
    assert_eq!(first.await.unwrap(), Decision::Declined);
}

#[tokio::test]
async fn wrong_pins_approve_nothing_and_many_of_them_end_the_question() {
    let world = World::new();
    let (asked, question) = world.ask(ConsentRequest::Presence).await;
    let mut wrong = 0;
    let until = loop {
        match world.service.approve(question.id, 0, pin("not this one")).await.unwrap_err() {
            Error::Store(store::Error::WrongPin { .. }) => wrong += 1,
            Error::Store(store::Error::LockedOut { until }) => break until,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(wrong, 8);
    assert_eq!(asked.await.unwrap(), Decision::LockedOut);
    // The right one does not help before its time, and does then.
    let (asked, question) = world.ask(ConsentRequest::Presence).await;
    let early = world.service.approve(question.id, 0, pin(RIGHT)).await.unwrap_err();
    assert!(matches!(early, Error::Store(store::Error::LockedOut { .. })));
    assert_eq!(asked.await.unwrap(), Decision::LockedOut);
    world.now.store(until.0, Ordering::SeqCst);
    let (asked, question) = world.ask(ConsentRequest::Presence).await;
    world.service.approve(question.id, 0, pin(RIGHT)).await.unwrap();
    assert!(matches!(asked.await.unwrap(), Decision::Approved { .. }));
}

#[tokio::test]
async fn wrong_pins_are_remembered_when_the_program_starts_again_and_nothing_is_lost() {
    let mut world = World::new();
    let mut waits = Vec::new();
    for _ in 0..11 {
        world = world.restart();
        assert!(world.service.vault().is_locked());
        assert!(matches!(world.service.vault().passkeys().await, Err(Error::Locked)));
        match world.service.vault().unlock(pin("not this one")).await.unwrap_err() {
            Error::Store(store::Error::WrongPin { .. }) => {}
            Error::Store(store::Error::LockedOut { until }) => {
                let now = world.now.swap(until.0, Ordering::SeqCst);
                waits.push(until.0 - now);
            }
            other => panic!("{other:?}"),
        }
    }
    // Eight without a wait, and a ninth after the first one.
    assert_eq!(waits, [30, 60]);
    world = world.restart();
    world.service.vault().unlock(pin(RIGHT)).await.unwrap();
    assert!(world.service.vault().passkeys().await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_kept_within_bounds_and_a_gap_is_seen() {
    let world = World::new();
    let mut slow = world.service.events(None);
    for _ in 0..=KEPT_EVENTS {
        let (asked, question) = world.ask(ConsentRequest::Presence).await;
        world.service.decline(question.id).unwrap();
        asked.await.unwrap();
    }
    let total = 2 * (KEPT_EVENTS as u64 + 1);
    let first = slow.next().await.unwrap();
    assert_eq!(first.number, total - KEPT_EVENTS as u64);
    for number in first.number + 1..total {
        assert_eq!(slow.next().await.unwrap().number, number);
    }
    let nothing = tokio::time::timeout(Duration::ZERO, slow.next()).await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn a_standing_approval_asks_nobody_and_is_told() {
    let world = World::new();
    let store = world.service.vault.store().unwrap();
    let setup = setup(store.locked(), Some(store), &world.now);
    let standing = Some(Verification::standing_approval());
    let service = Service::new(Setup { standing, ..setup }).unwrap();
    let mut events = service.events(None);
    let decision = service.asking_for_programs().ask(sign_in(2)).await;
    assert!(matches!(decision, Decision::Approved { account: 0, .. }));
    assert!(matches!(events.next().await.unwrap().what, Happened::Asked(_)));
    let settled = events.next().await.unwrap().what;
    assert!(matches!(settled, Happened::Settled { how: Settled::Approved, .. }));
    let rp_id = "contoso.com".to_owned();
    let nothing = ConsentRequest::NothingFound { rp_id };
    assert_eq!(service.asking_for_programs().ask(nothing).await, Decision::Declined);
}

/// Tells what it was told.
struct Noticed(tokio::sync::mpsc::UnboundedSender<(bool, QuestionId)>);

impl Prompter for Noticed {
    async fn asked(&mut self, question: &Question) {
        self.0.send((true, question.id)).unwrap();
    }

    async fn withdrawn(&mut self, id: QuestionId) {
        self.0.send((false, id)).unwrap();
    }
}

#[tokio::test]
async fn a_prompter_is_told_of_what_is_open_and_of_each_end() {
    let world = World::new();
    let (_first, question) = world.ask(ConsentRequest::Presence).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let service = world.service.clone();
    let prompting = tokio::spawn(async move { service.prompt(&mut Noticed(tell)).await });
    assert_eq!(told.recv().await, Some((true, question.id)));
    let (second, other) = world.ask(sign_in(2)).await;
    assert_eq!(told.recv().await, Some((true, other.id)));
    world.service.decline(question.id).unwrap();
    assert_eq!(told.recv().await, Some((false, question.id)));
    // Whoever asked is gone.
    second.abort();
    assert_eq!(told.recv().await, Some((false, other.id)));
    prompting.abort();
}

struct Recognises(Verdict);

impl Verifier for Recognises {
    async fn verify(&self, _: &Question) -> Verdict {
        self.0
    }
}

struct Never;

impl Verifier for Never {
    async fn verify(&self, _: &Question) -> Verdict {
        std::future::pending().await
    }
}

#[tokio::test]
async fn another_verifier_approves_only_whom_it_recognises() {
    let world = World::new();
    let (asked, question) = world.ask(sign_in(2)).await;
    for verdict in [Verdict::NotVerified, Verdict::Exhausted, Verdict::Unavailable] {
        let refused = world.service.approve_by(question.id, 1, &Recognises(verdict)).await;
        assert!(matches!(refused, Err(Error::NotVerified { verdict: v }) if v == verdict));
    }
    let wrong = world.service.approve_by(question.id, 2, &Recognises(Verdict::Verified)).await;
    assert!(matches!(wrong, Err(Error::NoSuchAccount { number: 2 })));
    world.service.approve_by(question.id, 1, &Recognises(Verdict::Verified)).await.unwrap();
    assert!(matches!(asked.await.unwrap(), Decision::Approved { account: 1, .. }));
}

#[tokio::test]
async fn a_verifier_is_not_waited_for_when_the_question_is_over() {
    let world = World::new();
    let (_asked, question) = world.ask(ConsentRequest::Presence).await;
    let waiting = world.service.approve_by(question.id, 0, &Never);
    let (result, declined) = tokio::join!(waiting, async { world.service.decline(question.id) });
    declined.unwrap();
    assert!(matches!(result, Err(Error::NoSuchQuestion)));
}

fn phrase() -> zeroize::Zeroizing<String> {
    zeroize::Zeroizing::new("a passphrase for the file".to_owned())
}

#[tokio::test]
async fn a_copy_needs_the_pin_and_counts_once_it_is_written() {
    let world = World::new();
    let (service, vault) = (&world.service, world.service.vault());
    let lock = || Lock::Passphrase(phrase());
    let refused = service.export(pin("not this one"), lock()).await.unwrap_err();
    assert!(matches!(refused, Error::Store(store::Error::WrongPin { .. })));
    let nobody = service.export(pin(RIGHT), Lock::Recipients(Vec::new())).await.unwrap_err();
    assert_eq!(nobody.cause(), "no-age-key");
    let first = service.export(pin(RIGHT), lock()).await.unwrap();
    let second = service.export(pin(RIGHT), lock()).await.unwrap();
    assert!(matches!(vault.exported(first.id).await, Err(Error::NoSuchMove)));
    vault.exported(second.id).await.unwrap();
    assert!(matches!(vault.exported(second.id).await, Err(Error::NoSuchMove)));

    let wrong = Opener::Passphrase(zeroize::Zeroizing::new("another".to_owned()));
    let refused = vault.plan_import(wrong, second.sealed.clone()).await.unwrap_err();
    assert_eq!(refused.cause(), "wrong-age-key");
    let opener = || Opener::Passphrase(phrase());
    let planned = vault.plan_import(opener(), second.sealed.clone()).await.unwrap();
    // Locking forgets the keys that were about to come in.
    vault.lock();
    assert!(matches!(vault.export(lock()).await, Err(Error::Locked)));
    vault.unlock(pin(RIGHT)).await.unwrap();
    assert!(matches!(vault.import(planned.id).await, Err(Error::NoSuchMove)));
    let planned = vault.plan_import(opener(), second.sealed).await.unwrap();
    assert_eq!(vault.import(planned.id).await.unwrap(), 0);
    assert!(matches!(vault.import(planned.id).await, Err(Error::NoSuchMove)));
}
