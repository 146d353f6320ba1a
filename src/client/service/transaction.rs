//! A ceremony that runs by itself, and the answer for whoever began it.
//!
//! Depends on siblings in `client` and tokio only.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::carrier::Claim;
use super::journal::{Happened, TransactionId};
use super::{Carrier, Service};
use crate::client::ceremony::{Answer, Ceremony, Error};

/// A ceremony under way. Let go of before it is over, it is withdrawn; let go of before the answer was
/// [taken](Service::taken), everybody is told of a possible orphan.
pub struct Transaction {
    id: TransactionId,
    code: String,
    answer: Option<oneshot::Receiver<Result<Answer, Arc<Error>>>>,
    task: AbortHandle,
    _claim: Option<Claim>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(super) fn start(service: Service, mut carrier: Carrier, ceremony: Ceremony) -> Self {
        let (id, code, claim) = (carrier.id(), carrier.code().to_owned(), carrier.claim());
        let (tell, answer) = oneshot::channel();
        let task = tokio::spawn(run(service, carrier, ceremony, tell)).abort_handle();
        Self { id, code, answer: Some(answer), task, _claim: claim }
    }

    /// Its name among those that run.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The text of the code that the phone is to scan; empty where one is rung. Should a code be shown
    /// after that, [`Service::code`] has it.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Waits for the answer, once; it is there before the transaction is over. Cancel safe.
    ///
    /// # Errors
    ///
    /// What ended it before.
    pub async fn answer(&mut self) -> Result<Answer, Arc<Error>> {
        let told = match &mut self.answer {
            Some(answer) => answer.await.ok(),
            None => None,
        };
        self.answer = None;
        told.unwrap_or_else(|| Err(Arc::new(crate::client::Error::Over.into())))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // What it carries is withdrawn with the task. One that has told its answer takes leave of the
        // phone by itself.
        if self.answer.is_some() {
            self.task.abort();
        }
    }
}

async fn run(
    service: Service,
    mut carrier: Carrier,
    ceremony: Ceremony,
    tell: oneshot::Sender<Result<Answer, Arc<Error>>>,
) {
    let id = carrier.id();
    let note = |text: String| service.note(id, Happened::Note(text));
    ceremony.notes().iter().for_each(|remark| note(remark.to_string()));
    match ceremony.perform(&mut carrier).await {
        Ok((answer, remarks)) => {
            service.note(id, Happened::Answered);
            // A phone that is slow to hang up changes nothing about the answer.
            let _nobody_waits = tell.send(Ok(answer));
            remarks.iter().for_each(|remark| note(remark.to_string()));
            let _told_there = carrier.finish().await;
        }
        Err(error) => {
            let error = carrier.fail(error).await;
            let _nobody_waits = tell.send(Err(error));
        }
    }
}
