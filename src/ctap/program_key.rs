//! Keys of programs that are no web sites, such as ssh and PAM: what is asked of a phone for them, and whether
//! an answer is for them.

use sha2::{Digest as _, Sha256};

use super::{
    AuthenticatorData, CredentialDescriptor, CredentialParameters, ES256, Flags,
    GetAssertionRequest, GetInfo, MakeCredentialRequest, Options, RpEntity, UserEntity,
};
use crate::cbor::Value;

/// A key that is wanted.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// What it is for; phones show it as the site.
    pub rp_id: &'a str,
    /// The account's handle: a phone keeps one passkey of an account, whatever it is asked for.
    pub user_id: Vec<u8>,
    /// The account's name.
    pub user_name: &'a str,
    /// Whether it can be found without its handle.
    pub resident: bool,
    /// Whether it is only for whom the phone has verified.
    pub verification: bool,
}

impl NewKey<'_> {
    /// The request, ES256, for a phone that can do this much: it is protected (`credProtect`) and verified (`uv`)
    /// as far as the phone knows the word, because one that does not refuses it.
    #[must_use]
    pub fn request(&self, info: &GetInfo, client_data_hash: [u8; 32]) -> MakeCredentialRequest {
        let protect = match (self.verification, self.resident) {
            _ if !info.has_extension("credProtect") => None,
            (true, _) => Some(3),
            (false, true) => Some(2),
            (false, false) => None,
        };
        let protect = protect.map(|level| ("credProtect".to_owned(), Value::int(level)));
        let name = Some(self.user_name.to_owned());
        MakeCredentialRequest {
            client_data_hash,
            rp: RpEntity { id: self.rp_id.to_owned(), name: Some(self.rp_id.to_owned()) },
            user: UserEntity { id: self.user_id.clone(), name: name.clone(), display_name: name },
            pub_key_cred_params: vec![CredentialParameters::new(ES256)],
            exclude_list: vec![],
            extensions: protect.into_iter().collect(),
            options: Options {
                rk: self.resident.then_some(true),
                up: None,
                uv: info.uv_for(self.verification),
            },
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
            enterprise_attestation: None,
        }
    }
}

impl GetAssertionRequest {
    /// A signature by one of these keys of a program, for a phone that can do this much; `verification` asks the
    /// phone to verify its user, if it knows the word. It asks for a touch in any case: phones sign nothing without.
    #[must_use]
    pub fn by_key(
        rp_id: &str,
        client_data_hash: [u8; 32],
        keys: impl IntoIterator<Item = Vec<u8>>,
        info: &GetInfo,
        verification: bool,
    ) -> Self {
        Self {
            rp_id: rp_id.to_owned(),
            client_data_hash,
            allow_list: keys.into_iter().map(CredentialDescriptor::new).collect(),
            extensions: vec![],
            options: Options { rk: None, up: None, uv: info.uv_for(verification) },
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        }
    }
}

impl GetInfo {
    /// The option `uv` of a request: said only where it is wanted and the phone knows the word, because others
    /// refuse it. Whether one verified is seen in its answer.
    fn uv_for(&self, wanted: bool) -> Option<bool> {
        (wanted && self.option("uv") == Some(true)).then_some(true)
    }
}

impl AuthenticatorData {
    /// Whether it is for what has this rp id (its hash is what is signed).
    #[must_use]
    pub fn is_for(&self, rp_id: &str) -> bool {
        self.rp_id_hash[..] == Sha256::digest(rp_id)[..]
    }

    /// Whether the phone verified its user, if that is wanted.
    #[must_use]
    pub fn is_verified_for(&self, wanted: bool) -> bool {
        !wanted || self.flags.contains(Flags::USER_VERIFIED)
    }
}
