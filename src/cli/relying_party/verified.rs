//! What a web site learns of a passkey that was verified.

use super::{Aaguid, RelyingParty, RelyingPartyError};

/// What a verified ceremony says of the passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which passkey.
    pub credential_id: Vec<u8>,
    /// The make that the passkey states.
    pub aaguid: Aaguid,
    /// Whether the phone verified its user (and did not just see somebody).
    pub user_verified: bool,
    /// Passkeys of this account that are registered now.
    pub passkeys: usize,
}

impl RelyingParty {
    pub(super) fn verified(&self, credential_id: &[u8]) -> Result<Verified, RelyingPartyError> {
        let passkey = self.find(credential_id)?;
        Ok(Verified {
            credential_id: credential_id.to_vec(),
            aaguid: passkey.aaguid,
            user_verified: passkey.dynamic_state.user_verified,
            passkeys: self.passkeys.len(),
        })
    }
}
