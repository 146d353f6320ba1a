//! Role: the phone. It holds the passkeys, asks its user, and answers the laptop's CTAP2.
//!
//! ```text
//!  driver ──> engine ──> PasskeyStore (trait) <── store   encrypted file
//!               └──────> Consent (trait)      <── whoever talks to the user
//! ```
//!
//! The engine knows neither how a message came nor who asks the user. May depend on the pure
//! modules, on `ble`, `channel` and `uhid`; never on another role or on `cli`.

mod channels;
pub mod consent;
mod door;
mod driver;
pub mod engine;
mod error;
#[cfg(target_os = "linux")]
pub mod key;
mod mac;
pub mod passkey;
mod phone;
pub mod service;
pub mod store;
pub mod upkeep;
mod view;

pub use consent::{AccountView, Consent, ConsentRequest, Decision, Verification};
pub use engine::{Config, Engine, Outcome, Reply, Transport};
pub use error::Error;
pub use passkey::{Backup, CredentialId, Origin, Passkey, PasskeyStore, State, Timestamp};
pub use phone::{
    Call, Config as PhoneConfig, Keep, Linking, OnRequest, Phone, Progress, RequestTap,
};
pub use store::{Locked, Pin, Store};
pub use upkeep::Upkeep;
pub use view::{LinkView, PasskeyView};

/// A source of unpredictable bytes, such as the system's; every key and nonce is drawn from it.
pub type Random<'a> = &'a mut (dyn rand_core::CryptoRngCore + Send);
