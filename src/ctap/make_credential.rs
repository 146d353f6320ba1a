//! authenticatorMakeCredential: request and response.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 6.1.

use std::fmt;

use super::read::{self, Fields, Redacted, present};
use super::{
    Command, CredentialDescriptor, CredentialParameters, Error, MAX_MESSAGE, MAX_TEXT, Options,
    RpEntity, Status, UserEntity,
};
use crate::cbor::{self, Value};

/// Asks for a new passkey.
#[derive(Clone, PartialEq, Eq)]
pub struct MakeCredentialRequest {
    /// SHA-256 of the client data JSON.
    pub client_data_hash: [u8; 32],
    /// Who asks.
    pub rp: RpEntity,
    /// For which account.
    pub user: UserEntity,
    /// Algorithms that the relying party takes, best first.
    pub pub_key_cred_params: Vec<CredentialParameters>,
    /// Passkeys that must not be on this authenticator already.
    pub exclude_list: Vec<CredentialDescriptor>,
    /// Extension inputs by name, in no order.
    pub extensions: Vec<(String, Value)>,
    /// Discoverable? Verified?
    pub options: Options,
    /// Proof of a PIN or UV token; over hybrid there is none.
    pub pin_uv_auth_param: Option<Vec<u8>>,
    /// Which protocol the proof is of.
    pub pin_uv_auth_protocol: Option<u64>,
    /// 1 or 2 when enterprise attestation is asked for.
    pub enterprise_attestation: Option<u64>,
}

impl MakeCredentialRequest {
    /// The whole message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let params = self.pub_key_cred_params.iter().map(CredentialParameters::to_value);
        let body = Value::int_map(present([
            (1, Some(Value::from(self.client_data_hash))),
            (2, Some(self.rp.to_value())),
            (3, Some(self.user.to_value())),
            (4, Some(Value::Array(params.collect()))),
            (5, read::unless_empty(&self.exclude_list, CredentialDescriptor::to_value)),
            (6, read::text_entries(&self.extensions)),
            (7, self.options.to_value()),
            (8, self.pin_uv_auth_param.clone().map(Value::from)),
            (9, self.pin_uv_auth_protocol.map(Value::from)),
            (10, self.enterprise_attestation.map(Value::from)),
        ]));
        read::message(Command::MakeCredential, &body)
    }

    /// Reads what follows the command byte.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn decode(body: &[u8]) -> Result<Self, Status> {
        Ok(Self::read(&read::lenient(body)?)?)
    }

    fn read(value: &Value) -> Result<Self, Error> {
        let fields = Fields::of(value, "makeCredential")?;
        let params = read::list(CredentialParameters::read);
        let excluded = read::list(CredentialDescriptor::read);
        let extensions = read::text_map(read::value);
        Ok(Self {
            client_data_hash: fields.required(1, "clientDataHash", read::array)?,
            rp: fields.required(2, "rp", RpEntity::read)?,
            user: fields.required(3, "user", UserEntity::read)?,
            pub_key_cred_params: fields.required(4, "pubKeyCredParams", params)?,
            exclude_list: fields.optional(5, "excludeList", excluded)?.unwrap_or_default(),
            extensions: fields.optional(6, "extensions", extensions)?.unwrap_or_default(),
            options: fields.optional(7, "options", Options::read)?.unwrap_or_default(),
            pin_uv_auth_param: fields.optional(8, "pinUvAuthParam", read::bytes::<64>)?,
            pin_uv_auth_protocol: fields.optional(9, "pinUvAuthProtocol", read::uint)?,
            enterprise_attestation: fields.optional(10, "enterpriseAttestation", read::uint)?,
        })
    }
}

/// A new passkey's public half, with attestation.
#[derive(Clone, PartialEq, Eq)]
pub struct MakeCredentialResponse {
    /// Attestation statement format, such as `packed` or `none`.
    pub fmt: String,
    /// Authenticator data as it came: attestation signs these bytes. See
    /// [`super::AuthenticatorData`].
    pub auth_data: Vec<u8>,
    /// Attestation statement, shape by `fmt`.
    pub att_stmt: Value,
    /// Enterprise attestation was given.
    pub ep_att: Option<bool>,
    /// Key of this passkey's large blob.
    pub large_blob_key: Option<Vec<u8>>,
    /// Extension outputs that are not signed, such as `prf` over hybrid.
    pub unsigned_extension_outputs: Option<Value>,
}

impl MakeCredentialResponse {
    /// The body behind the status byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map(present([
            (1, Some(Value::from(self.fmt.as_str()))),
            (2, Some(Value::from(self.auth_data.as_slice()))),
            (3, Some(self.att_stmt.clone())),
            (4, self.ep_att.map(Value::from)),
            (5, self.large_blob_key.clone().map(Value::from)),
            (6, self.unsigned_extension_outputs.clone()),
        ])))
    }

    /// Reads what follows the status byte. An absent statement is read as an empty map.
    ///
    /// # Errors
    ///
    /// Not CBOR, or `fmt` or `authData` missing, or a member of another type.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let value = read::lenient(body)?;
        let fields = Fields::of(&value, "makeCredential response")?;
        Ok(Self {
            fmt: fields.required(1, "fmt", read::text::<MAX_TEXT>)?,
            auth_data: fields.required(2, "authData", read::bytes::<MAX_MESSAGE>)?,
            att_stmt: fields.optional(3, "attStmt", read::value)?.unwrap_or(Value::Map(vec![])),
            ep_att: fields.optional(4, "epAtt", read::boolean)?,
            large_blob_key: fields.optional(5, "largeBlobKey", read::bytes::<MAX_TEXT>)?,
            unsigned_extension_outputs: fields.optional(
                6,
                "unsignedExtensionOutputs",
                read::value,
            )?,
        })
    }
}

impl fmt::Debug for MakeCredentialRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeCredentialRequest")
            .field("rp", &self.rp)
            .field("user", &self.user)
            .field("pub_key_cred_params", &self.pub_key_cred_params)
            .field("exclude_list", &self.exclude_list)
            .field("extensions", &read::names(&self.extensions))
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MakeCredentialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outputs = self.unsigned_extension_outputs.as_ref().map(|_| Redacted);
        f.debug_struct("MakeCredentialResponse")
            .field("fmt", &self.fmt)
            .field("auth_data", &self.auth_data)
            .field("att_stmt", &self.att_stmt)
            .field("ep_att", &self.ep_att)
            .field("large_blob_key", &self.large_blob_key.as_ref().map(|_| Redacted))
            .field("unsigned_extension_outputs", &outputs)
            .finish()
    }
}
