//! What a relying party sends: the JSON forms of the creation and request options.
//!
//! Read as browsers read them: unknown members are ignored, `null` counts as absent, enumerations
//! stay text so that unknown values can be ignored where they are used. Depends on serde only.
//!
//! Specification: WebAuthn Level 3, sections 5.1.8, 5.1.9, 5.4 and 5.5.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::base64url::Base64Url;
use super::error::OptionsError;

/// `PublicKeyCredentialCreationOptionsJSON`: what the relying party wants of a new passkey.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    /// Who asks.
    pub rp: RpEntityJson,
    /// For which account.
    pub user: UserEntityJson,
    /// The relying party's random bytes; 16 or more by the book, not enforced by browsers.
    pub challenge: Base64Url,
    /// Accepted signature algorithms, best first; empty means ES256 and RS256.
    #[serde(default, deserialize_with = "null_as_default")]
    pub pub_key_cred_params: Vec<CredentialParametersJson>,
    /// Milliseconds; a wish that is clamped.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Passkeys of the account that exist already: a phone that has one of them declines.
    #[serde(default, deserialize_with = "null_as_default")]
    pub exclude_credentials: Vec<DescriptorJson>,
    /// Which authenticators will do.
    #[serde(default)]
    pub authenticator_selection: Option<SelectionJson>,
    /// `security-key`, `client-device`, `hybrid`, best first; others are ignored.
    #[serde(default, deserialize_with = "null_as_default")]
    pub hints: Vec<String>,
    /// `none`, `indirect`, `direct` or `enterprise`; others count as `none`.
    #[serde(default)]
    pub attestation: Option<String>,
    /// Extension inputs; unknown ones are ignored.
    #[serde(default, deserialize_with = "null_as_default")]
    pub extensions: ExtensionInputs,
}

/// `PublicKeyCredentialRequestOptionsJSON`: what the relying party wants to see at sign-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// The relying party's random bytes; 16 or more by the book, not enforced by browsers.
    pub challenge: Base64Url,
    /// Milliseconds; a wish that is clamped.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// The relying party's id; the origin's host if absent.
    #[serde(default)]
    pub rp_id: Option<String>,
    /// Passkeys that will do; empty means any that the phone has for this relying party.
    #[serde(default, deserialize_with = "null_as_default")]
    pub allow_credentials: Vec<DescriptorJson>,
    /// `required`, `preferred` or `discouraged`; others count as `preferred`.
    #[serde(default)]
    pub user_verification: Option<String>,
    /// `security-key`, `client-device`, `hybrid`, best first; others are ignored.
    #[serde(default, deserialize_with = "null_as_default")]
    pub hints: Vec<String>,
    /// Extension inputs; unknown ones are ignored.
    #[serde(default, deserialize_with = "null_as_default")]
    pub extensions: ExtensionInputs,
}

/// `PublicKeyCredentialRpEntity`.
#[derive(Clone, Debug, Deserialize)]
pub struct RpEntityJson {
    /// The relying party's id; the origin's host if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// For people; the phone may show it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
}

/// `PublicKeyCredentialUserEntityJSON`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserEntityJson {
    /// The account's handle, 1 to 64 bytes, comes back at sign-in.
    pub id: Base64Url,
    /// The account's name, as the user types it.
    pub name: String,
    /// The person's name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub display_name: String,
}

/// `PublicKeyCredentialParameters`.
#[derive(Clone, Debug, Deserialize)]
pub struct CredentialParametersJson {
    /// `public-key`; entries of another type are ignored.
    #[serde(rename = "type")]
    pub kind: String,
    /// COSE algorithm number.
    pub alg: i64,
}

/// `PublicKeyCredentialDescriptorJSON`.
#[derive(Clone, Debug, Deserialize)]
pub struct DescriptorJson {
    /// `public-key`; entries of another type are ignored.
    #[serde(rename = "type")]
    pub kind: String,
    /// The credential id.
    pub id: Base64Url,
    /// How the passkey was reached before; advice only.
    #[serde(default, deserialize_with = "null_as_default")]
    pub transports: Vec<String>,
}

/// `AuthenticatorSelectionCriteria`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectionJson {
    /// `platform` or `cross-platform`; others are ignored.
    #[serde(default)]
    pub authenticator_attachment: Option<String>,
    /// `required`, `preferred` or `discouraged`; for others `requireResidentKey` decides.
    #[serde(default)]
    pub resident_key: Option<String>,
    /// Level 1 form of `residentKey`.
    #[serde(default)]
    pub require_resident_key: Option<bool>,
    /// `required`, `preferred` or `discouraged`; others count as `preferred`.
    #[serde(default)]
    pub user_verification: Option<String>,
}

