//! A passkey as the bytes of a record: the secrets at fixed places, then a CBOR map.
//!
//! The secrets stand apart so that they never pass through a CBOR value, which is not wiped.
//! Depends on [`crate::cbor`], [`crate::ctap`] and [`crate::secret`] only.

use zeroize::Zeroizing;

use super::error::Error;
use crate::authenticator::passkey::{CredProtect, CredentialId, Passkey, PrfSeeds, Timestamp};
use crate::cbor::{self, Value};
use crate::ctap::{RpEntity, UserEntity};
use crate::secret::Secret;

pub(super) fn encode(passkey: &Passkey) -> Zeroizing<Vec<u8>> {
    let details = cbor::encode(&details(passkey));
    // With its whole size from the start, so that no copy is left behind by growing.
    let mut out = Zeroizing::new(Vec::with_capacity(96 + details.len()));
    out.extend_from_slice(passkey.private_key.expose());
    out.extend_from_slice(passkey.prf_seeds.verified.expose());
    out.extend_from_slice(passkey.prf_seeds.unverified.expose());
    out.extend_from_slice(&details);
    out
}

fn details(passkey: &Passkey) -> Value {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let time = |time: Option<Timestamp>| time.map(|t| Value::Uint(t.0));
    let id = |id: &CredentialId| Value::from(id.as_bytes());
    let entries = [
        (1, Some(id(&passkey.id))),
        (2, Some(Value::from(passkey.rp.id.as_str()))),
        (3, text(&passkey.rp.name)),
        (4, Some(Value::from(passkey.user.id.as_slice()))),
        (5, text(&passkey.user.name)),
        (6, text(&passkey.user.display_name)),
        (7, Some(Value::Bool(passkey.discoverable))),
        (8, Some(Value::Uint(passkey.cred_protect.level()))),
        (9, text(&passkey.label)),
        (10, time(Some(passkey.created_at))),
        (11, time(passkey.delivered_at)),
        (12, time(passkey.last_used_at)),
        (13, Some(Value::Array(passkey.replaces.iter().map(id).collect()))),
    ];
    Value::int_map(entries.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Passkey, Error> {
    parse(bytes).ok_or(Error::Corrupt)
}

/// `None`: a seal that fits around a shape that does not, so not written by this schema.
fn parse(bytes: &[u8]) -> Option<Passkey> {
    let (private_key, rest) = bytes.split_at_checked(32)?;
    let (verified, rest) = rest.split_at_checked(32)?;
    let (unverified, rest) = rest.split_at_checked(32)?;
    let map = cbor::decode(rest).ok()?;
    let text = |key| map.get(key).and_then(Value::as_text).map(str::to_owned);
    let time = |key| map.get(key).and_then(Value::as_uint).map(Timestamp);
    let replaces = map.get(13)?.as_array()?.iter().map(credential_id);
    Some(Passkey {
        id: credential_id(map.get(1)?)?,
        rp: RpEntity { id: text(2)?, name: text(3) },
        user: UserEntity {
            id: map.get(4)?.as_bytes()?.to_vec(),
            name: text(5),
            display_name: text(6),
        },
        private_key: Secret::try_from(private_key).ok()?,
        discoverable: map.get(7)?.as_bool()?,
        cred_protect: CredProtect::from_level(map.get(8)?.as_uint()?)?,
        prf_seeds: PrfSeeds {
            verified: Secret::try_from(verified).ok()?,
            unverified: Secret::try_from(unverified).ok()?,
        },
        label: text(9),
        created_at: time(10)?,
        delivered_at: time(11),
        last_used_at: time(12),
        replaces: replaces.collect::<Option<_>>()?,
    })
}

/// A record read, and written again, for the fuzz target alone.
///
/// # Errors
///
/// [`Error::Corrupt`].
#[cfg(fuzzing)]
pub fn fuzz_record(bytes: &[u8]) -> Result<(Passkey, Zeroizing<Vec<u8>>), Error> {
    decode(bytes).map(|passkey| (passkey.clone(), encode(&passkey)))
}

fn credential_id(value: &Value) -> Option<CredentialId> {
    CredentialId::from_bytes(value.as_bytes()?)
}
