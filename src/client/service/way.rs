//! How a transaction gets to its phone: by a code that somebody scans, or by ringing one that is remembered.
//!
//! Depends on siblings in `client` only.

use std::time::Duration;

use super::Service;
use crate::client::phones::{self, Phone, Phones};

/// How long a phone that is rung has to be heard, when nothing else is tried after it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same where a code is shown then: somebody waits for it.
const SHORT_PATIENCE: Duration = Duration::from_secs(20);

/// The way to a phone.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// The phone to ring; without one a code is shown.
    pub(super) phone: Option<Box<Phone>>,
    /// Shows a code when the phone does not come.
    pub(super) or_code: bool,
    /// Asks the phone that scans the code to be remembered.
    pub(super) remember: bool,
}

impl Way {
    /// Shows a code.
    #[must_use]
    pub fn code() -> Self {
        Self::default()
    }

    /// Shows a code, and asks whoever scans it to be remembered.
    #[must_use]
    pub fn code_to_remember() -> Self {
        Self { remember: true, ..Self::default() }
    }

    /// Rings this phone.
    #[must_use]
    pub fn ring(phone: Phone) -> Self {
        Self { phone: Some(Box::new(phone)), ..Self::default() }
    }

    /// Rings this phone, if there is one, and shows a code if it does not come.
    #[must_use]
    pub fn ring_or_code(phone: Option<Phone>) -> Self {
        Self { phone: phone.map(Box::new), or_code: true, remember: false }
    }

    pub(super) fn patience(&self) -> Duration {
        if self.or_code { SHORT_PATIENCE } else { PATIENCE }
    }
}

impl Service {
    /// The phones that are remembered; `None` without a place for them.
    #[must_use]
    pub fn phones(&self) -> Option<&Phones> {
        self.0.phones.as_ref()
    }

    /// Gives a phone that is remembered another name.
    ///
    /// # Errors
    ///
    /// Those of [`Phones::rename`].
    pub async fn rename_phone(&self, name: &str, new: &str) -> Result<(), phones::Error> {
        let none = || phones::Error::NoSuchPhone(name.to_owned());
        let phones = self.0.phones.as_ref().ok_or_else(none)?;
        phones.rename(name, new, &mut *(self.0.sources.rng)()).await
    }

    /// The way for a program that cannot say: the phone that came last is rung, and a code is shown where
    /// there is none or it does not come.
    pub async fn usual_way(&self) -> Way {
        let Some(phones) = &self.0.phones else { return Way::code() };
        let usual = phones.usual().await;
        Way::ring_or_code(usual.unwrap_or_else(|error| {
            tracing::warn!(%error, "no linked phone is rung");
            None
        }))
    }
}
