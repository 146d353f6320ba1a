//! Which passkeys a site takes. Depends on its errors.
//!
//! Both rules refuse what is already on the phone: a site sees what a passkey is only when it is
//! made. So each refusal leaves an orphan behind, and whoever refuses should say how to clear it.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use webauthn_rp::response::register::{self, Attestation, Metadata};

use super::RelyingPartyError;

/// The make of an authenticator, as it states it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aaguid(pub [u8; 16]);

impl From<register::Aaguid<'_>> for Aaguid {
    fn from(aaguid: register::Aaguid<'_>) -> Self {
        // Its length was checked when it was read.
        Self(aaguid.data().try_into().unwrap_or_default())
    }
}

/// As a UUID, which is how lists of makes write it.
impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aaguid({self})")
    }
}

impl FromStr for Aaguid {
    type Err = RelyingPartyError;

    /// Reads 32 hexadecimal digits, with or without the hyphens of a UUID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(RelyingPartyError::NoAaguid)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        match digits.len() {
            32 => bytes.try_into().map(Self).map_err(|_| RelyingPartyError::NoAaguid),
            _ => Err(RelyingPartyError::NoAaguid),
        }
    }
}

/// What a new passkey has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The makes that may register; `None`: all.
    pub makes: Option<Vec<Aaguid>>,
    /// Take only a passkey whose maker vouches for it with a certificate. Phones have none to give
    /// when they are used from another device.
    pub require_attestation: bool,
}

impl Policy {
    /// The library asks for none and has no other words; browsers pass on what is asked for.
    pub(super) fn ask_for_attestation(&self, options: &mut Value) {
        if let Some(options) = options.as_object_mut() {
            options.insert("attestation".to_owned(), "direct".into());
            options.remove("attestationFormats");
        }
    }

    pub(super) fn check(&self, metadata: &Metadata<'_>) -> Result<(), RelyingPartyError> {
        let aaguid = Aaguid::from(metadata.aaguid);
        if self.makes.as_ref().is_some_and(|makes| !makes.contains(&aaguid)) {
            return Err(RelyingPartyError::Make(aaguid));
        }
        // The library takes these two only; anything with a certificate it refuses itself.
        match metadata.attestation {
            Attestation::None | Attestation::Surrogate if self.require_attestation => {
                Err(RelyingPartyError::NotAttested)
            }
            Attestation::None | Attestation::Surrogate => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_are_written_as_uuids_and_read_in_both_forms() {
        let text = "e28d0da5-b259-490e-a254-38c2fb12b274";
        let aaguid: Aaguid = text.parse().unwrap();
        assert_eq!(aaguid.to_string(), text);
        assert_eq!(text.replace('-', "").to_uppercase().parse::<Aaguid>().unwrap(), aaguid);
        for wrong in ["", "e28d", &text[1..], &format!("{text}0"), &text.replace('e', "g")] {
            assert!(wrong.parse::<Aaguid>().is_err(), "{wrong}");
        }
    }
}
