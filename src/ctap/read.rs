//! Typed, bounded reading of CBOR maps: one place for "missing", "wrong type" and "too long".
//!
//! Depends on [`crate::cbor`] only.

use super::{Error, MAX_LIST};
use crate::cbor::{self, Value};

/// The members of one CBOR map.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a [(Value, Value)]);

/// A member's key: CTAP2 uses small numbers at the top and names below.
pub(super) trait Key {
    fn is(&self, key: &Value) -> bool;
}

impl Key for u64 {
    fn is(&self, key: &Value) -> bool {
        key.as_uint() == Some(*self)
    }
}

impl Key for &str {
    fn is(&self, key: &Value) -> bool {
        key.as_text() == Some(*self)
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value, field: &'static str) -> Result<Self, Error> {
        value.as_map().map(Self).ok_or(Error::WrongType { field })
    }

    /// The member, read by `read`, or `None` if it is not there.
    pub(super) fn optional<T>(
        self,
        key: impl Key,
        field: &'static str,
        read: impl FnOnce(&'a Value, &'static str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let found = self.0.iter().find(|(k, _)| key.is(k));
        found.map(|(_, value)| read(value, field)).transpose()
    }

    pub(super) fn required<T>(
        self,
        key: impl Key,
        field: &'static str,
        read: impl FnOnce(&'a Value, &'static str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.optional(key, field, read)?.ok_or(Error::Missing { field })
    }
}

/// Top level of a request of which a token authenticates the bytes.
pub(super) fn strict(body: &[u8]) -> Result<Value, Error> {
    Ok(cbor::decode(body)?)
}

/// Top level of a response, and of a request that programs may write in their own order.
pub(super) fn lenient(body: &[u8]) -> Result<Value, Error> {
    Ok(cbor::decode_lenient(body)?)
}

pub(super) fn value(value: &Value, _: &'static str) -> Result<Value, Error> {
    Ok(value.clone())
}

pub(super) fn boolean(value: &Value, field: &'static str) -> Result<bool, Error> {
    value.as_bool().ok_or(Error::WrongType { field })
}

pub(super) fn uint(value: &Value, field: &'static str) -> Result<u64, Error> {
    value.as_uint().ok_or(Error::WrongType { field })
}

pub(super) fn int(value: &Value, field: &'static str) -> Result<i64, Error> {
    value.as_int().ok_or(Error::WrongType { field })
}

pub(super) fn text<const MAX: usize>(value: &Value, field: &'static str) -> Result<String, Error> {
    let text = value.as_text().ok_or(Error::WrongType { field })?;
    if text.len() > MAX { Err(Error::TooLong { field }) } else { Ok(text.to_owned()) }
}

pub(super) fn bytes<const MAX: usize>(
    value: &Value,
    field: &'static str,
) -> Result<Vec<u8>, Error> {
    let bytes = value.as_bytes().ok_or(Error::WrongType { field })?;
    if bytes.len() > MAX { Err(Error::TooLong { field }) } else { Ok(bytes.to_vec()) }
}

pub(super) fn array<const N: usize>(value: &Value, field: &'static str) -> Result<[u8; N], Error> {
    let bytes = value.as_bytes().ok_or(Error::WrongType { field })?;
    bytes.try_into().map_err(|_| Error::WrongLength { field })
}

/// A list whose elements `read` takes.
pub(super) fn list<T>(
    read: impl Fn(&Value, &'static str) -> Result<T, Error>,
) -> impl Fn(&Value, &'static str) -> Result<Vec<T>, Error> {
    move |value, field| {
        let items = value.as_array().ok_or(Error::WrongType { field })?;
        if items.len() > MAX_LIST {
            return Err(Error::TooLong { field });
        }
        items.iter().map(|item| read(item, field)).collect()
    }
}

/// A map from texts to whatever `read` takes.
pub(super) fn text_map<T>(
    read: impl Fn(&Value, &'static str) -> Result<T, Error>,
) -> impl Fn(&Value, &'static str) -> Result<Vec<(String, T)>, Error> {
    move |value, field| {
        let entries = value.as_map().ok_or(Error::WrongType { field })?;
        if entries.len() > MAX_LIST {
            return Err(Error::TooLong { field });
        }
        let entry = |(k, v): &(Value, Value)| Ok((text::<255>(k, field)?, read(v, field)?));
        entries.iter().map(entry).collect()
    }
}

/// Members of a map under construction, with those left out that are `None`.
pub(super) fn present<K>(
    entries: impl IntoIterator<Item = (K, Option<Value>)>,
) -> impl Iterator<Item = (K, Value)> {
    entries.into_iter().filter_map(|(k, v)| v.map(|v| (k, v)))
}

/// A list for a map under construction; an empty one is left out.
pub(super) fn unless_empty<'a, T: 'a>(
    items: &'a [T],
    encode: impl Fn(&'a T) -> Value,
) -> Option<Value> {
    (!items.is_empty()).then(|| Value::Array(items.iter().map(encode).collect()))
}

/// A map with text keys for a map under construction; an empty one is left out.
pub(super) fn text_entries<T: Clone + Into<Value>>(entries: &[(String, T)]) -> Option<Value> {
    let pairs = || entries.iter().map(|(k, v)| (k.as_str(), v.clone().into()));
    (!entries.is_empty()).then(|| Value::text_map(pairs()))
}

/// Stands in `Debug` output for what may hold or give away a secret, such as `prf` outputs.
#[derive(Debug)]
pub(super) struct Redacted;

/// Extension inputs for `Debug`: names only, since `prf` inputs select secrets.
pub(super) fn names(extensions: &[(String, Value)]) -> Vec<&str> {
    extensions.iter().map(|(name, _)| name.as_str()).collect()
}

/// A command byte and its map.
pub(super) fn message(command: super::Command, body: &Value) -> Vec<u8> {
    let mut message = vec![command as u8];
    message.extend(cbor::encode(body));
    message
}
