//! authenticatorGetInfo: the response. The request is its command byte alone.
//!
//! Depends on [`crate::cbor`] and siblings only. Specification: CTAP 2.2, section 6.4.

use super::read::{self, Fields, present};
use super::{CredentialParameters, Error, MAX_TEXT};
use crate::cbor::{self, Value};

/// What an authenticator says about itself.
///
/// Over hybrid it comes in the post-handshake message, without a status byte and without being
/// asked for; a client must not send the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetInfo {
    /// Protocol versions, such as `FIDO_2_0`.
    pub versions: Vec<String>,
    /// Names of extensions.
    pub extensions: Vec<String>,
    /// The make; all zero when it does not say.
    pub aaguid: [u8; 16],
    /// Options; an absent one has its default, which is not always false.
    pub options: Vec<(String, bool)>,
    /// Longest request in bytes; 1024 when absent, although phones that leave it out take more.
    pub max_msg_size: Option<u64>,
    /// PIN and UV protocols, preferred first.
    pub pin_uv_auth_protocols: Vec<u64>,
    /// Entries that an allow or exclude list may have.
    pub max_credential_count_in_list: Option<u64>,
    /// Bytes that a credential id has at most.
    pub max_credential_id_length: Option<u64>,
    /// `internal`, `hybrid`, `usb`, and on old phones `cable`.
    pub transports: Vec<String>,
    /// Algorithms, preferred first; empty when it does not say.
    pub algorithms: Vec<CredentialParameters>,
    /// Members from key 11 on, as they came.
    pub other: Vec<(u64, Value)>,
}

impl GetInfo {
    /// An option's value, if it is there.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<bool> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Whether it lists the extension.
    #[must_use]
    pub fn has_extension(&self, name: &str) -> bool {
        self.extensions.iter().any(|extension| extension == name)
    }

    /// The canonical body, without a status byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let texts = |list| read::unless_empty(list, |text: &String| Value::from(text.as_str()));
        let versions = self.versions.iter().map(|version| Value::from(version.as_str()));
        let known = [
            (1, Some(Value::Array(versions.collect()))),
            (2, texts(&self.extensions)),
            (3, Some(Value::from(self.aaguid))),
            (4, read::text_entries(&self.options)),
            (5, self.max_msg_size.map(Value::from)),
            (6, read::unless_empty(&self.pin_uv_auth_protocols, |n| Value::from(*n))),
            (7, self.max_credential_count_in_list.map(Value::from)),
            (8, self.max_credential_id_length.map(Value::from)),
            (9, texts(&self.transports)),
            (10, read::unless_empty(&self.algorithms, CredentialParameters::to_value)),
        ];
        let other = self.other.iter().filter(|(key, _)| *key > 10).cloned();
        cbor::encode(&Value::int_map(present(known).chain(other)))
    }

    /// Reads the body: any map order, unknown members kept, options that are no booleans skipped.
    ///
    /// # Errors
    ///
    /// Not CBOR; versions or AAGUID missing; a member up to key 10 of another type.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        let value = read::lenient(body)?;
        let fields = Fields::of(&value, "getInfo")?;
        let texts = || read::list(read::text::<MAX_TEXT>);
        let options = fields.optional(4, "options", read::text_map(read::value))?;
        let algorithms = read::list(CredentialParameters::read);
        Ok(Self {
            versions: fields.required(1, "versions", texts())?,
            extensions: fields.optional(2, "extensions", texts())?.unwrap_or_default(),
            aaguid: fields.required(3, "aaguid", read::array)?,
            options: booleans(options.unwrap_or_default()),
            max_msg_size: fields.optional(5, "maxMsgSize", read::uint)?,
            pin_uv_auth_protocols: fields
                .optional(6, "pinUvAuthProtocols", read::list(read::uint))?
                .unwrap_or_default(),
            max_credential_count_in_list: fields.optional(
                7,
                "maxCredentialCountInList",
                read::uint,
            )?,
            max_credential_id_length: fields.optional(8, "maxCredentialIdLength", read::uint)?,
            transports: fields.optional(9, "transports", texts())?.unwrap_or_default(),
            algorithms: fields.optional(10, "algorithms", algorithms)?.unwrap_or_default(),
            other: others(&value),
        })
    }
}

fn booleans(options: Vec<(String, Value)>) -> Vec<(String, bool)> {
    options.into_iter().filter_map(|(key, value)| Some((key, value.as_bool()?))).collect()
}

fn others(value: &Value) -> Vec<(u64, Value)> {
    let entries = value.as_map().unwrap_or_default().iter();
    let numbered = entries.filter_map(|(key, value)| Some((key.as_uint()?, value.clone())));
    numbered.filter(|(key, _)| *key > 10).collect()
}
