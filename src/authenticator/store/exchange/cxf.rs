//! The Credential Exchange Format: passkeys to JSON, and JSON from anywhere to passkeys.
//!
//! Pure. What comes in is hostile: its size is bounded before it is parsed, and each item stands
//! alone, so that a broken one hides no other. Specification: FIDO CXF 1.0.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::pkcs8::{self, NoKey};
use super::{Skipped, Why};
use crate::authenticator::Random;
use crate::authenticator::consent::printable;
use crate::authenticator::passkey::{
    Backup, CredProtect, CredentialId, MAX_CRED_BLOB, Origin, Passkey, PrfSeeds, Timestamp,
};
use crate::authenticator::store::MAX_LABEL;
use crate::ctap::{RpEntity, UserEntity};
use crate::secret::Secret;

/// Bytes of a document that are parsed at most.
pub(super) const MAX_DOCUMENT: usize = 32 << 20;

/// Bytes of a user handle at most (WebAuthn 3, section 5.4.3).
const MAX_USER_HANDLE: usize = 64;

const MAX_NAME: usize = 255;

/// What a document has.
pub(super) struct Document {
    pub(super) passkeys: Vec<Passkey>,
    pub(super) skipped: Vec<Skipped>,
}

pub(super) fn encode(passkeys: &[&Passkey], now: Timestamp) -> Zeroizing<Vec<u8>> {
    let items: Vec<_> = passkeys.iter().map(|passkey| item(passkey)).collect();
    let document = json!({
        "version": { "major": 1, "minor": 0 },
        "exporterRpId": "cabled.invalid",
        "exporterDisplayName": "cabled",
        "timestamp": now.0,
        "accounts": [{
            "id": URL_SAFE_NO_PAD.encode("cabled"), "username": "", "email": "", "collections": [],
            "items": items,
        }],
    });
    Zeroizing::new(document.to_string().into_bytes())
}

fn item(passkey: &Passkey) -> Value {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (user, seeds) = (&passkey.user, &passkey.prf_seeds);
    let mut extensions = json!({ "hmacCredentials": {
        "algorithm": "hmac-sha256",
        "credWithUV": text(seeds.verified.expose()),
        "credWithoutUV": text(seeds.unverified.expose()),
    }});
    if let (Some(blob), Some(extensions)) = (&passkey.cred_blob, extensions.as_object_mut()) {
        extensions.insert("credBlob".to_owned(), text(blob).into());
    }
    // An item's id has 64 bytes at most; a credential id may have more.
    let id = passkey.id.as_bytes();
    json!({
        "id": text(id.get(..64).unwrap_or(id)),
        "creationAt": passkey.created_at.0,
        "title": passkey.label.as_ref().unwrap_or(&passkey.rp.id),
        "credentials": [{
            "type": "passkey",
            "credentialId": text(id),
            "rpId": passkey.rp.id,
            "username": user.name.as_deref().unwrap_or_default(),
            "userDisplayName": user.display_name.as_deref().unwrap_or_default(),
            "userHandle": text(&user.id),
            "key": text(&pkcs8::encode(&passkey.private_key)),
            "fido2Extensions": extensions,
        }],
    })
}

