//! The demo's web site: asks for a passkey, then for a sign-in with it, and verifies both.
//!
//! A thin shell over `webauthn_rp`, which makes the challenges and does all of the verification:
//! type, challenge, origin, rpIdHash, flags, key, signature, counter. In and out goes the JSON that
//! a web page would exchange with its server. Depends on nothing else of this crate.
//!
//! Specification: WebAuthn Level 3, sections 7.1 and 7.2.

mod error;
mod passkey;
mod policy;
mod verified;

pub use error::RelyingPartyError;
pub use policy::{Aaguid, Policy};
pub use verified::Verified;

use passkey::Passkey;
use url::Url;
use webauthn_rp::request::auth::{AllowedCredentials, AuthenticationVerificationOptions};
use webauthn_rp::request::register::{
    AuthenticatorAttachmentReq, CredProtect, CrossPlatformHint, Nickname,
    PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle64, Username,
};
use webauthn_rp::request::{
    AsciiDomain, Credentials, ExtensionInfo, Hint, RpId, UserVerificationRequirement,
};
use webauthn_rp::response::CredentialId;
use webauthn_rp::{
    DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, NonDiscoverableAuthentication64,
    NonDiscoverableAuthenticationServerState, NonDiscoverableCredentialRequestOptions,
    PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
};

/// User handles are as long as WebAuthn allows.
const USER_HANDLE: usize = 64;

/// A web site with one account. A site with several keeps one of these for each.
#[derive(Debug)]
pub struct RelyingParty {
    /// What a new passkey has to be; all are welcome by default.
    pub policy: Policy,
    /// Whether it looks that the user was verified, as it has to. Without, it only asks for that: for tests
    /// that have to find it out.
    pub demands_verification: bool,
    origin: String,
    rp_id: RpId,
    user_id: UserHandle64,
    user_name: String,
    display_name: String,
    passkeys: Vec<Passkey>,
}

/// A registration that has begun; can be finished once, within five minutes.
#[derive(Debug)]
pub struct RegistrationCeremony(RegistrationServerState<USER_HANDLE>);

/// A sign-in that has begun; can be finished once, within five minutes.
#[derive(Debug)]
pub struct SignInCeremony(SignIn);

#[derive(Debug)]
enum SignIn {
    Discoverable(DiscoverableAuthenticationServerState),
    Listed(NonDiscoverableAuthenticationServerState),
}

/// Whom a sign-in is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Nobody has said: the passkey names the account.
    FromPasskey,
    /// The user has typed a name: the passkeys of that account are listed.
    Known,
}

impl RelyingParty {
    /// A web site at `origin` (such as `http://localhost:8080`), whose relying party id is the
    /// origin's host, with one account and no passkeys.
    ///
    /// # Errors
    ///
    /// If the origin has no domain name.
    pub fn new(
        origin: &str,
        user_name: &str,
        display_name: &str,
    ) -> Result<Self, RelyingPartyError> {
        let url = Url::parse(origin).map_err(|_| RelyingPartyError::Origin)?;
        let domain = url.domain().ok_or(RelyingPartyError::Origin)?.to_owned();
        let domain = AsciiDomain::try_from(domain).map_err(RelyingPartyError::Domain)?;
        Ok(Self {
            policy: Policy::default(),
            demands_verification: true,
            origin: url.origin().ascii_serialization(),
            rp_id: RpId::Domain(domain),
            user_id: UserHandle64::new(),
            user_name: user_name.to_owned(),
            display_name: display_name.to_owned(),
            passkeys: Vec::new(),
        })
    }

    /// The origin in its serialized form: what the client has to be told.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The user handle, which the account's passkeys carry and a sign-in brings back.
    #[must_use]
    pub fn user_handle(&self) -> &[u8] {
        self.user_id.as_ref()
    }

    /// Whether the passkey is registered.
    #[must_use]
    pub fn knows(&self, credential_id: &[u8]) -> bool {
        self.find(credential_id).is_ok()
    }

    /// Forgets a passkey; `false` if there was none of that id. The phone is not told.
    pub fn forget(&mut self, credential_id: &[u8]) -> bool {
        let before = self.passkeys.len();
        self.passkeys.retain(|passkey| passkey.id.as_ref() != credential_id);
        self.passkeys.len() < before
    }

