//! Rules that registration and sign-in share. Depends on [`crate::ctap`].

use std::time::Duration;

use super::base64url::Base64Url;
use super::error::{AnswerError, Error, OptionsError, Refusal};
use super::note::Note;
use super::options::{CredentialParametersJson, DescriptorJson};
use super::origin::RpId;
use crate::ctap::{
    self, AuthenticatorData, CredentialDescriptor, Flags, GetInfo, MAX_CREDENTIAL_ID, PUBLIC_KEY,
};

/// What WebAuthn recommends when the relying party has no wish; also the least, as somebody may
/// have to fetch the phone and find out how to use it.
const SHORTEST: Duration = Duration::from_secs(300);
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of entropy that WebAuthn asks for (section 13.4.3).
const CHALLENGE: usize = 16;
/// ES256 and RS256, the defaults for relying parties that list nothing.
const DEFAULT_ALGORITHMS: [i64; 2] = [-7, -257];

/// How much somebody wants something; the same three words for several members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    Required,
    Preferred,
    Discouraged,
}

impl Requirement {
    /// `None` for absent and unknown words: what that means depends on the member.
    pub(super) fn new(word: Option<&str>) -> Option<Self> {
        match word? {
            "required" => Some(Self::Required),
            "preferred" => Some(Self::Preferred),
            "discouraged" => Some(Self::Discouraged),
            _ => None,
        }
    }
}

/// The time for the whole ceremony, and a note if it is not what was asked for.
pub(super) fn timeout(milliseconds: Option<f64>, notes: &mut Vec<Note>) -> Duration {
    // Casting saturates, and makes 0 of what is no number.
    let Some(asked) = milliseconds.map(|ms| Duration::from_millis(ms as u64)) else {
        return SHORTEST;
    };
    let used = asked.clamp(SHORTEST, LONGEST);
    if used != asked {
        notes.push(Note::Timeout { asked, used });
    }
    used
}

/// Browsers sign short challenges, so we do, but say so.
pub(super) fn check_challenge(challenge: &Base64Url, notes: &mut Vec<Note>) {
    let len = challenge.0.len();
    if len < CHALLENGE {
        notes.push(Note::ShortChallenge(len));
    }
}

/// Hints are advice: the user has chosen the phone by running this program.
pub(super) fn check_hints(hints: &[String], notes: &mut Vec<Note>) {
    let known =
        |hint: &&String| matches!(hint.as_str(), "security-key" | "client-device" | "hybrid");
    let mut known = hints.iter().filter(known).peekable();
    if known.peek().is_some() && known.all(|hint| hint != "hybrid") {
        notes.push(Note::HintsWithoutHybrid);
    }
}

/// COSE algorithm numbers in the relying party's order.
pub(super) fn algorithms(params: &[CredentialParametersJson]) -> Result<Vec<i64>, OptionsError> {
    if params.is_empty() {
        return Ok(DEFAULT_ALGORITHMS.to_vec());
    }
    let known = params.iter().filter(|param| param.kind == PUBLIC_KEY);
    let algorithms: Vec<i64> = known.map(|param| param.alg).collect();
    if algorithms.is_empty() { Err(OptionsError::NoAlgorithm) } else { Ok(algorithms) }
}

/// The CTAP2 form of a list of passkeys, without entries of unknown types.
pub(super) fn descriptors(
    list: &[DescriptorJson],
) -> Result<Vec<CredentialDescriptor>, OptionsError> {
    let known = list.iter().filter(|entry| entry.kind == PUBLIC_KEY);
    let descriptors = known.map(|entry| match entry.id.0.len() {
        1..=MAX_CREDENTIAL_ID => Ok(CredentialDescriptor {
            transports: entry.transports.clone(),
            ..CredentialDescriptor::new(entry.id.0.clone())
        }),
        len => Err(OptionsError::CredentialId(len)),
    });
    descriptors.collect()
}

/// Whether to send option `uv`: always where the phone can, as other clients do on this transport;
/// `None` if it cannot.
pub(super) fn user_verification(phone: &GetInfo) -> Option<bool> {
    phone.option("uv").filter(|offered| *offered)
}

/// The body of a successful response.
pub(super) fn body(response: &[u8]) -> Result<&[u8], Error> {
    let (status, body) = ctap::split_response(response).map_err(AnswerError::from)?;
    if status.is_ok() { Ok(body) } else { Err(Refusal { status }.into()) }
}

/// Takes authenticator data apart and checks what holds for both ceremonies.
pub(super) fn authenticator_data(
    bytes: &[u8],
    rp_id: &RpId,
    verification_required: bool,
) -> Result<AuthenticatorData, AnswerError> {
    let data = AuthenticatorData::decode(bytes)?;
    if !data.is_for(rp_id.as_str()) {
        return Err(AnswerError::WrongRelyingParty);
    }
    if !data.flags.contains(Flags::USER_PRESENT) {
        return Err(AnswerError::UserNotPresent);
    }
    if verification_required && !data.flags.contains(Flags::USER_VERIFIED) {
        return Err(AnswerError::UserNotVerified);
    }
    Ok(data)
}
