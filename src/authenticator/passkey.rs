//! A passkey as the phone keeps it, and the trait of the place that keeps it.
//!
//! Depends on [`crate::ctap`] and [`crate::secret`] only.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::{Random, store};
use crate::ctap::{MAX_CREDENTIAL_ID, RpEntity, UserEntity};
use crate::secret::Secret;

/// Seconds since 1970, as the driver's clock says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
    }
}

/// A credential id: 32 random bytes where we made it, 1 to 1023 bytes in general.
///
/// Not secret, but it tells a relying party's database apart from others, so `Debug` shows the
/// beginning only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// A fresh id. Whoever knows it was once given it by this phone, in a registration or later.
    pub fn random(rng: Random<'_>) -> Self {
        let mut id = vec![0; 32];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// Takes an id from outside; `None` if its length is out of bounds.
    #[must_use]
    pub fn from_bytes(id: &[u8]) -> Option<Self> {
        (1..=MAX_CREDENTIAL_ID).contains(&id.len()).then(|| Self(id.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.0.iter().take(4);
        f.write_str("CredentialId(")?;
        head.clone().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}

/// How far a passkey got. The laptop never says whether the site took it, so this is what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Saved, and the laptop did not confirm the answer: possibly an orphan that no site knows.
    Created,
    /// The laptop took the answer.
    Delivered,
    /// It signed in at least once, as far as the phone can tell.
    Used,
}

impl State {
    /// The name, for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Delivered => "delivered",
            Self::Used => "used",
        }
    }
}

/// What must be proven before a passkey may answer; the `credProtect` extension.
///
/// Obeyed by construction: this authenticator verifies its user for every answer.
///
/// Specification: CTAP 2.2, section 12.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CredProtect {
    /// Level 1: nothing.
    #[default]
    Optional = 1,
    /// Level 2: verification, unless the relying party names the passkey.
    OptionalWithList = 2,
    /// Level 3: verification.
    Required = 3,
}

impl CredProtect {
    /// The level of a number from outside; `None` beyond 1 to 3.
    #[must_use]
    pub fn from_level(level: u64) -> Option<Self> {
        let levels = [Self::Optional, Self::OptionalWithList, Self::Required];
        levels.into_iter().find(|l| *l as u64 == level)
    }

    /// The number on the wire.
    #[must_use]
    pub fn level(self) -> u64 {
        self as u64
    }
}

/// The two per-passkey secrets behind `prf` and `hmac-secret`.
#[derive(Clone, PartialEq, Eq)]
pub struct PrfSeeds {
    /// For answers with user verification: all that are given today.
    pub verified: Secret<32>,
    /// For answers without; kept so that exports and security-key commands have both.
    pub unverified: Secret<32>,
}

/// What authenticator data says about copies of a passkey.
///
/// Specification: WebAuthn 3, section 6.1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// BE: it may be copied off this phone. Told to the site at registration and never changed
    /// after: sites refuse a passkey that says something else later.
    pub eligible: bool,
    /// BS: a copy of it was made. Never without `eligible`.
    pub backed_up: bool,
}

impl Backup {
    /// May be copied, was not yet.
    pub const ELIGIBLE: Self = Self { eligible: true, backed_up: false };
    /// Stays on this phone.
    pub const NEVER: Self = Self { eligible: false, backed_up: false };
    /// A copy exists.
    pub const DONE: Self = Self { eligible: true, backed_up: true };
}

/// Where a passkey comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A registration with this phone.
    #[default]
    Made,
    /// A file of another authenticator, or of this one.
    Imported {
        /// When.
        at: Timestamp,
    },
}

/// Bytes that a site may have kept with a passkey by `credBlob`.
///
/// Specification: CTAP 2.2, section 12.2, where this is the least that a maximum may be.
pub const MAX_CRED_BLOB: usize = 32;

/// Bytes that a site may have kept with a passkey by `largeBlob`.
pub const MAX_LARGE_BLOB: usize = 16 << 10;

