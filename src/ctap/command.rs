//! The command byte in front of every request, and the frame of a response.
//!
//! Depends on the sibling `status` only.

use super::{Error, MAX_MESSAGE, Status};

/// One CTAP2 command byte that this crate knows by name.
///
/// Specification: CTAP 2.2, section 8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Command {
    /// Makes a passkey.
    MakeCredential = 0x01,
    /// Signs with a passkey.
    GetAssertion = 0x02,
    /// Says what the authenticator can do.
    GetInfo = 0x04,
    /// PIN and user verification tokens.
    ClientPin = 0x06,
    /// Forgets everything.
    Reset = 0x07,
    /// The next account of the `GetAssertion` before it; has no body.
    GetNextAssertion = 0x08,
    /// Fingerprints.
    BioEnrollment = 0x09,
    /// Lists and deletes discoverable passkeys.
    CredentialManagement = 0x0a,
    /// Asks for a touch, to choose among authenticators; has no body.
    Selection = 0x0b,
    /// The array of large blobs.
    LargeBlobs = 0x0c,
    /// Settings of the authenticator.
    Config = 0x0d,
    /// [`Self::CredentialManagement`] as it was before CTAP 2.1 gave it a number; libfido2 of Debian
    /// 12 sends no other.
    CredentialManagementPreview = 0x41,
}

impl Command {
    const ALL: [Self; 12] = [
        Self::MakeCredential,
        Self::GetAssertion,
        Self::GetInfo,
        Self::ClientPin,
        Self::Reset,
        Self::GetNextAssertion,
        Self::BioEnrollment,
        Self::CredentialManagement,
        Self::Selection,
        Self::LargeBlobs,
        Self::Config,
        Self::CredentialManagementPreview,
    ];

    /// Splits a request into its command and its body (CBOR, or empty).
    ///
    /// # Errors
    ///
    /// The status to answer: `INVALID_LENGTH` for nothing at all, `REQUEST_TOO_LARGE`, or
    /// `INVALID_COMMAND` for a byte without a name here.
    pub fn split(message: &[u8]) -> Result<(Self, &[u8]), Status> {
        if message.len() > MAX_MESSAGE {
            return Err(Status::REQUEST_TOO_LARGE);
        }
        let (&first, body) = message.split_first().ok_or(Status::INVALID_LENGTH)?;
        Ok((Self::try_from(first)?, body))
    }
}

impl TryFrom<u8> for Command {
    type Error = Status;

    fn try_from(byte: u8) -> Result<Self, Status> {
        Self::ALL.into_iter().find(|c| *c as u8 == byte).ok_or(Status::INVALID_COMMAND)
    }
}

/// A whole response: the status byte, and `body` behind it if the status is OK.
#[must_use]
pub fn respond(result: Result<Vec<u8>, Status>) -> Vec<u8> {
    match result {
        Ok(mut body) => {
            body.insert(0, Status::OK.0);
            body
        }
        Err(status) => vec![status.0],
    }
}

/// Splits a response into its status and what follows; the body only means something behind
/// [`Status::OK`].
///
/// # Errors
///
/// [`Error::Empty`] or [`Error::MessageTooLong`].
pub fn split_response(response: &[u8]) -> Result<(Status, &[u8]), Error> {
    if response.len() > MAX_MESSAGE {
        return Err(Error::MessageTooLong);
    }
    let (&first, body) = response.split_first().ok_or(Error::Empty)?;
    Ok((Status(first), body))
}
