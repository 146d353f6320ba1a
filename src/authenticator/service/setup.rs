//! What a service is made of.

use std::sync::Arc;

use rand_core::CryptoRngCore;

use crate::authenticator::{Config, Locked, PhoneConfig, Store, Timestamp, Verification};
use crate::ble::Radio;

/// Where time and randomness come from.
#[derive(Clone)]
pub struct Sources {
    /// Unix time.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// A source of unpredictable bytes, one for each user of it.
    pub rng: Arc<dyn Fn() -> Box<dyn CryptoRngCore + Send> + Send + Sync>,
}

/// What a service is made of.
pub struct Setup {
    /// The store.
    pub locked: Locked,
    /// The same, open, if its owner gave the PIN already.
    pub open: Option<Store>,
    /// What is advertised on.
    pub radio: Radio,
    /// How laptops are answered.
    pub phone: PhoneConfig,
    /// What the authenticator does.
    pub engine: Config,
    /// What laptops that are remembered call this phone; without a name it remembers none. Not with the
    /// public tunnel services, which ring no phones but their makers'.
    pub name: Option<String>,
    /// Approves everything at once, for automation; see [`Verification::standing_approval`].
    pub standing: Option<Verification>,
    /// Time and randomness.
    pub sources: Sources,
}