    /// Begins a registration: a discoverable passkey on a phone, with user verification.
    ///
    /// Gives `PublicKeyCredentialCreationOptionsJSON` for the client.
    ///
    /// # Errors
    ///
    /// If a name of the account is not one that the library takes.
    pub fn begin_registration(&self) -> Result<(String, RegistrationCeremony), RelyingPartyError> {
        let name = Username::try_from(&self.user_name[..]).map_err(RelyingPartyError::UserName)?;
        let display =
            Nickname::try_from(&self.display_name[..]).map_err(RelyingPartyError::DisplayName)?;
        let user =
            PublicKeyCredentialUserEntity { name, id: &self.user_id, display_name: Some(display) };
        let known = self.passkeys.iter().map(Passkey::descriptor).collect();
        let mut options = PublicKeyCredentialCreationOptions::passkey(&self.rp_id, user, known);
        options.authenticator_selection.user_verification = self.user_verification();
        options.authenticator_selection.authenticator_attachment =
            AuthenticatorAttachmentReq::CrossPlatform(CrossPlatformHint::Hybrid);
        // Phones verify their user anyway, and most do not know credProtect: no reason to insist.
        options.extensions.cred_protect = match self.demands_verification {
            true => CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue),
            false => CredProtect::None,
        };
        let (server, client) =
            options.start_ceremony().map_err(RelyingPartyError::CreationOptions)?;
        let mut client = serde_json::to_value(&client)?;
        if self.policy.require_attestation {
            self.policy.ask_for_attestation(&mut client);
        }
        Ok((client.to_string(), RegistrationCeremony(server)))
    }

    /// Verifies `RegistrationResponseJSON` and keeps the passkey.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the response, and what the policy does not allow; nothing is kept
    /// then. The phone has the passkey all the same.
    pub fn finish_registration(
        &mut self,
        ceremony: RegistrationCeremony,
        response: &str,
    ) -> Result<Verified, RelyingPartyError> {
        let response: Registration = serde_json::from_str(response)?;
        let origins = [self.origin.as_str()];
        let options = RegistrationVerificationOptions::<&str, &str> {
            allowed_origins: &origins,
            require_authenticator_attachment: true,
            ..RegistrationVerificationOptions::default()
        };
        let verified = ceremony.0.verify(&self.rp_id, &response, &options);
        let credential = verified.map_err(RelyingPartyError::Registration)?;
        self.policy.check(&credential.metadata())?;
        if self.knows(credential.id().as_ref()) {
            return Err(RelyingPartyError::Duplicate);
        }
        self.passkeys.push(Passkey::new(&credential));
        self.verified(credential.id().as_ref())
    }

    /// Begins a sign-in with user verification.
    ///
    /// Gives `PublicKeyCredentialRequestOptionsJSON` for the client.
    ///
    /// # Errors
    ///
    /// For a known account, if it has no passkey yet.
    pub fn begin_sign_in(
        &self,
        account: Account,
    ) -> Result<(String, SignInCeremony), RelyingPartyError> {
        match account {
            Account::FromPasskey => {
                let mut options = DiscoverableCredentialRequestOptions::passkey(&self.rp_id);
                options.0.user_verification = self.user_verification();
                options.0.hints = Hint::Hybrid;
                let ceremony = options.start_ceremony();
                let (server, client) = ceremony.map_err(RelyingPartyError::RequestOptions)?;
                let json = serde_json::to_string(&client)?;
                Ok((json, SignInCeremony(SignIn::Discoverable(server))))
            }
            Account::Known => {
                let mut known = AllowedCredentials::with_capacity(self.passkeys.len());
                for passkey in &self.passkeys {
                    known.push(passkey.descriptor().into());
                }
                let options =
                    NonDiscoverableCredentialRequestOptions::second_factor(&self.rp_id, known);
                let mut options = options.map_err(RelyingPartyError::NoPasskey)?;
                options.options().user_verification = self.user_verification();
                options.options().hints = Hint::Hybrid;
                let ceremony = options.start_ceremony();
                let (server, client) = ceremony.map_err(RelyingPartyError::RequestOptions)?;
                let json = serde_json::to_string(&client)?;
                Ok((json, SignInCeremony(SignIn::Listed(server))))
            }
        }
    }

    /// Verifies `AuthenticationResponseJSON` and updates the passkey's counter and flags.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the response; nothing is updated then.
    pub fn finish_sign_in(
        &mut self,
        ceremony: SignInCeremony,
        response: &str,
    ) -> Result<Verified, RelyingPartyError> {
        let origins = [self.origin.as_str()];
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &origins,
            ..AuthenticationVerificationOptions::default()
        };
        let (id, new_state) = match ceremony.0 {
            SignIn::Discoverable(server) => {
                let response: DiscoverableAuthentication64 = serde_json::from_str(response)?;
                let mut passkey = self.find(response.raw_id().as_ref())?.load(&self.user_id)?;
                server
                    .verify(&self.rp_id, &response, &mut passkey, &options)
                    .map_err(RelyingPartyError::SignIn)?;
                (CredentialId::<Vec<u8>>::from(passkey.id()), passkey.dynamic_state())
            }
            SignIn::Listed(server) => {
                let response: NonDiscoverableAuthentication64 = serde_json::from_str(response)?;
                let mut passkey = self.find(response.raw_id().as_ref())?.load(&self.user_id)?;
                server
                    .verify(&self.rp_id, &response, &mut passkey, &options)
                    .map_err(RelyingPartyError::SignIn)?;
                (CredentialId::<Vec<u8>>::from(passkey.id()), passkey.dynamic_state())
            }
        };
        for passkey in self.passkeys.iter_mut().filter(|passkey| passkey.id == id) {
            passkey.dynamic_state = new_state;
        }
        self.verified(id.as_ref())
    }

    fn user_verification(&self) -> UserVerificationRequirement {
        match self.demands_verification {
            true => UserVerificationRequirement::Required,
            false => UserVerificationRequirement::Preferred,
        }
    }

    fn find(&self, id: &[u8]) -> Result<&Passkey, RelyingPartyError> {
        let mut passkeys = self.passkeys.iter();
        passkeys.find(|passkey| passkey.id.as_ref() == id).ok_or(RelyingPartyError::UnknownPasskey)
    }
}

#[cfg(test)]
mod tests;
