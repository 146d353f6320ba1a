//! WebAuthn, the browser's part: from a relying party's JSON to CTAP2 and back.
//!
//! ```text
//! CreationOptions ──> Registration ──(getInfo)──> PendingRegistration ──> RegistrationResponse
//! RequestOptions  ──> Assertion    ──(getInfo)──> PendingAssertion    ──> AuthenticationResponse
//! ```
//!
//! No IO, no clock: the driver carries [`PendingRegistration::message`] to the phone and brings its
//! response. What a browser promises to relying parties and users is promised here: the relying
//! party id belongs to the origin, the client data names the challenge and the origin, the answer
//! is for this relying party and by a passkey that was asked for. Signatures are for the relying
//! party to verify. Depends on [`crate::ctap`] and [`crate::cbor`].
//!
//! | file | WebAuthn Level 3 section |
//! |---|---|
//! | `options`, `response` | 5.1, 5.4, 5.5: JSON |
//! | `origin`, `public_suffix` | 5.1.3, 5.1.4: relying party id and origin |
//! | `client_data` | 5.8.1 |
//! | `registration`, `assertion`, `rules` | 5.1.3, 5.1.4 |
//! | `attestation`, `public_key` | 5.4.7, 5.2.1.1 |
//! | `extensions`, `large_blob` | 10.1 |

mod assertion;
mod attestation;
mod base64url;
mod client_data;
mod error;
mod extensions;
mod large_blob;
mod note;
mod options;
mod origin;
mod public_key;
mod public_suffix;
mod registration;
mod response;
mod rules;

pub use assertion::{Account, Assertion, PendingAssertion, Progress};
pub use base64url::Base64Url;
pub use error::{AnswerError, Error, OptionsError, OriginError, Refusal, Unsuitable};
pub use note::Note;
pub use options::{
    CreationOptions, CredentialParametersJson, DescriptorJson, ExtensionInputs, LargeBlobInputs,
    PrfInputs, PrfValues, RequestOptions, RpEntityJson, SelectionJson, UserEntityJson,
};
pub use origin::{Origin, RpId};
pub use public_suffix::public_suffix;
pub use registration::{PendingRegistration, Registration};
pub use response::{
    AssertionResponse, AttestationResponse, AuthenticationResponse, CredProps, ExtensionOutputs,
    LargeBlobOutputs, PrfOutputs, PrfResults, RegistrationResponse,
};

/// The attachment of every passkey on another device.
const CROSS_PLATFORM: &str = "cross-platform";

#[cfg(test)]
pub(crate) mod test_phone;
#[cfg(test)]
mod tests;
