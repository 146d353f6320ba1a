//! Why the demo's web site refuses. Depends on the policy's names.

use super::Aaguid;
use webauthn_rp::CredentialErr;
use webauthn_rp::request::auth::error::{RequestOptionsErr, SecondFactorErr};
use webauthn_rp::request::error::AsciiDomainErr;
use webauthn_rp::request::register::error::{CreationOptionsErr, NicknameErr, UsernameErr};
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::register::bin::DecodeStaticStateErr;
use webauthn_rp::response::register::error::RegCeremonyErr;

/// Why the web site refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelyingPartyError {
    /// The origin is not a URL with a domain name.
    #[error("the demo's origin is not a URL with a domain name")]
    Origin,
    /// The relying party id is not one.
    #[error("the demo's relying party id is not a domain name")]
    Domain(#[source] AsciiDomainErr),
    /// The account's name breaks the rules for names.
    #[error("the account's name is not one that WebAuthn recommends")]
    UserName(#[source] UsernameErr),
    /// The person's name breaks the rules for names.
    #[error("the person's name is not one that WebAuthn recommends")]
    DisplayName(#[source] NicknameErr),
    /// The library does not take the creation options.
    #[error("cannot begin a registration")]
    CreationOptions(#[source] CreationOptionsErr),
    /// The library does not take the request options.
    #[error("cannot begin a sign-in")]
    RequestOptions(#[source] RequestOptionsErr),
    /// There is no passkey yet to ask for.
    #[error("the account has no passkey to sign in with")]
    NoPasskey(#[source] SecondFactorErr),
    /// Not the JSON of a response.
    #[error("the response is not valid JSON of WebAuthn")]
    Json(#[from] serde_json::Error),
    /// The registration is not valid.
    #[error("the registration was not accepted")]
    Registration(#[source] RegCeremonyErr),
    /// The passkey is registered already.
    #[error("the passkey is registered already")]
    Duplicate,
    /// Not the form of an AAGUID.
    #[error("an AAGUID has 32 hexadecimal digits")]
    NoAaguid,
    /// The policy does not list the passkey's make.
    #[error("passkeys of the make {0} are not permitted here")]
    Make(Aaguid),
    /// The policy wants the maker's word, and there is none.
    #[error("no maker vouches for the passkey, and this site requires that")]
    NotAttested,
    /// The passkey is none of this account.
    #[error("the passkey is not registered")]
    UnknownPasskey,
    /// A row of the database cannot be read.
    #[error("the registered passkey cannot be read back")]
    Stored(#[source] DecodeStaticStateErr),
    /// A row of the database contradicts itself.
    #[error("the registered passkey is not consistent")]
    Inconsistent(#[source] CredentialErr),
    /// The sign-in is not valid.
    #[error("the sign-in was not accepted")]
    SignIn(#[source] AuthCeremonyErr),
}
