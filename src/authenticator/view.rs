//! A passkey as front ends get it: all but its secrets, so that keys stay where they are used.
//!
//! Depends on siblings only.

use super::consent::{AccountView, printable};
use super::passkey::{CredProtect, CredentialId, Passkey, State, Timestamp, orphaned};
use super::store::Link;
use crate::printable::printable_within;

/// A passkey without its secrets. Texts are as the site sent them: make them [printable](Self::account)
/// before they meet a screen.
#[derive(Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Names it.
    pub id: CredentialId,
    /// The relying party's domain.
    pub rp_id: String,
    /// What the relying party calls itself: worth little.
    pub rp_name: Option<String>,
    /// The account's id, which only the relying party understands.
    pub user_id: Vec<u8>,
    /// The account's name.
    pub user_name: Option<String>,
    /// The person's name.
    pub user_display_name: Option<String>,
    /// The owner's own name for it.
    pub label: Option<String>,
    /// How far it got.
    pub state: State,
    /// Found without being named.
    pub discoverable: bool,
    /// What must be proven before it answers.
    pub cred_protect: CredProtect,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the laptop first confirmed that it has it.
    pub delivered_at: Option<Timestamp>,
    /// When it last signed in.
    pub last_used_at: Option<Timestamp>,
    /// How many passkeys of the same account go once this one is known to have arrived.
    pub replaces: usize,
}

impl PasskeyView {
    /// What there is to recognise it by; its texts are printable and bounded.
    #[must_use]
    pub fn account(&self) -> AccountView {
        AccountView {
            id: self.id.clone(),
            name: printable(self.user_name.as_deref().unwrap_or_default()),
            display_name: printable(self.user_display_name.as_deref().unwrap_or_default()),
            label: self.label.as_deref().map(printable),
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            state: self.state,
        }
    }

    /// As [`Passkey::may_be_orphaned`].
    #[must_use]
    pub fn may_be_orphaned(&self, unused: bool) -> bool {
        orphaned(self.state, unused)
    }
}

impl From<&Passkey> for PasskeyView {
    fn from(passkey: &Passkey) -> Self {
        Self {
            id: passkey.id.clone(),
            rp_id: passkey.rp.id.clone(),
            rp_name: passkey.rp.name.clone(),
            user_id: passkey.user.id.clone(),
            user_name: passkey.user.name.clone(),
            user_display_name: passkey.user.display_name.clone(),
            label: passkey.label.clone(),
            state: passkey.state(),
            discoverable: passkey.discoverable,
            cred_protect: passkey.cred_protect,
            created_at: passkey.created_at,
            delivered_at: passkey.delivered_at,
            last_used_at: passkey.last_used_at,
            replaces: passkey.replaces.len(),
        }
    }
}

/// Shows neither whose it is nor for which site.
impl std::fmt::Debug for PasskeyView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("PasskeyView");
        out.field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A computer that may ring, without what is secret about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Names the link.
    pub id: [u8; 8],
    /// At the request of which site it was made: computers do not say what they are called.
    pub rp_id: String,
    /// Since when.
    pub made_at: Timestamp,
    /// When it last rang.
    pub rung_at: Option<Timestamp>,
}

impl From<Link> for LinkView {
    fn from(link: Link) -> Self {
        let Link { id, made_at, rp_id, rung_at, .. } = link;
        Self { id: id.0, rp_id: printable_within(&rp_id, 255), made_at, rung_at }
    }
}
