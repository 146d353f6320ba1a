//! A sign-in: request options in, getAssertion out, its answers in, JSON out.
//!
//! Two types, so that the order cannot be wrong: [`Assertion`] before the phone is known,
//! [`PendingAssertion`] after. Depends on [`crate::ctap`].
//!
//! Specification: WebAuthn Level 3, section 5.1.4.

use std::time::Duration;

use super::base64url::Base64Url;
use super::client_data::{Ceremony, ClientData};
use super::error::{AnswerError, Error, OptionsError, Unsuitable};
use super::extensions::{self, Outputs};
use super::note::Note;
use super::options::{ExtensionInputs, RequestOptions};
use super::origin::{Origin, RpId};
use super::response::{AssertionResponse, AuthenticationResponse};
use super::rules::{self, Requirement};
use crate::ctap::{
    Command, CredentialDescriptor, GetAssertionRequest, GetAssertionResponse, GetInfo,
    MAX_CREDENTIAL_ID, MAX_LIST, Options, PUBLIC_KEY,
};

/// A sign-in that waits for a phone: the relying party's options, checked.
#[derive(Clone, Debug)]
pub struct Assertion {
    rp_id: RpId,
    client_data: ClientData,
    request: GetAssertionRequest,
    extensions: ExtensionInputs,
    verification_required: bool,
    timeout: Duration,
    notes: Vec<Note>,
}

/// A sign-in whose request is on its way to the phone.
#[derive(Clone, Debug)]
pub struct PendingAssertion {
    rp_id: RpId,
    client_data: ClientData,
    request: GetAssertionRequest,
    extensions: ExtensionInputs,
    verification_required: bool,
    notes: Vec<Note>,
    expected: usize,
    answers: Vec<Answer>,
}

/// What to do after an answer of the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The phone has another account: send [`PendingAssertion::message`] again, it has changed.
    More,
    /// All answers are here; with more than one account, somebody must choose.
    Complete,
}

/// An account that the phone signed for.
///
/// The names are the phone's and may be empty; phones that let their user choose send none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's handle, if the phone said it.
    pub user_id: Option<Vec<u8>>,
    /// The account's name.
    pub name: Option<String>,
    /// The person's name.
    pub display_name: Option<String>,
}

/// A checked answer.
#[derive(Clone, Debug)]
struct Answer {
    account: Account,
    response: AuthenticationResponse,
}

impl Assertion {
    /// Checks the options against the origin and the rules of browsers.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] and [`Error::Origin`], see there.
    pub fn prepare(options: RequestOptions, origin: &Origin) -> Result<Self, Error> {
        let rp_id = origin.rp_id(options.rp_id.as_deref())?;
        let allow_list = rules::descriptors(&options.allow_credentials)?;
        if allow_list.is_empty() && !options.allow_credentials.is_empty() {
            return Err(OptionsError::NoAllowedCredential.into());
        }
        extensions::check_get(&options.extensions, &allow_list)?;
        let mut notes = Vec::new();
        rules::check_challenge(&options.challenge, &mut notes);
        rules::check_hints(&options.hints, &mut notes);
        check_transports(&allow_list, &mut notes);
        let timeout = rules::timeout(options.timeout, &mut notes);
        let client_data = ClientData::new(Ceremony::Get, &options.challenge, origin);
        let verification = Requirement::new(options.user_verification.as_deref());
        let request = GetAssertionRequest {
            rp_id: rp_id.as_str().to_owned(),
            client_data_hash: client_data.hash(),
            allow_list,
            extensions: Vec::new(),
            options: Options::default(),
            pin_uv_auth_param: None,
            pin_uv_auth_protocol: None,
        };
        Ok(Self {
            rp_id,
            client_data,
            request,
            extensions: options.extensions,
            verification_required: verification == Some(Requirement::Required),
            timeout,
            notes,
        })
    }

    /// The relying party id, checked against the origin.
    #[must_use]
    pub fn rp_id(&self) -> &RpId {
        &self.rp_id
    }

    /// The time for the whole ceremony, 5 to 10 minutes.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Remarks so far.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Fits the request to a phone, whose getInfo came with the post-handshake message.
    ///
    /// # Errors
    ///
    /// [`Error::Unsuitable`] if the phone says that it cannot do what is required.
    pub fn request(mut self, phone: &GetInfo) -> Result<PendingAssertion, Error> {
        let verification = rules::user_verification(phone);
        if self.verification_required && verification.is_none() {
            return Err(Unsuitable::UserVerification.into());
        }
        self.request.options = Options { rk: None, up: None, uv: verification };
        let (list, unsupported) = extensions::get_inputs(&self.extensions, phone).into_parts();
        self.request.extensions = list;
        self.notes.extend(unsupported);
        Ok(PendingAssertion {
            rp_id: self.rp_id,
            client_data: self.client_data,
            request: self.request,
            extensions: self.extensions,
            verification_required: self.verification_required,
            notes: self.notes,
            expected: 1,
            answers: Vec::new(),
        })
    }
}

