//! Extensions on their way from the relying party's JSON to CTAP2 and back.
//!
//! On a hybrid channel `prf` and `largeBlob` are direct: hashed salts and compressed blobs go as
//! they are, protected by the channel, and come back in the unsigned extension outputs. Depends on
//! [`crate::ctap`], [`crate::cbor`].
//!
//! Specification: WebAuthn Level 3, section 10.1; CTAP 2.2, section 12.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::base64url::Base64Url;
use super::error::{AnswerError, OptionsError, Unsuitable};
use super::large_blob;
use super::note::Note;
use super::options::{ExtensionInputs, PrfInputs, PrfValues};
use super::response::{CredProps, ExtensionOutputs, LargeBlobOutputs, PrfOutputs, PrfResults};
use crate::cbor::Value;
use crate::ctap::{CredentialDescriptor, GetInfo};

const PRF: &str = "prf";
const HMAC_SECRET: &str = "hmac-secret";
const CRED_PROTECT: &str = "credProtect";
const LARGE_BLOB: &str = "largeBlob";
const CRED_BLOB: &str = "credBlob";
const MIN_PIN_LENGTH: &str = "minPinLength";

/// Extension inputs of a CTAP2 request, in the making.
pub(super) struct Inputs<'a> {
    phone: &'a GetInfo,
    list: Vec<(String, Value)>,
    notes: Vec<Note>,
}

/// The two places where a phone puts extension outputs.
pub(super) struct Outputs<'a> {
    /// Inside the authenticator data.
    pub(super) signed: Option<&'a Value>,
    /// Beside it.
    pub(super) unsigned: Option<&'a Value>,
}

impl<'a> Inputs<'a> {
    fn new(phone: &'a GetInfo) -> Self {
        Self { phone, list: Vec::new(), notes: Vec::new() }
    }

    /// Adds the input if the phone lists the extension, or else a note.
    fn add(&mut self, name: &'static str, value: Value) -> bool {
        let listed = self.phone.has_extension(name);
        if listed {
            self.list.push((name.to_owned(), value));
        } else {
            self.notes.push(Note::ExtensionUnsupported(name));
        }
        listed
    }

    /// The inputs, and what the phone does not do.
    pub(super) fn into_parts(self) -> (Vec<(String, Value)>, Vec<Note>) {
        (self.list, self.notes)
    }
}

/// Checks what can be checked of a registration's inputs before any phone is there.
pub(super) fn check_create(inputs: &ExtensionInputs) -> Result<(), OptionsError> {
    if inputs.prf.as_ref().is_some_and(|prf| !prf.eval_by_credential.is_empty()) {
        return Err(OptionsError::PrfByCredential);
    }
    if inputs.large_blob.as_ref().is_some_and(|b| b.read.is_some() || b.write.is_some()) {
        return Err(OptionsError::LargeBlob);
    }
    protection_level(inputs).map(drop)
}

/// Checks what can be checked of a sign-in's inputs before any phone is there.
pub(super) fn check_get(
    inputs: &ExtensionInputs,
    allowed: &[CredentialDescriptor],
) -> Result<(), OptionsError> {
    let by_credential = inputs.prf.iter().flat_map(|prf| prf.eval_by_credential.keys());
    // Padding is optional, so two keys can spell one passkey, and a CBOR map has each key once.
    let mut named = BTreeSet::new();
    for key in by_credential {
        if allowed.is_empty() {
            return Err(OptionsError::PrfByCredential);
        }
        let id = Base64Url::decode(key).ok_or(OptionsError::PrfKey)?;
        let is_allowed = allowed.iter().any(|descriptor| descriptor.id == id.0);
        if !is_allowed || !named.insert(id.0) {
            return Err(OptionsError::PrfKey);
        }
    }
    let Some(blob) = &inputs.large_blob else { return Ok(()) };
    let read_and_write = blob.read == Some(true) && blob.write.is_some();
    let write_to_any = blob.write.is_some() && allowed.len() != 1;
    if blob.support.is_some() || read_and_write || write_to_any {
        return Err(OptionsError::LargeBlob);
    }
    Ok(())
}

