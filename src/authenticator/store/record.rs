//! A passkey as the bytes of a record: what is secret in front, then a CBOR map.
//!
//! ```text
//!  schema 1  private key 32 | seeds 2 x 32 | CBOR map
//!  schema 2  private key 32 | seeds 2 x 32 | large blob key? | credBlob? | largeBlob? | CBOR map
//!            where ? is four bytes with the length plus 1, big endian, and the bytes; 0: there is none
//! ```
//!
//! The secrets stand apart so that they never pass through a CBOR value, which is not wiped.
//! Depends on [`crate::cbor`], [`crate::ctap`] and [`crate::secret`] only.

use zeroize::Zeroizing;

use super::error::Error;
use crate::authenticator::passkey::{
    Backup, CredProtect, CredentialId, Origin, Passkey, PrfSeeds, Timestamp,
};
use crate::cbor::{self, Value};
use crate::ctap::{RpEntity, UserEntity};
use crate::secret::Secret;

/// Bytes of the secrets that every record has.
const SECRETS: usize = 96;

pub(super) fn encode(passkey: &Passkey) -> Zeroizing<Vec<u8>> {
    let details = cbor::encode(&details(passkey));
    let large_blob_key = passkey.large_blob_key.as_ref().map(|key| &key.expose()[..]);
    let blobs = [&passkey.cred_blob, &passkey.large_blob].map(|blob| blob.as_ref().map(|b| &b[..]));
    let optional = [large_blob_key].into_iter().chain(blobs);
    let size: usize = optional.clone().map(|part| 4 + part.map_or(0, <[u8]>::len)).sum();
    // With its whole size from the start, so that no copy is left behind by growing.
    let mut out = Zeroizing::new(Vec::with_capacity(SECRETS + size + details.len()));
    out.extend_from_slice(passkey.private_key.expose());
    out.extend_from_slice(passkey.prf_seeds.verified.expose());
    out.extend_from_slice(passkey.prf_seeds.unverified.expose());
    for part in optional {
        let length = part.map_or(0, |part| u32::try_from(part.len() + 1).unwrap_or(u32::MAX));
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part.unwrap_or_default());
    }
    out.extend_from_slice(&details);
    out
}

/// One of the optional parts, and what comes after it.
fn optional(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let Some(length) = usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_sub(1) else {
        return Some((None, rest));
    };
    let (part, rest) = rest.split_at_checked(length)?;
    Some((Some(part), rest))
}

fn details(passkey: &Passkey) -> Value {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let time = |time: Option<Timestamp>| time.map(|t| Value::Uint(t.0));
    let id = |id: &CredentialId| Value::from(id.as_bytes());
    let imported_at = match passkey.origin {
        Origin::Made => None,
        Origin::Imported { at } => Some(at),
    };
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
        (14, Some(Value::Bool(passkey.backup.eligible))),
        (15, Some(Value::Bool(passkey.backup.backed_up))),
        (16, imported_at.map(|at| Value::Uint(at.0))),
    ];
    Value::int_map(entries.into_iter().filter_map(|(key, value)| Some((key, value?))))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Passkey, Error> {
    parse(bytes).ok_or(Error::Corrupt)
}

/// A record of schema 1. Its passkey was registered as one that never leaves the phone, and has to
/// go on saying so.
pub(super) fn decode_schema_1(bytes: &[u8]) -> Result<Passkey, Error> {
    let parsed = bytes
        .split_at_checked(SECRETS)
        .and_then(|(secrets, details)| passkey(secrets, &cbor::decode(details).ok()?));
    parsed.ok_or(Error::Corrupt)
}

fn parse(bytes: &[u8]) -> Option<Passkey> {
    let (secrets, rest) = bytes.split_at_checked(SECRETS)?;
    let (large_blob_key, rest) = optional(rest)?;
    let (cred_blob, rest) = optional(rest)?;
    let (large_blob, details) = optional(rest)?;
    let map = cbor::decode(details).ok()?;
    let wiped = |blob: &[u8]| Zeroizing::new(blob.to_vec());
    let backup = Backup { eligible: map.get(14)?.as_bool()?, backed_up: map.get(15)?.as_bool()? };
    let imported_at = map.get(16).map(|at| at.as_uint().map(Timestamp));
    Some(Passkey {
        large_blob_key: large_blob_key.map(Secret::try_from).transpose().ok()?,
        cred_blob: cred_blob.map(wiped),
        large_blob: large_blob.map(wiped),
        backup,
        origin: match imported_at {
            None => Origin::Made,
            Some(at) => Origin::Imported { at: at? },
        },
        ..passkey(secrets, &map)?
    })
}

/// What all schemas have. `None`: a seal that fits around a shape that does not, so not written by
/// this program.
fn passkey(secrets: &[u8], map: &Value) -> Option<Passkey> {
    let (private_key, rest) = secrets.split_at_checked(32)?;
    let (verified, unverified) = rest.split_at_checked(32)?;
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
        cred_blob: None,
        large_blob: None,
        large_blob_key: None,
        backup: Backup::NEVER,
        origin: Origin::Made,
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
