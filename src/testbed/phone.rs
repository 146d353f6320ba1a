//! A phone whose person follows a script: the service of the real one, with a store to throw away.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::adverts::{Adverts, Carrier};
use super::ceremony::Ceremonies;
use super::gate::Book;
use super::script::{Answer, Choice, Point, Script};
use super::trace::Trace;
use super::{Error, NewPasskey, PlantedPasskey};
use crate::authenticator::service::{
    self, Answered, Event, Happened, Question, Service, Setup, Sources, Staging, TransactionId,
};
use crate::authenticator::store::KdfCost;
use crate::authenticator::{
    Config, ConsentRequest, CredentialId, PasskeyStore as _, PasskeyView, PhoneConfig, Pin,
    RequestTap, Store, store,
};
use crate::ble::Radio;
use crate::hybrid::qr::QrContents;

/// The PIN of a phone that is given none. It protects nothing.
const USUAL_PIN: &str = "testbed";
/// Guessing the PIN of a phone that is thrown away need not be slow.
const COST: KdfCost = KdfCost { memory_kib: 8, passes: 1, lanes: 1 };

/// What a phone is made of.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PhoneSetup {
    /// Its PIN, if it matters.
    pub pin: Option<Pin>,
    /// The make that it states, if it matters; known ones of other vendors are refused.
    pub aaguid: Option<[u8; 16]>,
    /// What becomes of its adverts.
    pub adverts: Adverts,
    /// Its answers do not say that the user was verified, though it tells laptops that it can: a site that
    /// wants that has to refuse them.
    pub unverified: bool,
}

/// One phone; clones are the same one.
#[derive(Clone)]
pub(super) struct ScriptedPhone {
    name: String,
    service: Service,
    pin: Pin,
    wrong: Pin,
    store: Store,
    sources: Sources,
    book: Book,
    /// Held for what it does.
    _carrier: Option<Arc<Carrier>>,
    ceremonies: Arc<Ceremonies>,
}

/// What all phones of a bench have.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) radio: Radio,
    pub(super) phone: PhoneConfig,
    pub(super) sources: Sources,
    pub(super) book: Book,
    pub(super) ceremonies: Arc<Ceremonies>,
}

impl ScriptedPhone {
    /// Makes its store in `folder`; blocks.
    pub(super) fn new(
        name: &str,
        folder: &Path,
        setup: PhoneSetup,
        common: Common,
        (radio, carrier): (Radio, Option<Carrier>),
    ) -> Result<Self, Error> {
        let Common { phone, sources, book, ceremonies, .. } = common;
        let engine = match setup.aaguid {
            Some(aaguid) => Config::default().with_aaguid(aaguid)?,
            None => Config::default(),
        };
        let engine = Config { claims_verification: !setup.unverified, ..engine };
        let pin = |text: String| Pin::new(text).map_err(|_| Error::BadPin);
        let right = setup.pin.map_or_else(|| pin(USUAL_PIN.to_owned()), Ok)?;
        let wrong = pin(match right.reveal() {
            "0000" => "1111".to_owned(),
            _ => "0000".to_owned(),
        })?;
        let mut rng = (sources.rng)();
        let store = Store::create_with_cost(folder, &right, COST, &mut *rng).map_err(broken)?;
        let setup = Setup {
            locked: store.locked(),
            open: Some(store.clone()),
            radio,
            phone,
            engine,
            name: None,
            standing: None,
            sources: sources.clone(),
        };
        let service = Service::new(setup).map_err(Error::Phone)?;
        let _carrier = carrier.map(Arc::new);
        let name = name.to_owned();
        Ok(Self { name, service, pin: right, wrong, store, sources, book, _carrier, ceremonies })
    }

    /// All passkeys that it has.
    pub(super) async fn passkeys(&self) -> Result<Vec<PasskeyView>, Error> {
        self.service.vault().passkeys().await.map_err(Error::Phone)
    }

    /// Gives it a passkey that it has not made in a ceremony; blocks.
    pub(super) fn plant(&self, new: NewPasskey) -> Result<PlantedPasskey, Error> {
        let mut rng = (self.sources.rng)();
        let (passkey, planted) = new.make((self.sources.clock)(), &mut *rng)?;
        self.store.save(&passkey, &mut *rng).map_err(broken)?;
        Ok(planted)
    }

    /// Deletes a passkey, as its owner may.
    pub(super) async fn delete(&self, id: CredentialId) -> Result<(), Error> {
        self.service.vault().delete(id).await.map_err(Error::Phone)
    }

    /// Shows it a code, and gives the ceremony's number.
    pub(super) fn scan(&self, text: &str, script: Script) -> Result<u64, Error> {
        let contents =
            QrContents::decode(text.trim()).map_err(|e| Error::Phone(service::Error::NoCode(e)))?;
        if script.walk_away == Some(Point::BeforeAdvert) {
            let id = self.ceremonies.begin(&self.name, script, Arc::default());
            self.ceremonies.update(id, |ceremony| {
                (ceremony.walked_away, ceremony.over) = (true, true);
            });
            return Ok(id);
        }
        let trace = self.trace(&script);
        let seen = Arc::clone(&trace);
        let staging = Staging {
            until: script.walk_away.and_then(Point::milestone),
            tap: Some(RequestTap(Arc::new(move |message| seen.request(message)))),
        };
        // Before anybody can open the tunnel.
        self.book.enter(contents.secret.tunnel_id(), Arc::clone(&trace));
        let begun = self.service.submit_staged(contents, true, staging);
        let transaction = begun.map_err(Error::Phone)?;
        let id = self.ceremonies.begin(&self.name, script.clone(), trace);
        tokio::spawn(Attendance { phone: self.clone(), id, transaction, script }.attend());
        Ok(id)
    }

