//! authenticatorReset: forgets everything, if its user says so.
//!
//! A security key takes this within seconds of being plugged in. There is no such moment here, but a
//! screen on which to say what would be lost, and a user who is verified. The PIN stays: without it
//! the store could not be opened. Depends on siblings only. Specification: CTAP 2.2, section 6.6.

use super::{Answer, Engine, Outcome};
use crate::authenticator::consent::{Consent, ConsentRequest};
use crate::authenticator::passkey::PasskeyStore;

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    pub(super) async fn reset(&mut self) -> Answer {
        let passkeys = self.store.all()?.len();
        self.ask(ConsentRequest::Reset { passkeys }).await?;
        self.store.wipe()?;
        self.tokens = Default::default();
        Ok((Vec::new(), Outcome::Answered))
    }
}
