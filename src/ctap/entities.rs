//! Parameters that several messages share: relying party, user, credential, options.
//!
//! Depends on [`crate::cbor`] and the sibling `read` only.

use super::read::{self, Fields, present};
use super::{Error, MAX_CREDENTIAL_ID, MAX_RP_ID, MAX_TEXT, MAX_USER_ID};
use crate::cbor::Value;

/// The only credential type there is.
pub const PUBLIC_KEY: &str = "public-key";

/// Who asks: the relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpEntity {
    /// The domain that passkeys are bound to; at most [`MAX_RP_ID`] bytes.
    pub id: String,
    /// A name for people. Not vouched for by anyone: show the id as well.
    pub name: Option<String>,
}

impl RpEntity {
    pub(super) fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        Ok(Self {
            id: fields.required("id", "rp.id", read::text::<MAX_RP_ID>)?,
            name: fields.optional("name", "rp.name", read::text::<MAX_TEXT>)?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let id = Some(Value::from(self.id.as_str()));
        Value::text_map(present([("id", id), ("name", self.name.clone().map(Value::from))]))
    }
}

/// The account a passkey is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntity {
    /// The relying party's handle: opaque, 1 to [`MAX_USER_ID`] bytes, never shown to people.
    pub id: Vec<u8>,
    /// What tells accounts apart, such as an address. Some phones send it empty.
    pub name: Option<String>,
    /// What the user calls themselves. Some phones send it empty.
    pub display_name: Option<String>,
}

impl UserEntity {
    pub(super) fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        let id = fields.required("id", "user.id", read::bytes::<MAX_USER_ID>)?;
        if id.is_empty() {
            return Err(Error::WrongLength { field: "user.id" });
        }
        Ok(Self {
            id,
            name: fields.optional("name", "user.name", read::text::<MAX_TEXT>)?,
            display_name: fields.optional(
                "displayName",
                "user.displayName",
                read::text::<MAX_TEXT>,
            )?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        Value::text_map(present([
            ("id", Some(Value::from(self.id.as_slice()))),
            ("name", self.name.clone().map(Value::from)),
            ("displayName", self.display_name.clone().map(Value::from)),
        ]))
    }
}

/// Names one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialDescriptor {
    /// The credential id, at most [`MAX_CREDENTIAL_ID`] bytes.
    pub id: Vec<u8>,
    /// The type; anything but [`PUBLIC_KEY`] is to be ignored.
    pub kind: String,
    /// How the authenticator may be reached; empty when nothing was said.
    pub transports: Vec<String>,
}

impl CredentialDescriptor {
    /// A descriptor of the usual type without transports.
    #[must_use]
    pub fn new(id: Vec<u8>) -> Self {
        Self { id, kind: PUBLIC_KEY.to_owned(), transports: Vec::new() }
    }

    pub(super) fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        let transports = read::list(read::text::<MAX_TEXT>);
        Ok(Self {
            id: fields.required("id", "credential id", read::bytes::<MAX_CREDENTIAL_ID>)?,
            kind: fields.required("type", "credential type", read::text::<MAX_TEXT>)?,
            transports: fields
                .optional("transports", "credential transports", transports)?
                .unwrap_or_default(),
        })
    }

    pub(super) fn to_value(&self) -> Value {
        Value::text_map(present([
            ("id", Some(Value::from(self.id.as_slice()))),
            ("type", Some(Value::from(self.kind.as_str()))),
            ("transports", read::unless_empty(&self.transports, |t| Value::from(t.as_str()))),
        ]))
    }
}

/// One algorithm that the relying party takes, or that the authenticator has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialParameters {
    /// COSE algorithm number, such as [`super::ES256`].
    pub alg: i64,
    /// The type; anything but [`PUBLIC_KEY`] is to be ignored.
    pub kind: String,
}

impl CredentialParameters {
    /// Parameters of the usual type.
    #[must_use]
    pub fn new(alg: i64) -> Self {
        Self { alg, kind: PUBLIC_KEY.to_owned() }
    }

    pub(super) fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        Ok(Self {
            alg: fields.required("alg", "pubKeyCredParams.alg", read::int)?,
            kind: fields.required("type", "pubKeyCredParams.type", read::text::<MAX_TEXT>)?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        Value::text_map([("alg", Value::int(self.alg)), ("type", Value::from(self.kind.as_str()))])
    }
}

/// The option map of a request; `None` where the client left the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The passkey must be discoverable. Only in `MakeCredential`; default false.
    pub rk: Option<bool>,
    /// The user must be present; default true.
    pub up: Option<bool>,
    /// The user must be verified; default false.
    pub uv: Option<bool>,
}

impl Options {
    /// Unknown options are ignored.
    pub(super) fn read(value: &Value, field: &'static str) -> Result<Self, Error> {
        let fields = Fields::of(value, field)?;
        Ok(Self {
            rk: fields.optional("rk", "options.rk", read::boolean)?,
            up: fields.optional("up", "options.up", read::boolean)?,
            uv: fields.optional("uv", "options.uv", read::boolean)?,
        })
    }

    /// `None` if every option has its default: the member is then left out.
    pub(super) fn to_value(self) -> Option<Value> {
        let options = [("rk", self.rk), ("up", self.up), ("uv", self.uv)];
        let set = present(options.map(|(k, v)| (k, v.map(Value::from))));
        let map = Value::text_map(set);
        (map.as_map() != Some(&[])).then_some(map)
    }
}
