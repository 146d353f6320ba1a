//! A row of the web site's database. Depends on its errors and the policy's names.

use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::PublicKeyCredentialDescriptor;
use webauthn_rp::request::register::UserHandle64;
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{AuthenticatedCredential, RegisteredCredential};

use super::{Aaguid, RelyingPartyError, USER_HANDLE};

#[derive(Debug)]
pub(super) struct Passkey {
    pub(super) id: CredentialId<Vec<u8>>,
    pub(super) aaguid: Aaguid,
    transports: AuthTransports,
    /// Public key and what else never changes, in the library's own encoding.
    static_state: Vec<u8>,
    pub(super) dynamic_state: DynamicState,
}

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;
type Loaded<'a> = AuthenticatedCredential<'a, 'a, USER_HANDLE, PublicKey>;

impl Passkey {
    pub(super) fn new(credential: &RegisteredCredential<'_, USER_HANDLE>) -> Self {
        let Ok(static_state) = credential.static_state().encode();
        Self {
            id: credential.id().into(),
            aaguid: credential.metadata().aaguid.into(),
            transports: credential.transports(),
            static_state,
            dynamic_state: credential.dynamic_state(),
        }
    }

    pub(super) fn descriptor(&self) -> PublicKeyCredentialDescriptor<Vec<u8>> {
        let id = CredentialId::<&[u8]>::from(&self.id);
        PublicKeyCredentialDescriptor { id: id.into(), transports: self.transports }
    }

    /// The row as the library wants it; the key is checked once more on the way.
    pub(super) fn load<'a>(
        &'a self,
        user_id: &'a UserHandle64,
    ) -> Result<Loaded<'a>, RelyingPartyError> {
        let static_state = StaticState::<PublicKey>::decode(&self.static_state)
            .map_err(RelyingPartyError::Stored)?;
        let id = CredentialId::<&[u8]>::from(&self.id);
        AuthenticatedCredential::new(id, user_id, static_state, self.dynamic_state)
            .map_err(RelyingPartyError::Inconsistent)
    }
}