/// The extension inputs that this client knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionInputs {
    /// Registration: tell whether the passkey is discoverable.
    #[serde(default)]
    pub cred_props: Option<bool>,
    /// Secrets derived from the passkey.
    #[serde(default)]
    pub prf: Option<PrfInputs>,
    /// Registration: `userVerificationOptional`, `userVerificationOptionalWithCredentialIDList`
    /// or `userVerificationRequired`.
    #[serde(default)]
    pub credential_protection_policy: Option<String>,
    /// Registration: rather fail than get less protection.
    #[serde(default)]
    pub enforce_credential_protection_policy: Option<bool>,
    /// A blob kept beside the passkey.
    #[serde(default)]
    pub large_blob: Option<LargeBlobInputs>,
    /// Registration: tell the phone's minimum PIN length inside the signed data.
    #[serde(default)]
    pub min_pin_length: Option<bool>,
    /// Registration: a few bytes kept with the passkey.
    #[serde(default)]
    pub cred_blob: Option<Base64Url>,
    /// Sign-in: give these bytes back.
    #[serde(default)]
    pub get_cred_blob: Option<bool>,
}

/// `AuthenticationExtensionsPRFInputsJSON`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrfInputs {
    /// Salts for whatever passkey is used.
    #[serde(default)]
    pub eval: Option<PrfValues>,
    /// Sign-in: salts per credential id (base64url).
    #[serde(default, deserialize_with = "null_as_default")]
    pub eval_by_credential: BTreeMap<String, PrfValues>,
}

/// `AuthenticationExtensionsPRFValuesJSON` as input: salts of any length.
#[derive(Clone, Debug, Deserialize)]
pub struct PrfValues {
    /// First salt.
    pub first: Base64Url,
    /// Second salt.
    #[serde(default)]
    pub second: Option<Base64Url>,
}

/// `AuthenticationExtensionsLargeBlobInputsJSON`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LargeBlobInputs {
    /// Registration: `required` or `preferred`.
    #[serde(default)]
    pub support: Option<String>,
    /// Sign-in: read the blob.
    #[serde(default)]
    pub read: Option<bool>,
    /// Sign-in: write this blob.
    #[serde(default)]
    pub write: Option<Base64Url>,
}

impl CreationOptions {
    /// Reads the JSON text, either the options themselves or wrapped as `{"publicKey": ...}`, the
    /// way they are given to `navigator.credentials.create()`.
    ///
    /// # Errors
    ///
    /// [`OptionsError::Json`] if a mandatory member is missing or one has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, OptionsError> {
        parse(json)
    }
}

impl RequestOptions {
    /// Reads the JSON text, either the options themselves or wrapped as `{"publicKey": ...}`, the
    /// way they are given to `navigator.credentials.get()`.
    ///
    /// # Errors
    ///
    /// [`OptionsError::Json`] if a mandatory member is missing or one has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, OptionsError> {
        parse(json)
    }
}

/// Unwraps by hand: serde's untagged enums would replace the message that names the bad member.
fn parse<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, OptionsError> {
    let mut value: serde_json::Value = serde_json::from_slice(json)?;
    let inner = value.get_mut("publicKey").filter(|inner| inner.is_object());
    let options = match inner {
        Some(inner) => inner.take(),
        None => value,
    };
    Ok(serde_json::from_value(options)?)
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"rp":{"name":"R"},"user":{"id":"AQ","name":"u","displayName":"U"},
        "challenge":"AAAA","pubKeyCredParams":[]}"#;

    #[test]
    fn the_least_and_its_wrapped_form_are_read() {
        let plain = CreationOptions::parse(LEAST.as_bytes()).unwrap();
        let wrapped = format!(r#"{{"publicKey":{LEAST},"mediation":"optional"}}"#);
        let wrapped = CreationOptions::parse(wrapped.as_bytes()).unwrap();
        assert_eq!(plain.user.id, Base64Url(vec![1]));
        assert_eq!(wrapped.challenge, Base64Url(vec![0; 3]));
    }

    #[test]
    fn nulls_and_unknown_members_are_as_if_absent() {
        let json = r#"{"challenge":"AAAA","rpId":null,"allowCredentials":null,"timeout":null,
            "hints":null,"userVerification":null,"extensions":null,"futureMember":{"x":1}}"#;
        let options = RequestOptions::parse(json.as_bytes()).unwrap();
        assert!(options.allow_credentials.is_empty());
        assert!(options.rp_id.is_none());
    }

    #[test]
    fn what_browsers_refuse_is_refused() {
        let cases = [
            "",
            "[]",
            "{}",
            r#"{"challenge":"+/+/"}"#,
            r#"{"challenge":7}"#,
            r#"{"challenge":"AAAA","allowCredentials":[{"type":"public-key"}]}"#,
        ];
        for case in cases {
            assert!(RequestOptions::parse(case.as_bytes()).is_err(), "{case}");
        }
        let no_user = r#"{"rp":{"name":"R"},"challenge":"AAAA","pubKeyCredParams":[]}"#;
        let error = CreationOptions::parse(no_user.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("user"), "{source}");
    }
}