/// The CTAP2 inputs of a registration, for what this phone supports.
pub(super) fn create_inputs<'a>(
    inputs: &ExtensionInputs,
    phone: &'a GetInfo,
) -> Result<Inputs<'a>, Unsuitable> {
    let mut out = Inputs::new(phone);
    if let Ok(Some(level)) = protection_level(inputs) {
        let enforced = inputs.enforce_credential_protection_policy == Some(true);
        if !out.add(CRED_PROTECT, Value::Uint(level)) && enforced && level > 1 {
            return Err(Unsuitable::CredProtect);
        }
    }
    if let Some(prf) = &inputs.prf {
        match phone.has_extension(HMAC_SECRET) && !phone.has_extension(PRF) {
            true => out.add(HMAC_SECRET, Value::Bool(true)),
            false => out.add(PRF, prf_input(prf)),
        };
    }
    if let Some(blob) = &inputs.large_blob {
        let required = blob.support.as_deref() == Some("required");
        let support = if required { "required" } else { "preferred" };
        let input = Value::text_map([("support", Value::from(support))]);
        if !out.add(LARGE_BLOB, input) && required {
            return Err(Unsuitable::LargeBlob);
        }
    }
    if let Some(bytes) = &inputs.cred_blob {
        out.add(CRED_BLOB, Value::from(&bytes.0[..]));
    }
    if inputs.min_pin_length == Some(true) {
        out.add(MIN_PIN_LENGTH, Value::Bool(true));
    }
    Ok(out)
}

/// The CTAP2 inputs of a sign-in, for what this phone supports.
pub(super) fn get_inputs<'a>(inputs: &ExtensionInputs, phone: &'a GetInfo) -> Inputs<'a> {
    let mut out = Inputs::new(phone);
    if let Some(prf) = &inputs.prf {
        out.add(PRF, prf_input(prf));
    }
    if let Some(blob) = &inputs.large_blob {
        if let Some(bytes) = &blob.write {
            out.add(LARGE_BLOB, large_blob::write_input(&bytes.0));
        } else if blob.read == Some(true) {
            out.add(LARGE_BLOB, Value::text_map([("read", Value::Bool(true))]));
        }
    }
    if inputs.get_cred_blob == Some(true) {
        out.add(CRED_BLOB, Value::Bool(true));
    }
    out
}

/// What a registration's extensions gave, for those that were asked for.
pub(super) fn create_outputs(
    inputs: &ExtensionInputs,
    discoverable: bool,
    outputs: &Outputs<'_>,
) -> Result<ExtensionOutputs, AnswerError> {
    let asked_for_props = inputs.cred_props == Some(true);
    Ok(ExtensionOutputs {
        cred_props: asked_for_props.then_some(CredProps { rk: discoverable }),
        prf: inputs.prf.as_ref().map(|_| outputs.prf_created()).transpose()?,
        large_blob: inputs.large_blob.as_ref().map(|_| LargeBlobOutputs {
            supported: Some(outputs.unsigned_flag(LARGE_BLOB, "supported").unwrap_or(false)),
            ..LargeBlobOutputs::default()
        }),
        cred_blob: inputs
            .cred_blob
            .as_ref()
            .map(|_| outputs.signed(CRED_BLOB).and_then(Value::as_bool).unwrap_or(false)),
        get_cred_blob: None,
    })
}