/// `None`: it is no such document at all, or of a later major version.
pub(super) fn decode(bytes: &[u8], now: Timestamp, rng: Random<'_>) -> Option<Document> {
    let bytes = Some(bytes).filter(|bytes| bytes.len() <= MAX_DOCUMENT)?;
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let major = document.get("version")?.get("major")?.as_u64()?;
    let accounts = document.get("accounts")?.as_array().filter(|_| major <= 1)?;
    let mut read = Document { passkeys: Vec::new(), skipped: Vec::new() };
    for account in accounts {
        for item in list(account, "items") {
            let title = printable(&name(item, "title").unwrap_or_default());
            for credential in list(item, "credentials") {
                match passkey(item, credential, now, rng) {
                    Ok(passkey) => read.passkeys.push(passkey),
                    Err(why) => read.skipped.push(Skipped { title: title.clone(), why }),
                }
            }
        }
    }
    Some(read)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn passkey(item: &Value, value: &Value, now: Timestamp, rng: Random<'_>) -> Result<Passkey, Why> {
    let value = value.as_object().ok_or(Why::Broken)?;
    match value.get("type").and_then(Value::as_str) {
        Some("passkey") => {}
        Some(other) => return Err(Why::OtherType(printable(&cut(other, 40)))),
        None => return Err(Why::Broken),
    }
    let key = bytes(value, "key").ok_or(Why::Broken)?;
    let private_key = pkcs8::decode(&key).map_err(|why| match why {
        NoKey::OtherAlgorithm => Why::OtherAlgorithm,
        NoKey::Broken => Why::Broken,
    })?;
    filled(item, value, private_key, now, rng).ok_or(Why::Broken)
}

fn filled(
    item: &Value,
    value: &Map<String, Value>,
    private_key: Secret<32>,
    now: Timestamp,
    mut rng: Random<'_>,
) -> Option<Passkey> {
    let rp_id = value.get("rpId")?.as_str().filter(|id| is_rp_id(id))?.to_owned();
    let handle = bytes(value, "userHandle").filter(|id| id.len() <= MAX_USER_HANDLE)?;
    let text = |key| value.get(key)?.as_str().filter(|t| !t.is_empty()).map(|t| cut(t, MAX_NAME));
    let extensions = value.get("fido2Extensions").and_then(Value::as_object);
    let blob = extensions.and_then(|e| bytes(e, "credBlob"));
    let created = item.get("creationAt").and_then(Value::as_u64).map(Timestamp);
    let created_at = created.filter(|at| *at <= now).unwrap_or(now);
    Some(Passkey {
        id: CredentialId::from_bytes(&bytes(value, "credentialId")?)?,
        user: UserEntity {
            id: handle.to_vec(),
            name: text("username"),
            display_name: text("userDisplayName"),
        },
        private_key,
        discoverable: true,
        cred_protect: CredProtect::Optional,
        prf_seeds: extensions.and_then(seeds).unwrap_or_else(|| PrfSeeds {
            verified: Secret::random(&mut rng),
            unverified: Secret::random(&mut rng),
        }),
        cred_blob: blob.filter(|blob| blob.len() <= MAX_CRED_BLOB),
        large_blob: None,
        large_blob_key: None,
        backup: Backup::DONE,
        origin: Origin::Imported { at: now },
        label: name(item, "title").filter(|title| *title != rp_id),
        rp: RpEntity { id: rp_id, name: None },
        created_at,
        // It served elsewhere before: no orphan, which pruning would delete.
        delivered_at: Some(created_at),
        last_used_at: None,
        replaces: Vec::new(),
    })
}

fn seeds(extensions: &Map<String, Value>) -> Option<PrfSeeds> {
    let hmac = extensions.get("hmacCredentials")?.as_object()?;
    let seed = |key| Secret::try_from(&bytes(hmac, key)?[..]).ok();
    let known = hmac.get("algorithm")?.as_str() == Some("hmac-sha256");
    known.then_some(PrfSeeds { verified: seed("credWithUV")?, unverified: seed("credWithoutUV")? })
}

fn bytes(map: &Map<String, Value>, key: &str) -> Option<Zeroizing<Vec<u8>>> {
    URL_SAFE_NO_PAD.decode(map.get(key)?.as_str()?).ok().map(Zeroizing::new)
}

fn name(item: &Value, key: &str) -> Option<String> {
    item.get(key)?.as_str().filter(|text| !text.is_empty()).map(|text| cut(text, MAX_LABEL))
}

/// A domain in the only spelling that sites use.
fn is_rp_id(id: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    (1..=253).contains(&id.len()) && id.bytes().all(letter)
}

/// The text, cut at a character.
fn cut(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}