    /// Randomness is drawn only where something is left to it, so that what a seed repeats stays the same.
    fn trace(&self, script: &Script) -> Arc<Trace> {
        let seed = if script.relay.is_empty() { 0 } else { (self.sources.rng)().next_u64() };
        Arc::new(Trace::new(script.relay.clone(), seed))
    }

    /// Ends what runs, in order as far as there is time.
    pub(super) async fn stop(&self, patience: std::time::Duration) {
        self.service.stop(patience).await;
    }

    /// Ends what runs, at once.
    pub(super) fn vanish(&self) {
        for transaction in self.service.running() {
            // One that has just ended needs no end.
            let _over = self.service.vanish(transaction);
        }
    }
}

/// The person during one ceremony.
struct Attendance {
    phone: ScriptedPhone,
    id: u64,
    transaction: TransactionId,
    script: Script,
}

impl Attendance {
    async fn attend(self) {
        let mut events = self.phone.service.events(Some(self.transaction));
        // Dropped with this, and what they wait for is over then.
        let mut answers = JoinSet::new();
        let mut asked = 0;
        while let Some(event) = events.next().await {
            if let Happened::Asked(question) = &event.what {
                answers.spawn(self.answer(question.clone(), self.script.answer(asked)));
                asked += 1;
            }
            self.note(event);
        }
    }

    fn note(&self, event: Event) {
        let ended = matches!(event.what, Happened::Ended(Some(_)));
        // The phone is gone as soon as it gets there, so nothing else can have ended it since. Noted first:
        // whoever sees the end sees this too.
        if ended && self.script.walk_away.is_some_and(|point| self.passed(point)) {
            self.phone.ceremonies.update(self.id, |ceremony| ceremony.walked_away = true);
        }
        self.phone.ceremonies.note(self.id, event);
    }

    fn passed(&self, point: Point) -> bool {
        let passed = |event: &Event| match (point, &event.what) {
            (Point::AfterAdvert, Happened::Advertising)
            | (Point::AfterHandshake, Happened::Connected { .. }) => true,
            (Point::AfterAnswer, Happened::Answered(answered)) => *answered != Answered::Other,
            _ => false,
        };
        self.phone.ceremonies.get(self.id).is_some_and(|found| found.events.iter().any(passed))
    }

    fn answer(
        &self,
        question: Question,
        answer: Answer,
    ) -> impl Future<Output = ()> + Send + use<> {
        let Self { phone, id, transaction, script } = self;
        let (phone, id, transaction) = (phone.clone(), *id, *transaction);
        let walk_away = script.walk_away;
        async move {
            if walk_away == Some(Point::BeforeConsent) {
                return phone.leave(id, transaction);
            }
            tokio::time::sleep(answer.delay).await;
            if walk_away == Some(Point::AfterConsent) {
                return phone.leave(id, transaction);
            }
            if let Err(problem) = phone.settle(&question, &answer.choice).await {
                phone.ceremonies.update(id, |ceremony| ceremony.problem = Some(problem));
            }
        }
    }
}

impl ScriptedPhone {
    fn leave(&self, id: u64, transaction: TransactionId) {
        // Noted first: whoever sees the end sees this too. One that is over has ended in another way.
        self.ceremonies.update(id, |ceremony| ceremony.walked_away = !ceremony.over);
        let _over = self.service.vanish(transaction);
    }

    async fn settle(&self, question: &Question, choice: &Choice) -> Result<(), String> {
        let seen = matches!(question.request, ConsentRequest::NothingFound { .. });
        let settled = match choice {
            Choice::Approve(_) | Choice::WrongPin if seen => self.service.decline(question.id),
            Choice::Decline => self.service.decline(question.id),
            Choice::Approve(account) => match account.among(&question.request) {
                Some(account) => self.service.approve(question.id, account, self.pin.clone()).await,
                None => {
                    let _withdrawn = self.service.decline(question.id);
                    return Err("the site has no account of that name on this phone".to_owned());
                }
            },
            Choice::WrongPin => {
                match self.service.approve(question.id, 0, self.wrong.clone()).await {
                    Err(service::Error::Store(store::Error::WrongPin { .. })) => {
                        self.service.decline(question.id)
                    }
                    // Too many of them: that settled the question.
                    Err(service::Error::Store(store::Error::LockedOut { .. })) => Ok(()),
                    other => other,
                }
            }
        };
        match settled {
            // Withdrawn meanwhile, and the events say why.
            Ok(()) | Err(service::Error::NoSuchQuestion) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn broken(error: store::Error) -> Error {
    Error::Phone(service::Error::Store(error))
}