/// What a sign-in's extensions gave, for those that were asked for.
pub(super) fn get_outputs(
    inputs: &ExtensionInputs,
    outputs: &Outputs<'_>,
) -> Result<ExtensionOutputs, AnswerError> {
    let prf = match &inputs.prf {
        Some(_) => Some(PrfOutputs { enabled: None, results: outputs.prf_results()? }),
        None => None,
    };
    let large_blob = match &inputs.large_blob {
        Some(blob) if blob.write.is_some() => Some(LargeBlobOutputs {
            written: Some(outputs.unsigned_flag(LARGE_BLOB, "written").unwrap_or(false)),
            ..LargeBlobOutputs::default()
        }),
        Some(blob) if blob.read == Some(true) => {
            let blob = outputs.unsigned(LARGE_BLOB).map(large_blob::read_output).transpose()?;
            Some(LargeBlobOutputs { blob: blob.flatten(), ..LargeBlobOutputs::default() })
        }
        Some(_) => Some(LargeBlobOutputs::default()),
        None => None,
    };
    let cred_blob = outputs.signed(CRED_BLOB).and_then(Value::as_bytes);
    let get_cred_blob = cred_blob.filter(|_| inputs.get_cred_blob == Some(true));
    Ok(ExtensionOutputs {
        prf,
        large_blob,
        get_cred_blob: get_cred_blob.map(Base64Url::from),
        ..ExtensionOutputs::default()
    })
}

fn protection_level(inputs: &ExtensionInputs) -> Result<Option<u64>, OptionsError> {
    match inputs.credential_protection_policy.as_deref() {
        None => Ok(None),
        Some("userVerificationOptional") => Ok(Some(1)),
        Some("userVerificationOptionalWithCredentialIDList") => Ok(Some(2)),
        Some("userVerificationRequired") => Ok(Some(3)),
        Some(_) => Err(OptionsError::ProtectionPolicy),
    }
}

/// Salts are hashed with a prefix of their own before they leave, so that no web site can reach the
/// secrets that local programs (disk encryption, for one) derive from the same passkey.
fn prf_salt(salt: &Base64Url) -> Value {
    let hash: [u8; 32] =
        Sha256::new_with_prefix(b"WebAuthn PRF\0").chain_update(&salt.0).finalize().into();
    Value::from(hash)
}

fn prf_values(values: &PrfValues) -> Value {
    let first = ("first", prf_salt(&values.first));
    let second = values.second.as_ref().map(|salt| ("second", prf_salt(salt)));
    Value::text_map([first].into_iter().chain(second))
}

fn prf_input(prf: &PrfInputs) -> Value {
    let eval = prf.eval.as_ref().map(|values| ("eval", prf_values(values)));
    let by_id = prf.eval_by_credential.iter().filter_map(|(key, values)| {
        let id = Base64Url::decode(key)?;
        Some((Value::Bytes(id.0), prf_values(values)))
    });
    let by_id: Vec<_> = by_id.collect();
    let by_id = (!by_id.is_empty()).then_some(("evalByCredential", Value::Map(by_id)));
    Value::text_map(eval.into_iter().chain(by_id))
}

impl<'a> Outputs<'a> {
    fn signed(&self, name: &str) -> Option<&'a Value> {
        self.signed.and_then(|outputs| outputs.get_text(name))
    }

    fn unsigned(&self, name: &str) -> Option<&'a Value> {
        self.unsigned.and_then(|outputs| outputs.get_text(name))
    }

    fn unsigned_flag(&self, name: &str, member: &str) -> Option<bool> {
        self.unsigned(name)?.get_text(member)?.as_bool()
    }

    fn prf_created(&self) -> Result<PrfOutputs, AnswerError> {
        let direct = self.unsigned_flag(PRF, "enabled");
        let classic = self.signed(HMAC_SECRET).and_then(Value::as_bool);
        let results = self.prf_results()?;
        let enabled = direct.or(classic).unwrap_or(results.is_some());
        Ok(PrfOutputs { enabled: Some(enabled), results })
    }

    fn prf_results(&self) -> Result<Option<PrfResults>, AnswerError> {
        let Some(results) = self.unsigned(PRF).and_then(|prf| prf.get_text("results")) else {
            return Ok(None);
        };
        let secret = |value: &Value| match value.as_bytes() {
            Some(bytes) if bytes.len() == 32 => Ok(Base64Url::from(bytes)),
            _ => Err(AnswerError::Extension(PRF)),
        };
        let first = results.get_text("first").ok_or(AnswerError::Extension(PRF))?;
        let second = results.get_text("second").map(secret).transpose()?;
        Ok(Some(PrfResults { first: secret(first)?, second }))
    }
}
