//! What goes back to the relying party: the JSON forms of a registration and of an assertion.
//!
//! Depends on serde only. Specification: WebAuthn Level 3, section 5.1.

use serde::Serialize;

use super::base64url::Base64Url;

/// `RegistrationResponseJSON`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationResponse {
    /// Credential id.
    pub id: Base64Url,
    /// Credential id again.
    pub raw_id: Base64Url,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `cross-platform`: the passkey is on another device.
    pub authenticator_attachment: &'static str,
    /// Extension outputs.
    pub client_extension_results: ExtensionOutputs,
    /// What the phone made, and what it was made for.
    pub response: AttestationResponse,
}

/// `AuthenticatorAttestationResponseJSON`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationResponse {
    /// Type, challenge and origin, as hashed.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Base64Url,
    /// CBOR of fmt, attStmt and authData.
    pub attestation_object: Base64Url,
    /// The authData of the attestation object.
    pub authenticator_data: Base64Url,
    /// How to reach the passkey next time, sorted.
    pub transports: Vec<String>,
    /// SubjectPublicKeyInfo in DER; absent for algorithms that this client does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Base64Url>,
    /// COSE algorithm number.
    pub public_key_algorithm: i64,
}

/// `AuthenticationResponseJSON`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationResponse {
    /// Credential id.
    pub id: Base64Url,
    /// Credential id again.
    pub raw_id: Base64Url,
    /// `public-key`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `cross-platform`: the passkey is on another device.
    pub authenticator_attachment: &'static str,
    /// Extension outputs.
    pub client_extension_results: ExtensionOutputs,
    /// What the phone signed.
    pub response: AssertionResponse,
}

/// `AuthenticatorAssertionResponseJSON`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssertionResponse {
    /// Type, challenge and origin, as hashed.
    #[serde(rename = "clientDataJSON")]
    pub client_data_json: Base64Url,
    /// The signed bytes, before the hash of the client data.
    pub authenticator_data: Base64Url,
    /// Over authenticator data and the hash of the client data.
    pub signature: Base64Url,
    /// The account's handle, if the phone said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<Base64Url>,
}

/// `AuthenticationExtensionsClientOutputsJSON`: only what was asked for is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionOutputs {
    /// Registration: properties of the passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_props: Option<CredProps>,
    /// Derived secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prf: Option<PrfOutputs>,
    /// A blob kept beside the passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large_blob: Option<LargeBlobOutputs>,
    /// Registration: whether the few bytes were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cred_blob: Option<bool>,
    /// Sign-in: the few bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_cred_blob: Option<Base64Url>,
}

/// `CredentialPropertiesOutput`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CredProps {
    /// Whether the passkey was made as a discoverable one.
    pub rk: bool,
}

/// `AuthenticationExtensionsPRFOutputsJSON`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrfOutputs {
    /// Registration: whether the passkey can derive secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The derived secrets, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<PrfResults>,
}

/// `AuthenticationExtensionsPRFValuesJSON` as output: 32 secret bytes each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrfResults {
    /// For the first salt.
    pub first: Base64Url,
    /// For the second salt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<Base64Url>,
}

/// `AuthenticationExtensionsLargeBlobOutputsJSON`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LargeBlobOutputs {
    /// Registration: whether a blob can be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supported: Option<bool>,
    /// Sign-in: the blob read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Base64Url>,
    /// Sign-in: whether the blob was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<bool>,
}
