//! The link that a laptop gets which asks to be remembered.

use rand_core::{CryptoRng, RngCore};

use super::Driver;
use crate::authenticator::phone::{Linking, Progress};
use crate::authenticator::{Consent, CredentialId, PasskeyStore, Timestamp};
use crate::hybrid::authenticator::Linked;
use crate::hybrid::keys::LinkSecret;
use crate::hybrid::linking::{LinkId, LinkingInfo};

impl<S, C, K, R, P> Driver<'_, S, C, K, R, P>
where
    S: PasskeyStore + Send + Sync,
    C: Consent + Send + Sync,
    K: Fn() -> Timestamp + Send + Sync,
    R: RngCore + CryptoRng + Send,
    P: FnMut(Progress<'_>) + Send,
{
    /// Makes a link for this laptop, once. One that cannot be kept is none.
    pub(super) fn link(&mut self, credential: &CredentialId) -> Option<LinkingInfo> {
        let Linking { identity, contact_id, name, mut keep } = self.phone.linking.take()?;
        let mut id = [0; 8];
        self.rng.fill_bytes(&mut id);
        let (link_id, link_secret) = (LinkId(id), LinkSecret::random(&mut *self.rng));
        let linked = Linked { contact_id, link_id, link_secret: link_secret.clone(), name };
        let info = self.transaction.linking_info(linked, &identity)?;
        if let Err(error) = keep(link_id, &link_secret, credential) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the link is not kept");
            return None;
        }
        (self.progress)(Progress::Linked);
        Some(info)
    }
}
