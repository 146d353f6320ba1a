//! What an owner may set about passkeys that are made and used: make, attestation, choice of accounts.

use clap::{Args, ValueEnum};

use crate::authenticator::Config;
use crate::authenticator::engine::{Attestation, SeveralAccounts};

/// What an owner may set.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Making {
    /// How a new passkey is attested: signed by itself; with a certificate that it makes itself, for programs
    /// such as pamu2fcfg that take nothing else; or not at all
    #[arg(long, value_name = "HOW", value_enum, default_value = "self")]
    attestation: Attested,
    /// State this make (AAGUID) and not that of cabled: one of your own, drawn at random once, for all
    /// phones that you make alike
    #[arg(long, value_name = "UUID", value_parser = aaguid)]
    aaguid: Option<Aaguid>,
    /// Where to choose among several accounts: here, or on the laptop, which then sees them all
    #[arg(long, value_name = "WHERE", value_enum, default_value = "phone")]
    choose: Choose,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Attested {
    #[value(name = "self")]
    Itself,
    Certificate,
    None,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Choose {
    Phone,
    Laptop,
}

/// A make that is not known to be another vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Aaguid([u8; 16]);

fn aaguid(text: &str) -> Result<Aaguid, String> {
    let parts: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.concat();
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16);
    let (true, Ok(number), [8, 4, 4, 4, 12]) = (hex, number, lengths.as_slice()) else {
        return Err("write it as 01234567-89ab-cdef-0123-456789abcdef".to_owned());
    };
    let bytes = number.to_be_bytes();
    let own = Config::default().with_aaguid(bytes);
    own.map(|_| Aaguid(bytes)).map_err(|error| format!("{error}; draw one of your own"))
}

impl Making {
    /// What is made unless something is said.
    pub(super) const USUAL: Self =
        Self { attestation: Attested::Itself, aaguid: None, choose: Choose::Phone };

    /// Whether nothing was said.
    pub(super) fn is_usual(self) -> bool {
        (self.attestation, self.aaguid, self.choose) == (Attested::Itself, None, Choose::Phone)
    }

    /// The authenticator's configuration.
    pub(super) fn config(self) -> Config {
        let config = Config::default();
        Config {
            aaguid: self.aaguid.map_or(config.aaguid, |Aaguid(bytes)| bytes),
            attestation: match self.attestation {
                Attested::Itself => Attestation::PackedSelf,
                Attested::Certificate => Attestation::PackedCertificate,
                Attested::None => Attestation::None,
            },
            several_accounts: match self.choose {
                Choose::Phone => SeveralAccounts::AskUser,
                Choose::Laptop => SeveralAccounts::AskClient,
            },
            ..config
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_are_uuids_and_nobody_elses() {
        let own = aaguid("01234567-89AB-cdef-0123-456789abcdef").unwrap();
        assert_eq!(own.0[..5], [0x01, 0x23, 0x45, 0x67, 0x89]);
        for text in [
            "",
            "0123456789abcdef0123456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdeg",
            "+1234567-89ab-cdef-0123-456789abcdef",
            "01234567-89ab-cdef-01234-56789abcdef",
        ] {
            assert!(aaguid(text).unwrap_err().contains("write it as"), "{text}");
        }
        let foreign = aaguid("de1e552d-db1d-4423-a619-566b625cdc84").unwrap_err();
        assert!(foreign.contains("another vendor") && foreign.contains("of your own"), "{foreign}");
    }

    #[test]
    fn nothing_said_is_the_usual_configuration() {
        assert!(Making::USUAL.is_usual());
        assert_eq!(Making::USUAL.config(), Config::default());
        let making = Making { aaguid: Some(Aaguid([1; 16])), ..Making::USUAL };
        assert!(!making.is_usual());
        assert_eq!(making.config().aaguid, [1; 16]);
    }
}
