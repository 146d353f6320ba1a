//! A phone for tests: one passkey, real signatures, and a knob for everything that can be wrong.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};

use crate::cbor::Value;
use crate::ctap::{
    AttestedCredential, AuthenticatorData, Command, CosePublicKey, CredentialDescriptor,
    Es256PublicKey, Flags, GetAssertionRequest, GetAssertionResponse, GetInfo,
    MakeCredentialRequest, MakeCredentialResponse, UserEntity,
};

/// Change what you like before a call.
pub(crate) struct TestPhone {
    pub(crate) id: Vec<u8>,
    pub(crate) flags: Flags,
    pub(crate) aaguid: [u8; 16],
    pub(crate) sign_count: u32,
    pub(crate) rp_id: Option<String>,
    pub(crate) public_key: Option<CosePublicKey>,
    pub(crate) user: Option<UserEntity>,
    pub(crate) name_credential: bool,
    pub(crate) number_of_credentials: Option<u64>,
    pub(crate) user_selected: Option<bool>,
    pub(crate) signed_extensions: Option<Value>,
    pub(crate) unsigned_extensions: Option<Value>,
    pub(crate) statement: (String, Value),
    pub(crate) attested_in_sign_in: bool,
    pub(crate) no_signature: bool,
    key: SigningKey,
}

impl TestPhone {
    pub(crate) fn new() -> Self {
        Self {
            id: vec![0xc1; 32],
            flags: Flags::USER_PRESENT
                | Flags::USER_VERIFIED
                | Flags::BACKUP_ELIGIBLE
                | Flags::BACKED_UP,
            aaguid: [0xaa; 16],
            sign_count: 0,
            rp_id: None,
            public_key: None,
            user: None,
            name_credential: true,
            number_of_credentials: None,
            user_selected: None,
            signed_extensions: None,
            unsigned_extensions: None,
            statement: ("none".into(), Value::Map(vec![])),
            attested_in_sign_in: false,
            no_signature: false,
            key: SigningKey::from_slice(&[7; 32]).unwrap(),
        }
    }

    pub(crate) fn info(extensions: &[&str]) -> GetInfo {
        GetInfo {
            versions: vec!["FIDO_2_0".into()],
            extensions: extensions.iter().map(|name| (*name).to_owned()).collect(),
            aaguid: [0xaa; 16],
            options: vec![("rk".into(), true), ("uv".into(), true)],
            max_msg_size: None,
            pin_uv_auth_protocols: vec![],
            max_credential_count_in_list: None,
            max_credential_id_length: None,
            transports: vec!["internal".into(), "hybrid".into()],
            algorithms: vec![],
            other: vec![],
        }
    }

    /// What the phone was asked, for tests that look at requests.
    pub(crate) fn creation(message: &[u8]) -> MakeCredentialRequest {
        let (command, body) = Command::split(message).unwrap();
        assert_eq!(command, Command::MakeCredential);
        MakeCredentialRequest::decode(body).unwrap()
    }

    /// What the phone was asked, for tests that look at requests.
    pub(crate) fn assertion(message: &[u8]) -> GetAssertionRequest {
        let (command, body) = Command::split(message).unwrap();
        assert_eq!(command, Command::GetAssertion);
        GetAssertionRequest::decode(body).unwrap()
    }

    pub(crate) fn register(&mut self, message: &[u8]) -> Vec<u8> {
        let request = Self::creation(message);
        self.user = Some(request.user);
        let attested = self.attested();
        let auth_data = self.auth_data(&request.rp.id, Some(attested));
        let (fmt, att_stmt) = self.statement.clone();
        ok(MakeCredentialResponse {
            fmt,
            auth_data,
            att_stmt,
            ep_att: None,
            large_blob_key: None,
            unsigned_extension_outputs: self.unsigned_extensions.clone(),
        }
        .encode())
    }

    pub(crate) fn sign_in(&self, message: &[u8]) -> Vec<u8> {
        let request = Self::assertion(message);
        self.sign(&request)
    }

    pub(crate) fn sign(&self, request: &GetAssertionRequest) -> Vec<u8> {
        let attested = self.attested_in_sign_in.then(|| self.attested());
        let auth_data = self.auth_data(&request.rp_id, attested);
        let signed = [&auth_data[..], &request.client_data_hash].concat();
        let signature: Signature = self.key.sign(&signed);
        let signature = signature.to_der().as_bytes().to_vec();
        let credential = CredentialDescriptor::new(self.id.clone());
        ok(GetAssertionResponse {
            credential: self.name_credential.then_some(credential),
            auth_data,
            signature: if self.no_signature { vec![] } else { signature },
            user: self.user.clone(),
            number_of_credentials: self.number_of_credentials,
            user_selected: self.user_selected,
            large_blob_key: None,
            unsigned_extension_outputs: self.unsigned_extensions.clone(),
        }
        .encode())
    }

    fn attested(&self) -> AttestedCredential {
        let point = self.key.verifying_key().to_encoded_point(false);
        let own = Es256PublicKey::from_sec1(point.as_bytes()).unwrap();
        let public_key = self.public_key.clone().unwrap_or(CosePublicKey::Es256(own));
        AttestedCredential { aaguid: self.aaguid, id: self.id.clone(), public_key }
    }

    fn auth_data(&self, rp_id: &str, attested: Option<AttestedCredential>) -> Vec<u8> {
        let rp_id = self.rp_id.as_deref().unwrap_or(rp_id);
        AuthenticatorData {
            rp_id_hash: Sha256::digest(rp_id).into(),
            flags: self.flags,
            sign_count: self.sign_count,
            attested,
            extensions: self.signed_extensions.clone(),
        }
        .encode()
    }
}

fn ok(body: Vec<u8>) -> Vec<u8> {
    [vec![0], body].concat()
}
