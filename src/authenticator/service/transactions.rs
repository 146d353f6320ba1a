//! The transactions that run: each is a task, and their number is bounded.
//!
//! Depends on siblings in `authenticator`, `ble` and tokio only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::journal::{Answered, Asker, Happened, TransactionId, Whom};
use super::question::{Asking, Occasion};
use super::vanish::{Ending, Staging, Vanishing};
use super::{Error, Service};
use crate::authenticator::{
    self, AccountView, Call, Config, CredentialId, Engine, Outcome, PasskeyStore as _, Phone,
    PhoneConfig, Progress, Store,
};
use crate::ble::Radio;
use crate::hybrid::{self, qr::QrContents};

/// Laptops that are answered at the same time.
pub const MAX_RUNNING: usize = 4;

/// What begins a transaction.
pub(super) enum Work {
    /// A code was scanned.
    Scanned(Box<QrContents>),
    /// A laptop rang.
    Rung(Box<Call>),
}

/// What transactions are begun with, and those that run.
#[derive(Clone)]
pub(super) struct Running {
    radio: Radio,
    phone: PhoneConfig,
    engine: Config,
    list: Arc<Mutex<List>>,
    /// How many are not over yet.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct List {
    last: u64,
    stopping: bool,
    cancels: BTreeMap<TransactionId, oneshot::Sender<Ending>>,
    /// Those that were cancelled and are not over yet take room too.
    running: usize,
}

impl Running {
    pub(super) fn new(radio: Radio, phone: PhoneConfig, engine: Config) -> Self {
        Self { radio, phone, engine, list: Arc::default(), count: watch::Sender::new(0) }
    }

    pub(super) fn phone_config(&self) -> &PhoneConfig {
        &self.phone
    }

    pub(super) fn engine_config(&self) -> &Config {
        &self.engine
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(
        &self,
        service: &Service,
        work: Work,
        store: Store,
        staging: Staging,
    ) -> Result<TransactionId, Error> {
        let linking = match &work {
            Work::Scanned(contents) if contents.wants_linking == Some(true) => {
                service.linking(&store)
            }
            _ => None,
        };
        let occasion = match (&work, &linking) {
            (Work::Rung(_), _) => Occasion::Rung,
            (Work::Scanned(_), Some(_)) => Occasion::WantsLink,
            (Work::Scanned(_), None) => Occasion::Asked,
        };
        let asking = |id| {
            let (broker, asker) = (Arc::clone(&service.broker), Asker::Laptop(id));
            Asking { broker, asker, occasion }
        };
        let engine = |id| Engine::new(store.clone(), asking(id), self.engine.clone());
        let (id, cancelled) = self.enter()?;
        let mut entry = Entry { running: self.clone(), id, has_room: true };
        let config = PhoneConfig { tap: staging.tap, ..self.phone.clone() };
        let phone = Phone::new(self.radio.clone(), config, engine(id));
        let phone = phone.map_err(|_| Error::SimulatedRadio)?;
        let phone = match linking {
            Some(linking) => phone.with_linking(linking),
            None => phone,
        };
        let vanishing = Vanishing::at(staging.until);
        let rung = occasion == Occasion::Rung;
        let task = Task { service: service.clone(), id, rung, store, vanishing };
        tokio::spawn(async move {
            let result = task.run(phone, work, cancelled).await;
            // Whoever sees the end finds room for the next.
            entry.make_room();
            task.note(Happened::Ended(result.err().map(Arc::new)));
        });
        Ok(id)
    }

    fn enter(&self) -> Result<(TransactionId, oneshot::Receiver<Ending>), Error> {
        let mut list = self.list();
        if list.stopping {
            return Err(Error::Stopping);
        }
        if list.running >= MAX_RUNNING {
            return Err(Error::Busy);
        }
        list.last += 1;
        list.running += 1;
        let (cancel, cancelled) = oneshot::channel();
        let id = TransactionId(list.last);
        list.cancels.insert(id, cancel);
        self.count.send_modify(|count| *count += 1);
        Ok((id, cancelled))
    }

    pub(super) fn ids(&self) -> Vec<TransactionId> {
        self.list().cancels.keys().copied().collect()
    }

    pub(super) fn end(&self, id: TransactionId, how: Ending) -> Result<(), Error> {
        let cancel = self.list().cancels.remove(&id).ok_or(Error::NoSuchTransaction)?;
        cancel.send(how).map_err(|_| Error::NoSuchTransaction)
    }

    pub(super) async fn stop(&self, patience: Duration) {
        let cancels = {
            let mut list = self.list();
            list.stopping = true;
            std::mem::take(&mut list.cancels)
        };
        for cancel in cancels.into_values() {
            // One that has just ended needs no word.
            let _over = cancel.send(Ending::HangUp);
        }
        let mut count = self.count.subscribe();
        // What hangs beyond that ends with the program.
        let _late = tokio::time::timeout(patience, count.wait_for(|count| *count == 0)).await;
    }
}

/// Takes a transaction off the list, however it ends.
struct Entry {
    running: Running,
    id: TransactionId,
    has_room: bool,
}

impl Entry {
    fn make_room(&mut self) {
        if std::mem::take(&mut self.has_room) {
            let mut list = self.running.list();
            list.cancels.remove(&self.id);
            list.running -= 1;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.make_room();
        self.running.count.send_modify(|count| *count -= 1);
    }
}

struct Task {
    service: Service,
    id: TransactionId,
    /// Whether a laptop rang.
    rung: bool,
    store: Store,
    vanishing: Vanishing,
}

impl Task {
    async fn run(
        &self,
        mut phone: Phone<Store, Asking>,
        work: Work,
        ending: oneshot::Receiver<Ending>,
    ) -> Result<(), authenticator::Error> {
        self.note(match work {
            Work::Scanned(_) => Happened::Scanned,
            Work::Rung(_) => Happened::Rung,
        });
        let sources = &self.service.sources;
        let cancel = self.vanishing.or_hang_up(ending);
        let mut rng = (sources.rng)();
        let clock = || (sources.clock)();
        let progress = |progress: Progress<'_>| self.progress(&progress);
        let answering = async {
            match work {
                Work::Scanned(contents) => {
                    phone.answer(*contents, cancel, clock, &mut rng, progress).await
                }
                Work::Rung(call) => phone.come(*call, cancel, clock, &mut rng, progress).await,
            }
        };
        tokio::select! {
            // The phone yields where it may be gone.
            biased;
            () = self.vanishing.gone() => Err(hybrid::Error::Cancelled.into()),
            result = answering => result,
        }
    }

