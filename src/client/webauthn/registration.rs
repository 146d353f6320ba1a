//! A registration: creation options in, makeCredential out, its answer in, JSON out.
//!
//! Two types, so that the order cannot be wrong: [`Registration`] before the phone is known,
//! [`PendingRegistration`] after. Depends on [`crate::ctap`].
//!
//! Specification: WebAuthn Level 3, section 5.1.3.

use std::time::Duration;

use super::attestation::Conveyance;
use super::base64url::Base64Url;
use super::client_data::{Ceremony, ClientData};
use super::error::{AnswerError, Error, OptionsError, Unsuitable};
use super::extensions::{self, Outputs};
use super::note::Note;
use super::options::{CreationOptions, ExtensionInputs, SelectionJson};
use super::origin::{Origin, RpId};
use super::public_key::spki;
use super::response::{AttestationResponse, RegistrationResponse};
use super::rules::{self, Requirement};
use crate::ctap::{
    AttestedCredential, CredentialParameters, GetInfo, MAX_USER_ID, MakeCredentialRequest,
    MakeCredentialResponse, Options, PUBLIC_KEY, RpEntity, UserEntity,
};

/// A registration that waits for a phone: the relying party's options, checked.
#[derive(Clone, Debug)]
pub struct Registration {
    rp_id: RpId,
    client_data: ClientData,
    request: MakeCredentialRequest,
    extensions: ExtensionInputs,
    resident_key: Requirement,
    verification_required: bool,
    conveyance: Conveyance,
    timeout: Duration,
    notes: Vec<Note>,
}

/// A registration whose request is on its way to the phone.
#[derive(Clone, Debug)]
pub struct PendingRegistration {
    rp_id: RpId,
    client_data: ClientData,
    request: MakeCredentialRequest,
    extensions: ExtensionInputs,
    verification_required: bool,
    conveyance: Conveyance,
    transports: Vec<String>,
    notes: Vec<Note>,
}

impl Registration {
    /// Checks the options against the origin and the rules of browsers.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] and [`Error::Origin`], see there.
    pub fn prepare(options: CreationOptions, origin: &Origin) -> Result<Self, Error> {
        let rp_id = origin.rp_id(options.rp.id.as_deref())?;
        let selection = options.authenticator_selection.clone().unwrap_or_default();
        if selection.authenticator_attachment.as_deref() == Some("platform") {
            return Err(OptionsError::PlatformOnly.into());
        }
        extensions::check_create(&options.extensions)?;
        let mut notes = Vec::new();
        rules::check_challenge(&options.challenge, &mut notes);
        rules::check_hints(&options.hints, &mut notes);
        if options.attestation.as_deref() == Some("enterprise") {
            notes.push(Note::EnterpriseAttestation);
        }
        let timeout = rules::timeout(options.timeout, &mut notes);
        let client_data = ClientData::new(Ceremony::Create, &options.challenge, origin);
        let verification = Requirement::new(selection.user_verification.as_deref());
        Ok(Self {
            request: request(&options, &rp_id, client_data.hash())?,
            rp_id,
            client_data,
            resident_key: resident_key(&selection),
            verification_required: verification == Some(Requirement::Required),
            conveyance: Conveyance::new(options.attestation.as_deref()),
            extensions: options.extensions,
            timeout,
            notes,
        })
    }

    /// The relying party id, checked against the origin.
    #[must_use]
    pub fn rp_id(&self) -> &RpId {
        &self.rp_id
    }

    /// The account's name, from the relying party and to be shown with care.
    #[must_use]
    pub fn user_name(&self) -> &str {
        self.request.user.name.as_deref().unwrap_or_default()
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
    pub fn request(mut self, phone: &GetInfo) -> Result<PendingRegistration, Error> {
        let discoverable = phone.option("rk") == Some(true);
        if self.resident_key == Requirement::Required && !discoverable {
            return Err(Unsuitable::ResidentKey.into());
        }
        let verification = rules::user_verification(phone);
        if self.verification_required && verification.is_none() {
            return Err(Unsuitable::UserVerification.into());
        }
        let wanted = discoverable && self.resident_key != Requirement::Discouraged;
        self.request.options = Options { rk: wanted.then_some(true), up: None, uv: verification };
        let inputs = extensions::create_inputs(&self.extensions, phone)?;
        let (list, unsupported) = inputs.into_parts();
        self.request.extensions = list;
        self.notes.extend(unsupported);
        Ok(PendingRegistration {
            rp_id: self.rp_id,
            client_data: self.client_data,
            request: self.request,
            extensions: self.extensions,
            verification_required: self.verification_required,
            conveyance: self.conveyance,
            transports: transports(phone),
            notes: self.notes,
        })
    }
}

impl PendingRegistration {
    /// The message for the phone: command byte and CBOR.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.request.encode()
    }

