//! A registration or a sign-in as one conversation with a phone that is there.
//!
//! Knows the order of messages and nothing of radios, relays or front ends. Depends on the siblings
//! `webauthn` and `carrier`, and on `ctap`.

use std::time::Duration;

use super::Error as TransactionError;
use super::service::Carrier;
use super::webauthn::{
    self, Assertion, AuthenticationResponse, CreationOptions, Note, Origin, PendingAssertion,
    Progress, Registration, RegistrationResponse, RequestOptions,
};
use crate::ctap::{self, Command, GetInfo};
use crate::hybrid;
use crate::hybrid::qr::Hint;

/// Why a ceremony did not come to a good end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The devices did not get through to each other, or not to the end.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The phone said no, or what it said is no answer for the relying party.
    #[error(transparent)]
    WebAuthn(#[from] webauthn::Error),
    /// The phone's getInfo cannot be read.
    #[error("the phone's description of itself makes no sense")]
    Info(#[source] ctap::Error),
    /// The phone left the choice of the account to this side, where nobody made it.
    #[error("the phone offers {} accounts", offered.len())]
    SeveralAccounts {
        /// Their names.
        offered: Vec<String>,
    },
    /// The account that was chosen beforehand is not among those that the phone offers.
    #[error("the phone does not offer the account {wanted}")]
    NoSuchAccount {
        /// What was chosen.
        wanted: String,
        /// The names of those that it offers.
        offered: Vec<String>,
    },
    /// The relying party's time is over.
    #[error("the relying party's time of {} s is over", .0.as_secs())]
    TooLate(Duration),
}

impl Error {
    /// The name of the cause for machines.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Transaction(error) => error.cause(),
            Self::WebAuthn(webauthn::Error::Refused(_)) => "refused",
            Self::WebAuthn(webauthn::Error::Unsuitable(_)) => "unsuitable",
            Self::WebAuthn(webauthn::Error::Answer(_)) | Self::Info(_) => "answer",
            Self::WebAuthn(_) => "options",
            Self::SeveralAccounts { .. } | Self::NoSuchAccount { .. } => "account",
            Self::TooLate(_) => "too-late",
        }
    }
}

/// What is to be done with the phone.
#[derive(Clone, Debug)]
pub enum Ceremony {
    /// Make a passkey.
    Register(Box<Registration>),
    /// Sign in.
    SignIn {
        /// With what.
        assertion: Box<Assertion>,
        /// The account to use when the phone leaves the choice to this side: a user name.
        account: Option<String>,
    },
}

/// What came of it, for the relying party.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A passkey was made.
    Registered(Box<RegistrationResponse>),
    /// A passkey signed.
    SignedIn(Box<AuthenticationResponse>),
}

impl Answer {
    /// The JSON that the relying party's server expects: `RegistrationResponseJSON` or
    /// `AuthenticationResponseJSON`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::Registered(response) => serde_json::to_string(response),
            Self::SignedIn(response) => serde_json::to_string(response),
        };
        // Made of strings, booleans and maps with string keys only, so there is nothing to fail.
        json.unwrap_or_default()
    }
}

impl Ceremony {
    /// A registration, from the relying party's JSON.
    ///
    /// # Errors
    ///
    /// Those of [`Registration::prepare`] and of the JSON.
    pub fn register(options: &[u8], origin: &Origin) -> Result<Self, webauthn::Error> {
        let registration = Registration::prepare(CreationOptions::parse(options)?, origin)?;
        Ok(Self::Register(Box::new(registration)))
    }

    /// A sign-in, from the relying party's JSON; see [`Self::SignIn`] about the account.
    ///
    /// # Errors
    ///
    /// Those of [`Assertion::prepare`] and of the JSON.
    pub fn sign_in(
        options: &[u8],
        origin: &Origin,
        account: Option<String>,
    ) -> Result<Self, webauthn::Error> {
        let assertion = Box::new(Assertion::prepare(RequestOptions::parse(options)?, origin)?);
        Ok(Self::SignIn { assertion, account })
    }

    /// For whom.
    #[must_use]
    pub fn rp_id(&self) -> &str {
        match self {
            Self::Register(registration) => registration.rp_id().as_str(),
            Self::SignIn { assertion, .. } => assertion.rp_id().as_str(),
        }
    }

    /// The account that a registration is for; empty for a sign-in.
    #[must_use]
    pub fn user_name(&self) -> &str {
        match self {
            Self::Register(registration) => registration.user_name(),
            Self::SignIn { .. } => "",
        }
    }

    pub(super) fn hint(&self) -> Hint {
        match self {
            Self::Register(_) => Hint::MakeCredential,
            Self::SignIn { .. } => Hint::GetAssertion,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Register(registration) => registration.timeout(),
            Self::SignIn { assertion, .. } => assertion.timeout(),
        }
    }

    /// Remarks that are known before a phone is there.
    pub(super) fn notes(&self) -> &[Note] {
        match self {
            Self::Register(registration) => registration.notes(),
            Self::SignIn { assertion, .. } => assertion.notes(),
        }
    }

    /// Waits for the phone and talks to it, up to the answer; with the remarks that came of knowing it.
    pub(super) async fn perform(self, phone: &mut Carrier) -> Result<(Answer, Vec<Note>), Error> {
        let known = self.notes().len();
        let info = info(phone).await?;
        let later = |notes: &[Note]| notes.get(known..).unwrap_or_default().to_vec();
        match self {
            Self::Register(registration) => {
                let pending = registration.request(&info)?;
                let notes = later(pending.notes());
                let reply = phone.call(pending.message()).await?;
                Ok((Answer::Registered(Box::new(pending.finish(&reply)?)), notes))
            }
            Self::SignIn { assertion, account } => {
                let mut pending = assertion.request(&info)?;
                let notes = later(pending.notes());
                let mut message = pending.message();
                while pending.accept(&phone.call(message).await?)? == Progress::More {
                    message = vec![Command::GetNextAssertion as u8];
                }
                let choice = choose(&pending, account)?;
                Ok((Answer::SignedIn(Box::new(pending.finish(choice)?)), notes))
            }
        }
    }
}

async fn info(phone: &mut Carrier) -> Result<GetInfo, Error> {
    let said = phone.ready().await?;
    let info = said.get_info.ok_or(TransactionError::Protocol(hybrid::Error::NotOffered))?;
    GetInfo::decode(&info).map_err(Error::Info)
}

/// The account to use, when the phone left the choice to this side.
fn choose(pending: &PendingAssertion, wanted: Option<String>) -> Result<usize, Error> {
    let names = || pending.accounts().map(|account| account.name.clone().unwrap_or_default());
    match wanted {
        _ if pending.accounts().len() == 1 => Ok(0),
        None => Err(Error::SeveralAccounts { offered: names().collect() }),
        Some(wanted) => names()
            .position(|name| name == wanted)
            .ok_or_else(|| Error::NoSuchAccount { wanted, offered: names().collect() }),
    }
}