impl PendingAssertion {
    /// The next message for the phone: getAssertion first, then getNextAssertion.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        if self.answers.is_empty() {
            self.request.encode()
        } else {
            vec![Command::GetNextAssertion as u8]
        }
    }

    /// All remarks.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Takes the phone's response (status byte and CBOR) to the last message.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a status other than success, [`Error::Answer`] for a response that
    /// does not answer the request. Answers taken before stay.
    pub fn accept(&mut self, response: &[u8]) -> Result<Progress, Error> {
        let body = rules::body(response)?;
        let response = GetAssertionResponse::decode(body).map_err(AnswerError::from)?;
        let announced = announced(&response)?;
        let answer = self.check(response)?;
        if self.answers.is_empty() {
            self.expected = announced;
        }
        self.answers.push(answer);
        let complete = self.answers.len() >= self.expected;
        Ok(if complete { Progress::Complete } else { Progress::More })
    }

    /// The accounts that the phone signed for, in its order: the last used one first.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.answers.iter().map(|answer| &answer.account)
    }

    /// Gives the relying party's JSON for the account at `choice` in [`Self::accounts`].
    ///
    /// # Errors
    ///
    /// [`AnswerError::NoSuchAccount`] if nothing at that place was accepted.
    pub fn finish(mut self, choice: usize) -> Result<AuthenticationResponse, Error> {
        if choice >= self.answers.len() {
            return Err(AnswerError::NoSuchAccount.into());
        }
        Ok(self.answers.swap_remove(choice).response)
    }

    fn check(&self, response: GetAssertionResponse) -> Result<Answer, AnswerError> {
        let bytes = &response.auth_data;
        let data = rules::authenticator_data(bytes, &self.rp_id, self.verification_required)?;
        if data.attested.is_some() {
            return Err(AnswerError::UnexpectedPasskey);
        }
        if response.signature.is_empty() {
            return Err(AnswerError::NoSignature);
        }
        let id = Base64Url(self.credential_id(response.credential)?);
        let outputs = Outputs {
            signed: data.extensions.as_ref(),
            unsigned: response.unsigned_extension_outputs.as_ref(),
        };
        let results = extensions::get_outputs(&self.extensions, &outputs)?;
        let user = response.user;
        let user_id = user.as_ref().map(|user| user.id.clone());
        if user_id.is_none() && self.request.allow_list.is_empty() {
            return Err(AnswerError::NoUser);
        }
        let response = AuthenticationResponse {
            raw_id: id.clone(),
            id,
            kind: PUBLIC_KEY,
            authenticator_attachment: super::CROSS_PLATFORM,
            client_extension_results: results,
            response: AssertionResponse {
                client_data_json: self.client_data.clone().into_bytes().into(),
                authenticator_data: response.auth_data.into(),
                signature: response.signature.into(),
                user_handle: user_id.clone().map(Base64Url),
            },
        };
        let (name, display_name) = user.map_or((None, None), |u| (u.name, u.display_name));
        Ok(Answer { account: Account { user_id, name, display_name }, response })
    }

    /// A phone may leave out the passkey that signed when there was only one to choose from.
    fn credential_id(
        &self,
        credential: Option<CredentialDescriptor>,
    ) -> Result<Vec<u8>, AnswerError> {
        let allowed = &self.request.allow_list;
        match (credential, &allowed[..]) {
            (None, [only]) => Ok(only.id.clone()),
            (None, _) => Err(AnswerError::NoCredential),
            (Some(used), _) if !(1..=MAX_CREDENTIAL_ID).contains(&used.id.len()) => {
                Err(AnswerError::CredentialId(used.id.len()))
            }
            (Some(used), []) => Ok(used.id),
            (Some(used), _) if allowed.iter().any(|one| one.id == used.id) => Ok(used.id),
            (Some(_), _) => Err(AnswerError::NotAllowed),
        }
    }
}

/// How many accounts there are to ask for, at least one. A phone whose user has chosen already may
/// still tell the number.
fn announced(response: &GetAssertionResponse) -> Result<usize, AnswerError> {
    if response.user_selected == Some(true) {
        return Ok(1);
    }
    let number = response.number_of_credentials.unwrap_or(1);
    match usize::try_from(number) {
        Ok(number) if number <= MAX_LIST => Ok(number.max(1)),
        _ => Err(AnswerError::TooManyAccounts(number)),
    }
}

/// A passkey without transports may be anywhere.
fn check_transports(allow_list: &[CredentialDescriptor], notes: &mut Vec<Note>) {
    let on_phones =
        |transport: &String| matches!(transport.as_str(), "hybrid" | "internal" | "cable");
    let elsewhere = |entry: &CredentialDescriptor| {
        !entry.transports.is_empty() && !entry.transports.iter().any(on_phones)
    };
    if !allow_list.is_empty() && allow_list.iter().all(elsewhere) {
        notes.push(Note::TransportsWithoutHybrid);
    }
}
