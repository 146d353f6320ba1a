//! The relay's options for a certificate that it gets by itself.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::cli::failure::{Failure, Status};
use crate::relay::AcmeConfig;

/// Who gives the relay its certificate.
#[derive(Args, Clone, Debug)]
pub(super) struct Acme {
    /// A name for which the relay gets its certificate by itself, by ACME (Let's Encrypt); may be given again. In place
    /// of --tls-cert, and with --redirect-listen, to which port 80 of that name has to lead
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    acme_domain: Vec<String>,
    /// Agree to the terms of the ACME server
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    #[arg(
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    acme_agree_to_terms: bool,
    /// A mail address where the ACME server's people may write to
    #[arg(long, value_name = "MAIL")]
    acme_contact: Option<String>,
    /// Where account, certificate and their keys are kept: a folder of this relay alone
    #[arg(long, value_name = "FOLDER")]
    acme_folder: Option<PathBuf>,
    /// The directory of the ACME server
    #[arg(long, value_name = "URL", default_value = AcmeConfig::LETS_ENCRYPT)]
    acme_directory: String,
    /// The authority that vouches for the ACME server itself, PEM, in place of the system's
    #[arg(long, value_name = "FILE")]
    acme_tls_ca: Option<PathBuf>,
}

impl Acme {
    /// What the relay is told.
    pub(super) fn config(&self) -> Result<Option<AcmeConfig>, Failure> {
        let usage = |error: &str, hint: &str| Failure::new(Status::Usage, error, hint);
        if self.acme_domain.is_empty() {
            let others = self.acme_agree_to_terms
                || self.acme_contact.is_some()
                || self.acme_folder.is_some()
                || self.acme_tls_ca.is_some()
                || self.acme_directory != AcmeConfig::LETS_ENCRYPT;
            return match others {
                true => {
                    Err(usage("there are settings for ACME and no name", "give --acme-domain too"))
                }
                false => Ok(None),
            };
        }
        let Some(folder) = self.acme_folder.clone() else {
            let error = "there is no place for the certificate that ACME gives";
            return Err(usage(error, "give --acme-folder too"));
        };
        Ok(Some(AcmeConfig {
            domains: self.acme_domain.clone(),
            contact: self.acme_contact.clone(),
            folder,
            directory: self.acme_directory.clone(),
            authority: self.acme_tls_ca.clone(),
            terms_agreed: self.acme_agree_to_terms,
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn told(args: &[&str]) -> Result<Option<AcmeConfig>, Failure> {
        let command = Acme::augment_args(clap::Command::new("relay").no_binary_name(true));
        let matches = command.try_get_matches_from(args).unwrap();
        Acme::from_arg_matches(&matches).unwrap().config()
    }

    #[test]
    fn names_and_a_folder_are_enough() {
        let args =
            ["--acme-domain=a.example,b.example", "--acme-domain=c.example", "--acme-folder=f"];
        let config = AcmeConfig {
            domains: ["a.example", "b.example", "c.example"].map(str::to_owned).to_vec(),
            contact: None,
            folder: "f".into(),
            directory: AcmeConfig::LETS_ENCRYPT.to_owned(),
            authority: None,
            terms_agreed: false,
        };
        assert_eq!(told(&args).unwrap(), Some(config.clone()));
        let more = [
            "--acme-contact=m@a.example",
            "--acme-tls-ca=c",
            "--acme-directory=https://a.example/",
            "--acme-agree-to-terms",
        ];
        let config = AcmeConfig {
            contact: Some("m@a.example".to_owned()),
            authority: Some("c".into()),
            directory: "https://a.example/".to_owned(),
            terms_agreed: true,
            ..config
        };
        assert_eq!(told(&[&args[..], &more].concat()).unwrap(), Some(config));
        let unsaid = told(&[&args[..], &["--acme-agree-to-terms=false"]].concat()).unwrap();
        assert!(!unsaid.unwrap().terms_agreed);
    }

    #[test]
    fn what_belongs_together_is_asked_for() {
        assert_eq!(told(&[]).unwrap(), None);
        for args in [
            "--acme-domain=a.example",
            "--acme-folder=f",
            "--acme-contact=m@a.example",
            "--acme-tls-ca=c",
            "--acme-directory=https://a.example/",
            "--acme-agree-to-terms",
        ] {
            assert_eq!(told(&[args]).unwrap_err().status, Status::Usage, "{args}");
        }
    }
}
