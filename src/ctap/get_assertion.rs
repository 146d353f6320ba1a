//! authenticatorGetAssertion and authenticatorGetNextAssertion: request and response.
//!
//! The second one's request is its command byte alone. Depends on [`crate::cbor`] and siblings
//! only. Specification: CTAP 2.2, sections 6.2 and 6.3.

use std::fmt;

use super::read::{self, Fields, Redacted, present};
use super::{
    Command, CredentialDescriptor, Error, MAX_MESSAGE, MAX_RP_ID, MAX_TEXT, Options, Status,
    UserEntity,
};
use crate::cbor::{self, Value};

/// Asks for a signature by a passkey.
#[derive(Clone, PartialEq, Eq)]
pub struct GetAssertionRequest {
    /// Who asks.
    pub rp_id: String,
    /// SHA-256 of the client data JSON.
    pub client_data_hash: [u8; 32],
    /// Passkeys that may answer; empty: any discoverable one of this relying party.
    pub allow_list: Vec<CredentialDescriptor>,
    /// Extension inputs by name, in no order.
    pub extensions: Vec<(String, Value)>,
    /// Present? Verified?
    pub options: Options,
    /// Proof of a PIN or UV token; over hybrid there is none.
    pub pin_uv_auth_param: Option<Vec<u8>>,
    /// Which protocol the proof is of.
    pub pin_uv_auth_protocol: Option<u64>,
}

impl GetAssertionRequest {
    /// The whole message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = Value::int_map(present([
            (1, Some(Value::from(self.rp_id.as_str()))),
            (2, Some(Value::from(self.client_data_hash))),
            (3, read::unless_empty(&self.allow_list, CredentialDescriptor::to_value)),
            (4, read::text_entries(&self.extensions)),
            (5, self.options.to_value()),
            (6, self.pin_uv_auth_param.clone().map(Value::from)),
            (7, self.pin_uv_auth_protocol.map(Value::from)),
        ]));
        read::message(Command::GetAssertion, &body)
    }

    /// Reads what follows the command byte. An empty allow list is read as none.
    ///
    /// # Errors
    ///
    /// The status to answer with.
    pub fn decode(body: &[u8]) -> Result<Self, Status> {
        Ok(Self::read(&read::lenient(body)?)?)
    }

    fn read(value: &Value) -> Result<Self, Error> {
        let fields = Fields::of(value, "getAssertion")?;
        let allowed = read::list(CredentialDescriptor::read);
        let extensions = read::text_map(read::value);
        Ok(Self {
            rp_id: fields.required(1, "rpId", read::text::<MAX_RP_ID>)?,
            client_data_hash: fields.required(2, "clientDataHash", read::array)?,
            allow_list: fields.optional(3, "allowList", allowed)?.unwrap_or_default(),
            extensions: fields.optional(4, "extensions", extensions)?.unwrap_or_default(),
            options: fields.optional(5, "options", Options::read)?.unwrap_or_default(),
            pin_uv_auth_param: fields.optional(6, "pinUvAuthParam", read::bytes::<64>)?,
            pin_uv_auth_protocol: fields.optional(7, "pinUvAuthProtocol", read::uint)?,
        })
    }
}

/// A passkey's signature.
#[derive(Clone, PartialEq, Eq)]
pub struct GetAssertionResponse {
    /// Which passkey signed; may be left out when the allow list had one entry.
    pub credential: Option<CredentialDescriptor>,
    /// Authenticator data as it came: the signature is over these bytes and the client data hash.
    pub auth_data: Vec<u8>,
    /// For ES256 a DER sequence of r and s.
    pub signature: Vec<u8>,
    /// The account; only its id unless the user was verified.
    pub user: Option<UserEntity>,
    /// How many accounts there are for `GetNextAssertion`, this one included; only in the first.
    pub number_of_credentials: Option<u64>,
    /// True: the user chose the account on the authenticator, the client need not ask.
    pub user_selected: Option<bool>,
    /// Key of this passkey's large blob.
    pub large_blob_key: Option<Vec<u8>>,
    /// Extension outputs that are not signed, such as `prf` over hybrid.
    pub unsigned_extension_outputs: Option<Value>,
}

impl GetAssertionResponse {
    /// The body behind the status byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::int_map(present([
            (1, self.credential.as_ref().map(CredentialDescriptor::to_value)),
            (2, Some(Value::from(self.auth_data.as_slice()))),
            (3, Some(Value::from(self.signature.as_slice()))),
            (4, self.user.as_ref().map(UserEntity::to_value)),
            (5, self.number_of_credentials.map(Value::from)),
            (6, self.user_selected.map(Value::from)),
            (7, self.large_blob_key.clone().map(Value::from)),
            (8, self.unsigned_extension_outputs.clone()),
        ])))
    }

    /// Reads what follows the status byte.
    ///
    /// # Errors
    ///
    /// Not CBOR, or `authData` or `signature` missing, or a member of another type.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let value = read::lenient(body)?;
        let fields = Fields::of(&value, "getAssertion response")?;
        Ok(Self {
            credential: fields.optional(1, "credential", CredentialDescriptor::read)?,
            auth_data: fields.required(2, "authData", read::bytes::<MAX_MESSAGE>)?,
            signature: fields.required(3, "signature", read::bytes::<MAX_TEXT>)?,
            user: fields.optional(4, "user", UserEntity::read)?,
            number_of_credentials: fields.optional(5, "numberOfCredentials", read::uint)?,
            user_selected: fields.optional(6, "userSelected", read::boolean)?,
            large_blob_key: fields.optional(7, "largeBlobKey", read::bytes::<MAX_TEXT>)?,
            unsigned_extension_outputs: fields.optional(
                8,
                "unsignedExtensionOutputs",
                read::value,
            )?,
        })
    }
}

impl fmt::Debug for GetAssertionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetAssertionRequest")
            .field("rp_id", &self.rp_id)
            .field("allow_list", &self.allow_list)
            .field("extensions", &read::names(&self.extensions))
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GetAssertionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outputs = self.unsigned_extension_outputs.as_ref().map(|_| Redacted);
        f.debug_struct("GetAssertionResponse")
            .field("credential", &self.credential)
            .field("auth_data", &self.auth_data)
            .field("signature", &self.signature)
            .field("user", &self.user)
            .field("number_of_credentials", &self.number_of_credentials)
            .field("user_selected", &self.user_selected)
            .field("large_blob_key", &self.large_blob_key.as_ref().map(|_| Redacted))
            .field("unsigned_extension_outputs", &outputs)
            .finish()
    }
}
