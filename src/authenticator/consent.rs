//! Asking the user: what is asked, what can come back, and the trait of whoever asks.
//!
//! Depends on the siblings `passkey` and `view` and on [`crate::ctap`] only.

use std::future::Future;

use super::passkey::{CredentialId, Passkey, State, Timestamp};
use super::view::PasskeyView;
use crate::ctap::Permissions;
pub(super) use crate::printable::printable;

/// Asks the user and verifies that it is the user.
///
/// An approval carries a [`Verification`], which only a right PIN gives (or an owner who said so
/// beforehand): a front end cannot approve by mistake what it did not verify. The store has to be
/// unlocked before there is anything to ask about, since it tells the accounts; a PIN given for
/// that, within the same transaction, may serve as its verification.
pub trait Consent {
    /// Asks and waits for the user. The engine puts a limit to the wait and drops the future then,
    /// so withdraw the question from the screen on drop.
    fn ask(&self, request: ConsentRequest) -> impl Future<Output = Decision> + Send;

    /// Whether the user can be shown several accounts to choose from. If not, the client asks.
    fn can_pick(&self) -> bool {
        true
    }
}

impl<C: Consent + Send + Sync> Consent for std::sync::Arc<C> {
    fn ask(&self, request: ConsentRequest) -> impl Future<Output = Decision> + Send {
        (**self).ask(request)
    }

    fn can_pick(&self) -> bool {
        (**self).can_pick()
    }
}

/// What the user is asked.
///
/// All texts in it came from the laptop: control and text-direction characters are already
/// replaced and lengths are bounded, but who is named is nobody's word but the laptop's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentRequest {
    /// "Save a passkey for ...?"
    Save {
        /// The relying party's domain: what counts.
        rp_id: String,
        /// What it calls itself: worth little.
        rp_name: Option<String>,
        /// The account's name, or its display name, if there is one.
        account: Option<String>,
        /// Passkeys of the same account that the new one will replace when it has arrived.
        replaces: Vec<AccountView>,
    },
    /// "Sign in to ... as ...?"
    SignIn {
        /// The relying party's domain.
        rp_id: String,
        /// At least one; answer with the index of the one chosen, 0 if there is one only.
        accounts: Vec<AccountView>,
        /// Whether to let the user choose. If not, all are about to be listed to the client.
        pick: bool,
    },
    /// "There already is a passkey for ...". Approved or not, none is made.
    AlreadyRegistered {
        /// The relying party's domain.
        rp_id: String,
        /// The passkey that is there.
        account: AccountView,
    },
    /// "No passkey for ... is on this phone." Whatever the answer, the laptop hears just that, but
    /// not before the user saw it: a laptop cannot silently try out who is known here. "Seen" is
    /// all there is to say, so a front end may answer [`Decision::Declined`] without a PIN.
    NothingFound {
        /// The relying party's domain.
        rp_id: String,
    },
    /// "Use this phone?"
    Presence,
    /// "A program on this machine asks to list, rename and delete your passkeys." Good for ten
    /// minutes.
    Allow {
        /// The only relying party concerned; otherwise all are.
        rp_id: Option<String>,
        /// What it may do then.
        permissions: Permissions,
    },
    /// "A program on this machine asks to delete ALL passkeys for good." The PIN stays.
    Reset {
        /// How many there are to lose.
        passkeys: usize,
    },
}

impl ConsentRequest {
    /// The answer of an owner who approved beforehand. The first account is the newest of those that a
    /// site is known to have; nobody agreed beforehand to lose everything.
    #[must_use]
    pub fn approved_beforehand(&self, verification: Verification) -> Decision {
        match self.is_approved_beforehand() {
            true => Decision::Approved { account: 0, verification },
            false => Decision::Declined,
        }
    }

    /// Whether [`Self::approved_beforehand`] says yes.
    #[must_use]
    pub fn is_approved_beforehand(&self) -> bool {
        !matches!(self, Self::NothingFound { .. } | Self::Reset { .. })
    }
}

/// A passkey as a user recognises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Which passkey.
    pub id: CredentialId,
    /// The account's name, empty if the site gave none.
    pub name: String,
    /// The person's name, empty if the site gave none.
    pub display_name: String,
    /// The owner's own name for the passkey.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last signed in.
    pub last_used_at: Option<Timestamp>,
    /// How far it got; [`State::Created`] means that the site may not know it.
    pub state: State,
}

impl AccountView {
    /// The account as its owner knows it: its name, or the person's; `None` if it has neither.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        [self.name.as_str(), &self.display_name].into_iter().find(|name| !name.is_empty())
    }
}

impl From<&Passkey> for AccountView {
    fn from(passkey: &Passkey) -> Self {
        PasskeyView::from(passkey).account()
    }
}

/// What the user answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Yes.
    Approved {
        /// Index into the accounts asked about; 0 where there was no choice.
        account: usize,
        /// Proof that the user was verified.
        verification: Verification,
    },
    /// No.
    Declined,
    /// No answer in time.
    TimedOut,
    /// The question was withdrawn, because the laptop went or the program ends.
    Cancelled,
    /// Not the user: wrong PIN.
    NotVerified,
    /// Too many wrong PINs; the store refuses further ones for a while.
    LockedOut,
}

/// Proof that the user was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verification(());

impl Verification {
    /// The store accepted the PIN.
    pub(super) fn by_pin() -> Self {
        Self(())
    }

    /// Another way to verify the user, which the service trusts, recognised them.
    pub(super) fn by_verifier() -> Self {
        Self(())
    }

    /// The owner of the device approved beforehand, for automation: every answer then claims a
    /// verified user although nobody looked. Only for an owner who asked for it in so many words.
    #[must_use]
    pub fn standing_approval() -> Self {
        Self(())
    }
}
