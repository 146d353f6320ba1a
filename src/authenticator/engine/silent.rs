//! Looking whether a passkey is here, without the user: `getAssertion` with `up` false.
//!
//! Programs on this machine do so before they ask for the user. The answer is true: its flags say
//! that nobody was present and nobody verified, so no site takes it for a sign-in that wants one.
//! Passkeys whose site asked for protection stay hidden. Depends on siblings only.
//!
//! Specification: CTAP 2.2, sections 6.2.2 and 12.1.

use sha2::{Digest, Sha256};

use super::{Answer, Engine, Outcome, attest, sign_in};
use crate::authenticator::consent::Consent;
use crate::authenticator::passkey::{CredProtect, PasskeyStore};
use crate::ctap::{
    AuthenticatorData, CredentialDescriptor, Flags, GetAssertionRequest, GetAssertionResponse,
    Status,
};

/// Whether it asks for no user at all.
pub(super) fn is_silent(request: &GetAssertionRequest) -> bool {
    request.options.up == Some(false) && request.options.uv != Some(true)
}

impl<S: PasskeyStore + Sync, C: Consent + Sync> Engine<S, C> {
    /// Extensions are left out: they would tell secrets without the user.
    pub(super) fn look(&self, request: &GetAssertionRequest) -> Answer {
        let named = !request.allow_list.is_empty();
        let mut passkeys = self.candidates(request)?;
        passkeys.retain(|passkey| match passkey.cred_protect {
            CredProtect::Optional => true,
            CredProtect::OptionalWithList => named,
            CredProtect::Required => false,
        });
        let passkey = passkeys.first().ok_or(Status::NO_CREDENTIALS)?;
        let key = attest::signing_key(passkey)?;
        let rp_id_hash = Sha256::digest(&passkey.rp.id).into();
        let (flags, sign_count) = (Flags::default(), 0);
        let data =
            AuthenticatorData { rp_id_hash, flags, sign_count, attested: None, extensions: None };
        let auth_data = data.encode();
        let response = GetAssertionResponse {
            credential: Some(CredentialDescriptor::new(passkey.id.as_bytes().to_vec())),
            signature: attest::sign(&key, &auth_data, &request.client_data_hash),
            auth_data,
            user: sign_in::user(passkey, false),
            number_of_credentials: None,
            user_selected: None,
            large_blob_key: None,
            unsigned_extension_outputs: None,
        };
        Ok((response.encode(), Outcome::Answered))
    }
}
