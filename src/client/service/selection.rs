//! A program wants to know whether this key is meant, among several.
//!
//! Depends on siblings in `client` and tokio only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Service;
use super::journal::{About, Happened, Purpose, TransactionId};
use crate::client::ceremony::Error;
use crate::{client, hybrid};

/// The question, until it is dropped. `None` if there was no room for it.
pub(super) struct Selection<'a>(Option<Asked<'a>>);

struct Asked<'a> {
    service: &'a Service,
    id: TransactionId,
    cancelled: watch::Receiver<bool>,
    touches: watch::Receiver<u64>,
    touched: bool,
}

impl<'a> Selection<'a> {
    pub(super) fn begin(service: &'a Service) -> Self {
        let touches = service.0.list.touches();
        Self(service.0.list.enter().ok().map(|(id, cancelled)| {
            service.note(id, Happened::Begun(About::new(Purpose::Select, "", "")));
            Asked { service, id, cancelled, touches, touched: false }
        }))
    }

    /// Waits for the answer, at most so long.
    pub(super) async fn touched(mut self, patience: Duration) -> bool {
        let Some(asked) = &mut self.0 else { return false };
        tokio::select! {
            biased;
            touched = asked.touches.changed() => asked.touched = touched.is_ok(),
            _ = asked.cancelled.wait_for(|cancelled| *cancelled) => {}
            () = tokio::time::sleep(patience) => {}
        }
        asked.touched
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let cancelled = || Error::from(client::Error::from(hybrid::Error::Cancelled));
        let error = (!self.touched).then(|| Arc::new(cancelled()));
        self.service.0.list.leave(self.id);
        self.service.note(self.id, Happened::Ended(error));
    }
}