    /// All remarks.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Makes the relying party's JSON of the phone's response (status byte and CBOR).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a status other than success, [`Error::Answer`] for a response that
    /// does not answer the request. In the latter case the phone may have saved a passkey that
    /// nobody will ever ask for.
    pub fn finish(self, response: &[u8]) -> Result<RegistrationResponse, Error> {
        let body = rules::body(response)?;
        let response = MakeCredentialResponse::decode(body).map_err(AnswerError::from)?;
        let bytes = &response.auth_data;
        let data = rules::authenticator_data(bytes, &self.rp_id, self.verification_required)?;
        let passkey = data.attested.as_ref().ok_or(AnswerError::NoPasskey)?;
        let algorithm = self.check_passkey(passkey)?;
        let public_key = spki(&passkey.public_key)?;
        let outputs = Outputs {
            signed: data.extensions.as_ref(),
            unsigned: response.unsigned_extension_outputs.as_ref(),
        };
        let discoverable = self.request.options.rk == Some(true);
        let results = extensions::create_outputs(&self.extensions, discoverable, &outputs)?;
        let id = Base64Url::from(&passkey.id[..]);
        Ok(RegistrationResponse {
            raw_id: id.clone(),
            id,
            kind: PUBLIC_KEY,
            authenticator_attachment: super::CROSS_PLATFORM,
            client_extension_results: results,
            response: AttestationResponse {
                client_data_json: self.client_data.into_bytes().into(),
                attestation_object: self.conveyance.object(&response, passkey).into(),
                authenticator_data: response.auth_data.into(),
                transports: self.transports,
                public_key: public_key.map(Base64Url::from),
                public_key_algorithm: algorithm,
            },
        })
    }

    /// Gives the algorithm.
    fn check_passkey(&self, passkey: &AttestedCredential) -> Result<i64, AnswerError> {
        if passkey.id.is_empty() {
            return Err(AnswerError::CredentialId(0));
        }
        let algorithm = passkey.public_key.algorithm().ok_or(AnswerError::Algorithm)?;
        let mut asked = self.request.pub_key_cred_params.iter();
        if asked.any(|param| param.alg == algorithm) {
            Ok(algorithm)
        } else {
            Err(AnswerError::Algorithm)
        }
    }
}

fn request(
    options: &CreationOptions,
    rp_id: &RpId,
    client_data_hash: [u8; 32],
) -> Result<MakeCredentialRequest, OptionsError> {
    let user = &options.user;
    if !(1..=MAX_USER_ID).contains(&user.id.0.len()) {
        return Err(OptionsError::UserId(user.id.0.len()));
    }
    let algorithms = rules::algorithms(&options.pub_key_cred_params)?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(MakeCredentialRequest {
        client_data_hash,
        rp: RpEntity { id: rp_id.as_str().to_owned(), name: some(&options.rp.name) },
        user: UserEntity {
            id: user.id.0.clone(),
            name: some(&user.name),
            display_name: some(&user.display_name),
        },
        pub_key_cred_params: algorithms.into_iter().map(CredentialParameters::new).collect(),
        exclude_list: rules::descriptors(&options.exclude_credentials)?,
        extensions: Vec::new(),
        options: Options::default(),
        pin_uv_auth_param: None,
        pin_uv_auth_protocol: None,
        enterprise_attestation: None,
    })
}

/// `residentKey` decides where it is known, the older `requireResidentKey` where not.
fn resident_key(selection: &SelectionJson) -> Requirement {
    let older = match selection.require_resident_key {
        Some(true) => Requirement::Required,
        _ => Requirement::Discouraged,
    };
    Requirement::new(selection.resident_key.as_deref()).unwrap_or(older)
}

/// What the phone says of itself, and the way it was just reached. Old phones write `cable`, which
/// no relying party knows.
fn transports(phone: &GetInfo) -> Vec<String> {
    let said = phone.transports.iter().filter(|transport| *transport != "cable");
    let mut transports: Vec<String> = said.cloned().collect();
    if transports.is_empty() {
        transports.push("internal".to_owned());
    }
    transports.push("hybrid".to_owned());
    transports.sort_unstable();
    transports.dedup();
    transports
}
