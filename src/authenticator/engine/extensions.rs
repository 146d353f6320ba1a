//! Extension inputs and outputs: `credProtect` and `prf`.
//!
//! Over hybrid, `prf` comes without the encryption that `hmac-secret` has between platform and
//! security key, its inputs already hashed, and its outputs go beside the signed data. The
//! calculation is the same for both. Depends on [`crate::cbor`], [`crate::ctap`] and siblings only.
//!
//! Specification: CTAP 2.2, sections 12.1 and 12.7; WebAuthn 3, section 10.1.4.

use crate::authenticator::mac::hmac_sha256;
use crate::authenticator::passkey::{CredProtect, CredentialId, Passkey};
use crate::cbor::Value;
use crate::ctap::Status;

pub(super) const CRED_PROTECT: &str = "credProtect";
pub(super) const PRF: &str = "prf";

/// Extension inputs by name.
pub(super) type Inputs<'a> = &'a [(String, Value)];
/// One extension's output, if it has any.
pub(super) type Output = Option<(&'static str, Value)>;

/// All outputs in one map, if there is any.
pub(super) fn outputs(all: impl IntoIterator<Item = Output>) -> Option<Value> {
    let all: Vec<_> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| Value::text_map(all))
}

pub(super) fn find<'a>(inputs: Inputs<'a>, name: &str) -> Option<&'a Value> {
    inputs.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The level asked for, if one is.
pub(super) fn cred_protect(inputs: Inputs<'_>) -> Result<Option<CredProtect>, Status> {
    let Some(value) = find(inputs, CRED_PROTECT) else { return Ok(None) };
    let level = value.as_uint().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
    CredProtect::from_level(level).map(Some).ok_or(Status::INVALID_PARAMETER)
}

/// One or two inputs for the pseudo-random function.
#[derive(Clone, Copy)]
struct PrfValues {
    first: [u8; 32],
    second: Option<[u8; 32]>,
}

impl PrfValues {
    fn read(value: &Value) -> Result<Self, Status> {
        value.as_map().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
        let first = value.get_text("first").ok_or(Status::MISSING_PARAMETER)?;
        let second = value.get_text("second").map(salt).transpose()?;
        Ok(Self { first: salt(first)?, second })
    }

    fn evaluate(&self, passkey: &Passkey) -> Value {
        let output = |salt: &[u8; 32]| evaluate(passkey, salt);
        let second = self.second.as_ref().map(|salt| ("second", output(salt)));
        Value::text_map([("first", output(&self.first))].into_iter().chain(second))
    }
}

fn salt(value: &Value) -> Result<[u8; 32], Status> {
    let bytes = value.as_bytes().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
    bytes.try_into().map_err(|_| Status::INVALID_LENGTH)
}

/// The pseudo-random function itself, for a verified user.
fn evaluate(passkey: &Passkey, salt: &[u8; 32]) -> Value {
    Value::from(hmac_sha256(&passkey.prf_seeds.verified, &[salt]))
}

/// A `prf` input.
#[derive(Clone)]
pub(super) struct Prf {
    eval: Option<PrfValues>,
    by_credential: Vec<(CredentialId, PrfValues)>,
}

impl Prf {
    /// The input, if there is one.
    pub(super) fn read(inputs: Inputs<'_>) -> Result<Option<Self>, Status> {
        find(inputs, PRF).map(Self::parse).transpose()
    }

    fn parse(value: &Value) -> Result<Self, Status> {
        value.as_map().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
        let eval = value.get_text("eval").map(PrfValues::read).transpose()?;
        let entries = match value.get_text("evalByCredential") {
            Some(map) => map.as_map().ok_or(Status::CBOR_UNEXPECTED_TYPE)?,
            None => &[],
        };
        let entry = |(id, values): &(Value, Value)| {
            let id = id.as_bytes().ok_or(Status::CBOR_UNEXPECTED_TYPE)?;
            let id = CredentialId::from_bytes(id).ok_or(Status::INVALID_LENGTH)?;
            Ok((id, PrfValues::read(values)?))
        };
        let by_credential = entries.iter().map(entry).collect::<Result<_, Status>>()?;
        Ok(Self { eval, by_credential })
    }

    /// The unsigned output of a registration: it says whether there is a `prf`, always.
    pub(super) fn registered(&self, passkey: &Passkey) -> Output {
        let results = self.eval.map(|values| ("results", values.evaluate(passkey)));
        let enabled = ("enabled", Value::Bool(true));
        Some((PRF, Value::text_map([enabled].into_iter().chain(results))))
    }

    /// The unsigned output of a sign-in, if the input has values for this passkey: its own come
    /// before those for any.
    pub(super) fn signed_in(&self, passkey: &Passkey) -> Output {
        let own = self.by_credential.iter().find(|(id, _)| *id == passkey.id);
        let values = own.map(|(_, values)| *values).or(self.eval)?;
        Some((PRF, Value::text_map([("results", values.evaluate(passkey))])))
    }
}