    fn note(&self, what: Happened) {
        let at = (self.service.sources.clock)();
        self.service.journal.tell(Asker::Laptop(self.id), at, what);
    }

    fn progress(&self, progress: &Progress<'_>) {
        self.vanishing.notice(progress);
        if let Progress::Answered(Outcome::Saved { .. } | Outcome::SignedIn { .. }) = progress
            && self.rung
        {
            self.service.bells.agreed();
        }
        self.note(match progress {
            Progress::OpeningTunnel => Happened::OpeningTunnel,
            Progress::WithoutTunnel(error) => Happened::WithoutTunnel(error.to_string()),
            Progress::Advertising => Happened::Advertising,
            Progress::Connected { via } => Happened::Connected { via: *via },
            Progress::Answered(outcome) => Happened::Answered(self.answered(outcome)),
            Progress::Acknowledged => Happened::Acknowledged,
            Progress::Linked => Happened::Linked,
        });
    }

    fn answered(&self, outcome: &Outcome) -> Answered {
        match outcome {
            Outcome::Saved { credential } => Answered::Saved(self.whom(credential)),
            Outcome::SignedIn { credential, .. } => Answered::SignedIn(self.whom(credential)),
            Outcome::Offered { credential } => Answered::Offered(self.whom(credential)),
            Outcome::Refused(status) => Answered::Refused(*status),
            Outcome::StoreFailed(error) => Answered::StoreFailed(error.to_string()),
            Outcome::Answered => Answered::Other,
        }
    }

    /// A store that cannot be read now will say so itself soon; the names can do without.
    fn whom(&self, credential: &CredentialId) -> Whom {
        let credential = credential.clone();
        match self.store.find_by_id(&credential) {
            Ok(Some(passkey)) => {
                let view = AccountView::from(&passkey);
                let account = view.shown().unwrap_or_default().to_owned();
                Whom {
                    credential,
                    rp_id: authenticator::consent::printable(&passkey.rp.id),
                    account,
                }
            }
            _ => Whom { credential, rp_id: String::new(), account: String::new() },
        }
    }
}
