//! What the owner of an authenticator may set, and what names a transport.
//!
//! Depends on nothing of this crate.

use std::time::Duration;

/// The make that this authenticator states: drawn at random once, no vendor's.
pub const AAGUID: [u8; 16] = [
    0xe2, 0x8d, 0x0d, 0xa5, 0xb2, 0x59, 0x49, 0x0e, 0xa2, 0x54, 0x38, 0xc2, 0xfb, 0x12, 0xb2, 0x74,
];

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// From another device, over a hybrid transaction.
    Hybrid,
    /// From a program on this machine, over its virtual key.
    Hid,
}

/// How a registration is attested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestation {
    /// `packed`, signed by the new passkey itself: proves possession, vouches for no make.
    #[default]
    PackedSelf,
    /// `none`; some programs that are no browsers refuse it.
    None,
}

/// Who lets the user choose when several accounts could sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeveralAccounts {
    /// We do, if the consent can show them; one answer then leaves the phone.
    #[default]
    AskUser,
    /// The client does: it gets an answer for each account, names included.
    AskClient,
}

/// What an owner may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The make to state; another vendor's must never be put here.
    pub aaguid: [u8; 16],
    /// How registrations are attested.
    pub attestation: Attestation,
    /// Who lets the user choose among accounts.
    pub several_accounts: SeveralAccounts,
    /// How long the user may take for one question.
    pub user_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            aaguid: AAGUID,
            attestation: Attestation::default(),
            several_accounts: SeveralAccounts::default(),
            user_timeout: Duration::from_secs(120),
        }
    }
}
