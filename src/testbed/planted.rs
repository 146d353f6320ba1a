//! Passkeys that a phone has from the start: made by the test, with the public key told. Pure.

use p256::ecdsa::SigningKey;

use super::Error;
use crate::authenticator::passkey::{CredProtect, PrfSeeds};
use crate::authenticator::{Backup, CredentialId, Origin, Passkey, Random, State, Timestamp};
use crate::ctap::{Es256PublicKey, MAX_RP_ID, MAX_USER_ID, RpEntity, UserEntity};
use crate::secret::Secret;

/// A passkey to give to a phone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewPasskey {
    /// The site.
    pub rp_id: String,
    /// The account's id.
    pub user_id: Vec<u8>,
    /// The account's name.
    pub user_name: Option<String>,
    /// The person's name.
    pub user_display_name: Option<String>,
    /// Found without being named.
    pub discoverable: bool,
    /// How far it got.
    pub state: State,
}

/// What a site keeps of such a passkey.
#[derive(Clone, Debug)]
pub struct PlantedPasskey {
    /// Names it.
    pub id: CredentialId,
    /// What its signatures are verified with.
    pub public_key: Es256PublicKey,
}

impl NewPasskey {
    /// Discoverable, and known to its site.
    #[must_use]
    pub fn new(rp_id: &str, user_id: &[u8]) -> Self {
        Self {
            rp_id: rp_id.to_owned(),
            user_id: user_id.to_vec(),
            user_name: None,
            user_display_name: None,
            discoverable: true,
            state: State::Delivered,
        }
    }

    pub(super) fn make(
        self,
        now: Timestamp,
        mut rng: Random<'_>,
    ) -> Result<(Passkey, PlantedPasskey), Error> {
        let good = (1..=MAX_RP_ID).contains(&self.rp_id.len())
            && (1..=MAX_USER_ID).contains(&self.user_id.len());
        if !good {
            return Err(Error::BadPasskey);
        }
        let key = SigningKey::random(&mut rng);
        let point = key.verifying_key().to_encoded_point(false);
        // A point that is not compressed has this form.
        let public_key = Es256PublicKey::from_sec1(point.as_bytes()).ok_or(Error::BadPasskey)?;
        let id = CredentialId::random(rng);
        let passkey = Passkey {
            id: id.clone(),
            rp: RpEntity { id: self.rp_id, name: None },
            user: UserEntity {
                id: self.user_id,
                name: self.user_name,
                display_name: self.user_display_name,
            },
            private_key: Secret::new(key.to_bytes().into()),
            discoverable: self.discoverable,
            cred_protect: CredProtect::default(),
            prf_seeds: PrfSeeds {
                verified: Secret::random(&mut rng),
                unverified: Secret::random(&mut rng),
            },
            cred_blob: None,
            large_blob: None,
            large_blob_key: None,
            backup: Backup::ELIGIBLE,
            origin: Origin::Made,
            label: None,
            created_at: now,
            delivered_at: (self.state != State::Created).then_some(now),
            last_used_at: (self.state == State::Used).then_some(now),
            replaces: Vec::new(),
        };
        Ok((passkey, PlantedPasskey { id, public_key }))
    }
}