/// One passkey with its private half. `Debug` shows neither secrets nor whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Names it towards the relying party.
    pub id: CredentialId,
    /// Whose it is; the only relying party it ever answers.
    pub rp: RpEntity,
    /// The account.
    pub user: UserEntity,
    /// P-256 scalar, big endian.
    pub private_key: Secret<32>,
    /// Found without being named; otherwise only through an allow list.
    pub discoverable: bool,
    /// The protection asked for at registration.
    pub cred_protect: CredProtect,
    /// Seeds of `prf`.
    pub prf_seeds: PrfSeeds,
    /// What the site keeps with it by `credBlob`; at most [`MAX_CRED_BLOB`] bytes from a registration.
    pub cred_blob: Option<Zeroizing<Vec<u8>>>,
    /// What the site keeps with it by `largeBlob`; at most [`MAX_LARGE_BLOB`] bytes.
    pub large_blob: Option<Zeroizing<Vec<u8>>>,
    /// The key of `largeBlobKey`, if one was asked for.
    pub large_blob_key: Option<Secret<32>>,
    /// Whether it may be copied, and was.
    pub backup: Backup,
    /// Made here, or imported.
    pub origin: Origin,
    /// The owner's own name for it.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the laptop first confirmed that it has it.
    pub delivered_at: Option<Timestamp>,
    /// When it last signed in.
    pub last_used_at: Option<Timestamp>,
    /// Passkeys of the same account that go once this one is known to have arrived.
    pub replaces: Vec<CredentialId>,
}

impl Passkey {
    /// How far it got.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.last_used_at, self.delivered_at) {
            (Some(_), _) => State::Used,
            (None, Some(_)) => State::Delivered,
            (None, None) => State::Created,
        }
    }

    /// Whether its site may not know it: no laptop confirmed to have it, or, with `unused`, it never
    /// signed in, which a site that refused it leaves behind.
    #[must_use]
    pub fn may_be_orphaned(&self, unused: bool) -> bool {
        orphaned(self.state(), unused)
    }
}

/// See [`Passkey::may_be_orphaned`].
pub(super) fn orphaned(state: State, unused: bool) -> bool {
    match state {
        State::Created => true,
        State::Delivered => unused,
        State::Used => false,
    }
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Passkey");
        out.field("id", &self.id).field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Where the engine finds and keeps passkeys. Every change is durable when the call returns.
///
/// Calls may block for as long as the disk takes.
pub trait PasskeyStore: super::upkeep::Upkeep {
    /// All passkeys of the relying party, oldest first, discoverable or not.
    ///
    /// # Errors
    ///
    /// As [`store::Error`] says; the same holds for the other calls.
    fn find_by_rp(&self, rp_id: &str) -> Result<Vec<Passkey>, store::Error>;

    /// The passkey of that id, whoever's it is.
    ///
    /// # Errors
    ///
    /// See [`Self::find_by_rp`]; an unknown id is `None`.
    fn find_by_id(&self, id: &CredentialId) -> Result<Option<Passkey>, store::Error>;

    /// Adds the passkey, or overwrites the one of the same id. Those it replaces stay.
    ///
    /// # Errors
    ///
    /// See [`Self::find_by_rp`]; then nothing was changed.
    fn save(&self, passkey: &Passkey, rng: Random<'_>) -> Result<(), store::Error>;

    /// Notes that the laptop has the passkey, and removes those it replaces, in one transaction.
    ///
    /// # Errors
    ///
    /// See [`Self::find_by_rp`]; [`store::Error::NoSuchPasskey`] if it was deleted meanwhile.
    fn mark_delivered(
        &self,
        id: &CredentialId,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), store::Error>;

    /// Notes a sign-in, and nothing else: those it replaces stay. That a laptop took a signature
    /// does not prove that the site knows the passkey.
    ///
    /// # Errors
    ///
    /// See [`Self::mark_delivered`].
    fn mark_used(
        &self,
        id: &CredentialId,
        now: Timestamp,
        rng: Random<'_>,
    ) -> Result<(), store::Error>;
}
