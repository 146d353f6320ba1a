//! One transaction of the service: carries CTAP2 to the phone, tells everybody how it goes, and keeps a
//! receipt of what the phone made.
//!
//! Depends on siblings in `client` and on `ctap`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Service;
use super::dial::{dial, may_yet_come};
use super::journal::{About, Happened, TransactionId};
use super::way::Way;
use crate::client::ceremony::Error;
use crate::client::phones::Phone;
use crate::client::receipts::{self, Receipt};
use crate::client::{self, TransactionHandle};
use crate::ctap::{
    AuthenticatorData, Command, MakeCredentialRequest, MakeCredentialResponse, Status,
    split_response,
};
use crate::hybrid;
use crate::hybrid::post_handshake::PostHandshake;
use crate::hybrid::qr::Hint;

/// The program that is to have the answer. Once it is gone, what it did not take may be an orphan.
#[derive(Debug)]
pub(super) struct Claim {
    service: Service,
    id: TransactionId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(receipt) = self.service.0.list.take(self.id) {
            self.service.note(self.id, Happened::MayBeOrphaned(receipt));
        }
    }
}

/// A transaction, held by whoever speaks CTAP2 in it. Let go of, it is withdrawn; let go of before the
/// answer to a registration was [`taken`](Self::taken), everybody is told of a possible orphan.
pub struct Carrier {
    service: Service,
    id: TransactionId,
    timeout: Duration,
    deadline: Instant,
    cancelled: watch::Receiver<bool>,
    /// Both are there until it is over.
    running: Option<(TransactionHandle, JoinHandle<()>)>,
    /// What was rung, until it is there; and what its code would say.
    way: Way,
    hint: Hint,
    claim: Option<Claim>,
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Carrier {
    pub(super) fn start(
        service: Service,
        id: TransactionId,
        cancelled: watch::Receiver<bool>,
        way: Way,
        hint: Hint,
        about: About,
        timeout: Duration,
    ) -> Self {
        service.note(id, Happened::Begun(about));
        let running = Some(dial(&service, id, &way, hint));
        let deadline = Instant::now() + timeout;
        let claim = Some(Claim { service: service.clone(), id });
        Self { service, id, timeout, deadline, cancelled, running, way, hint, claim }
    }

    /// For a program that outlives this.
    pub(super) fn claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// Its name among those that run.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The text of the code; empty once it is over.
    #[must_use]
    pub fn code(&self) -> &str {
        self.running.as_ref().and_then(|(handle, _)| handle.qr_text()).unwrap_or_default()
    }

    /// Waits until the phone said what it can.
    ///
    /// # Errors
    ///
    /// What ended the transaction before, or [`Error::TooLate`].
    pub async fn ready(&mut self) -> Result<PostHandshake, Error> {
        let ready = self.within(async |handle| handle.ready().await).await;
        let Some(phone) = self.way.phone.take() else { return ready };
        match ready {
            Ok(said) => {
                self.came(&phone).await;
                Ok(said)
            }
            Err(error) => {
                self.stayed_away(&phone, &error).await;
                if !self.way.or_code || !may_yet_come(&error) {
                    return Err(error);
                }
                self.show_code(&phone, &error).await;
                self.within(async |handle| handle.ready().await).await
            }
        }
    }

    async fn came(&self, phone: &Phone) {
        let (Some(phones), sources) = (&self.service.0.phones, &self.service.0.sources) else {
            return;
        };
        let now = (sources.clock)();
        if let Err(error) = phones.used(&phone.name, now, &mut *(sources.rng)()).await {
            tracing::debug!(%error, "that the phone came is not noted");
        }
    }

    /// A phone that says that it does not know this computer is forgotten here too.
    async fn stayed_away(&self, phone: &Phone, error: &Error) {
        let unlinked = matches!(error, Error::Transaction(error) if error.is_unlinked());
        let Some(phones) = self.service.0.phones.as_ref().filter(|_| unlinked) else { return };
        if let Err(error) = phones.forget(&phone.name).await {
            tracing::warn!(%error, "a phone that is linked no more is not forgotten");
        }
    }

    /// Goes on with a code, in the place of the phone that was rung.
    async fn show_code(&mut self, phone: &Phone, why: &Error) {
        let words = format!("{} was rung and did not come ({why}); scan the code.", phone.name);
        if let Some((handle, told)) = self.running.take() {
            handle.cancel().await;
            let _told_as_far_as_it_went = told.await;
        }
        self.service.note(self.id, Happened::Note(words));
        self.running = Some(dial(&self.service, self.id, &Way::code(), self.hint));
    }

    /// Sends a CTAP2 message (command byte and CBOR) and waits for the response (status byte and CBOR),
    /// both untouched. Of a passkey that the phone made there is a receipt on return.
    ///
    /// # Errors
    ///
    /// What ended the transaction, or [`Error::TooLate`]; a CTAP status is no error here.
    pub async fn call(&mut self, message: Vec<u8>) -> Result<Vec<u8>, Error> {
        let made = asked_to_make(&message);
        let reply = self.within(async |handle| handle.call(message).await).await?;
        if let Some(receipt) = made.and_then(|request| self.receipt(&request, &reply)) {
            self.keep(receipt).await;
        }
        Ok(reply)
    }

    /// Waits while nothing is asked of the phone, until that has to end. Cancel safe.
    pub async fn ends(&mut self) -> Error {
        match self.within(async |_| std::future::pending::<Result<(), _>>().await).await {
            Ok(()) => client::Error::Over.into(),
            Err(error) => error,
        }
    }

    /// Tells everybody that the program gets its answer.
    pub fn answered(&self) {
        self.service.note(self.id, Happened::Answered);
    }

    /// The program has the answer: its receipt is closed.
    pub async fn taken(&self) {
        let _nothing_to_take = self.service.taken(self.id).await;
    }

    /// Tells the phone that its answer arrived, waits for the end, and tells it to everybody.
    ///
    /// # Errors
    ///
    /// The phone may not know that its answer arrived.
    pub async fn finish(mut self) -> Result<(), Error> {
        let Some((handle, told)) = self.running.take() else { return Ok(()) };
        let finished = handle.finish().await;
        let _told_as_far_as_it_went = told.await;
        if finished.is_err() {
            let words = "the connection ended before the phone was told that its answer arrived; the \
                         answer is good, but the phone may list its passkey as possibly orphaned";
            self.service.note(self.id, Happened::Note(words.to_owned()));
        }
        end(&self.service, self.id, None);
        finished.map_err(Error::from)
    }

    /// Ends it with this error, of which everybody is told.
    pub async fn fail(mut self, error: Error) -> Arc<Error> {
        let error = Arc::new(error);
        if let Some((handle, told)) = self.running.take() {
            withdraw(&self.service, self.id, handle, told, Arc::clone(&error)).await;
        }
        error
    }

    async fn within<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut TransactionHandle) -> Result<T, client::Error>,
    ) -> Result<T, Error> {
        let Some((handle, _)) = &mut self.running else { return Err(client::Error::Over.into()) };
        tokio::select! {
            biased;
            // Its sender lives in the list for as long as this runs.
            _ = self.cancelled.wait_for(|cancelled| *cancelled) => Err(cancelled()),
            () = tokio::time::sleep_until(self.deadline) => Err(Error::TooLate(self.timeout)),
            done = work(handle) => Ok(done?),
        }
    }

    fn receipt(&self, request: &MakeCredentialRequest, reply: &[u8]) -> Option<Receipt> {
        let (Status::OK, body) = split_response(reply).ok()? else { return None };
        let response = MakeCredentialResponse::decode(body).ok()?;
        let passkey = AuthenticatorData::decode(&response.auth_data).ok()?.attested?;
        let user = request.user.name.as_deref().unwrap_or_default();
        let at = (self.service.0.sources.clock)();
        let receipt = Receipt::new(at, &request.rp.id, user, &passkey.id, passkey.aaguid);
        Some(receipt.heard(self.service.proximity()))
    }

    /// A passkey without a receipt is better than none: what goes wrong is only told.
    async fn keep(&self, receipt: Receipt) {
        match self.service.with_receipts(move |all| all.add(&receipt)).await {
            Ok(Some(number)) => self.service.0.list.owe(self.id, number),
            Ok(None) => {}
            Err(error) => self.service.note(self.id, Happened::Note(no_receipt(&error))),
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Some((handle, told)) = self.running.take() {
            let (service, id) = (self.service.clone(), self.id);
            tokio::spawn(async move {
                withdraw(&service, id, handle, told, Arc::new(cancelled())).await;
            });
        }
    }
}

fn cancelled() -> Error {
    client::Error::from(hybrid::Error::Cancelled).into()
}

fn no_receipt(error: &receipts::Error) -> String {
    format!("no receipt of the new passkey was kept: {error}")
}

fn asked_to_make(message: &[u8]) -> Option<MakeCredentialRequest> {
    match Command::split(message).ok()? {
        (Command::MakeCredential, body) => MakeCredentialRequest::decode(body).ok(),
        _ => None,
    }
}

/// Closes what is open, tells the steps that a quick failure has overtaken, and then the failure.
async fn withdraw(
    service: &Service,
    id: TransactionId,
    handle: TransactionHandle,
    told: JoinHandle<()>,
    error: Arc<Error>,
) {
    handle.cancel().await;
    let _told_as_far_as_it_went = told.await;
    end(service, id, Some(error));
}

/// Whoever sees the end finds room for the next.
fn end(service: &Service, id: TransactionId, error: Option<Arc<Error>>) {
    service.0.list.leave(id);
    service.note(id, Happened::Ended(error));
}
