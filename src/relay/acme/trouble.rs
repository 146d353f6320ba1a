//! Why there is no new certificate, and what to do about it.

use std::error::Error as StdError;
use std::io;

use instant_acme::Problem;
use rustls::CertificateError;

use super::wire::Obstacle;
use crate::printable::printable_within;
use crate::relay::tls::TlsError;

/// How much of what a server says is repeated.
const LONGEST: usize = 300;
/// What the kinds of problems begin with (RFC 8555, 6.7).
const KIND: &str = "urn:ietf:params:acme:error:";

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The server cannot be asked.
    #[error("the ACME server cannot be asked: {0}")]
    Unreachable(#[source] Obstacle),
    /// What answers is no ACME server.
    #[error("the ACME server's answer cannot be understood")]
    NoAcme(#[source] instant_acme::Error),
    /// It says no.
    #[error("the ACME server refuses: {}", said(.0))]
    Refused(#[source] Problem),
    /// It looked for the proof and did not find it.
    #[error("the ACME server has no proof that {domain} is this relay's: {}", said(.problem))]
    Unproven {
        domain: String,
        #[source]
        problem: Problem,
    },
    /// It cannot be proven in the one way that there is here.
    #[error("the ACME server takes no proof over HTTP for {domain}")]
    NoChallenge { domain: String },
    /// It gave up, and does not say why.
    #[error("the ACME server gave the order up without a reason")]
    GivenUp,
    /// It takes too long.
    #[error("the ACME server was not done within 5 minutes")]
    Slow,
    /// What it gave is no certificate for these names that is valid now.
    #[error("what the ACME server gave is not a certificate for these names that is valid now")]
    Useless,
    /// Files cannot be read or written.
    #[error("what is kept in the folder for ACME cannot be used: {0}")]
    Folder(#[source] io::Error),
    /// The account is of another server, or broken.
    #[error("the account in the folder for ACME cannot be used with this server")]
    Account,
    /// The authorities for TLS cannot be read any more.
    #[error("the authority of the ACME server cannot be read")]
    Authority(#[source] TlsError),
}

impl From<instant_acme::Error> for Trouble {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Api(problem) => Self::Refused(problem),
            instant_acme::Error::Other(cause) => match cause.downcast::<Obstacle>() {
                Ok(obstacle) => Self::Unreachable(*obstacle),
                Err(cause) => Self::NoAcme(instant_acme::Error::Other(cause)),
            },
            other => Self::NoAcme(other),
        }
    }
}

impl Trouble {
    /// Whether the server does not know the account any more.
    pub(super) fn is_of_a_lost_account(&self) -> bool {
        matches!(self, Self::Refused(problem) if kind(problem) == "accountDoesNotExist")
    }

    /// What lies behind it, where that is not said already.
    pub(super) fn cause(&self) -> Option<String> {
        let cause = match self {
            Self::Unreachable(obstacle) => obstacle.source(),
            Self::NoAcme(_) | Self::Authority(_) => self.source(),
            _ => None,
        };
        cause.map(|cause| printable_within(&cause.to_string(), LONGEST))
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(obstacle) => of_the_way(obstacle),
            Self::NoAcme(_) => "check that --acme-directory is the URL of a directory",
            Self::Refused(problem) | Self::Unproven { problem, .. } => hint(problem),
            Self::NoChallenge { .. } => {
                "choose another server with --acme-directory, or use --tls-cert"
            }
            Self::GivenUp | Self::Slow => {
                "nothing is to be done as long as this does not happen again"
            }
            Self::Useless => "check --acme-directory, and the clock of this machine",
            Self::Folder(_) => "check --acme-folder, and who may write there",
            Self::Account => "remove account.json there, and another account is made",
            Self::Authority(_) => "check the file of --acme-tls-ca",
        }
    }
}

fn kind(problem: &Problem) -> &str {
    problem.r#type.as_deref().and_then(|kind| kind.strip_prefix(KIND)).unwrap_or_default()
}

/// What the server says, as it can be shown: its kind, and its words.
fn said(problem: &Problem) -> String {
    let words = problem.detail.as_deref().unwrap_or_default();
    let words = match problem.subproblems.first().and_then(|first| first.detail.as_deref()) {
        Some(first) => format!("{words}: {first}"),
        None => words.to_owned(),
    };
    printable_within(&format!("{words} ({})", kind(problem)), LONGEST)
}

fn of_the_way(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Name(_) => "check --acme-directory, and this machine's DNS",
        Obstacle::Tls(error) if is_unknown(error) => {
            "no authority that is believed vouches for it: name the one that does with --acme-tls-ca"
        }
        Obstacle::Tls(_) => "check --acme-directory, --acme-tls-ca and the clock of this machine",
        Obstacle::NotHttps | Obstacle::Http(_) => "check --acme-directory",
        Obstacle::Away(_) | Obstacle::Body(_) | Obstacle::Slow => {
            "check --acme-directory, and whether this machine may connect to it"
        }
    }
}

fn is_unknown(error: &io::Error) -> bool {
    let fault = error.get_ref().and_then(|cause| (cause as &dyn StdError).downcast_ref());
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    fault.is_some_and(|fault: &rustls::Error| *fault == unknown)
}

fn hint(problem: &Problem) -> &'static str {
    match kind(problem) {
        "rateLimited" => {
            "it was asked too often: wait; to try things out name its staging server with --acme-directory"
        }
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "it gives no certificate for such a name: check --acme-domain"
        }
        "invalidContact" | "unsupportedContact" => "check --acme-contact",
        "userActionRequired" => {
            "its terms have changed: read them, and agree to them where it says"
        }
        "externalAccountRequired" => {
            "it wants an account that is bound to a customer, which this program has not: choose another server with \
             --acme-directory, or use --tls-cert"
        }
        "accountDoesNotExist" => {
            "it does not know the account any more: with the next try another is made"
        }
        _ => of_a_proof(problem),
    }
}

fn of_a_proof(problem: &Problem) -> &'static str {
    match kind(problem) {
        "connection" => {
            "it cannot connect: port 80 of that name's address has to lead to --redirect-listen"
        }
        "dns" => "it finds no address: check the DNS records (A and AAAA) of that name",
        "unauthorized" | "incorrectResponse" | "malformed" => {
            "something else answers at port 80 of that name: check its DNS records (A and AAAA), and that port 80 leads \
             to --redirect-listen"
        }
        "caa" => {
            "a CAA record of that name names other authorities only: change it, or choose one of them with \
             --acme-directory"
        }
        _ => "nothing is to be done here unless what it says names something",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> Problem {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_a_server_says_is_shown_without_disguise_and_cut() {
        let long = "x".repeat(9999);
        let odd = format!(
            r#"{{"type": "urn:ietf:params:acme:error:caa", "detail": "no\u001b[2J", "subproblems":
               [{{"detail": "{long}"}}]}}"#
        );
        let text = Trouble::Refused(problem(&odd)).to_string();
        assert!(text.starts_with("the ACME server refuses: no\u{fffd}[2J: xxx"), "{text}");
        assert!(text.chars().count() < LONGEST + 40);
        let silent = Trouble::Refused(problem("{}"));
        assert_eq!(silent.to_string(), "the ACME server refuses:  ()");
        assert!(!silent.hint().is_empty());
    }

    #[test]
    fn each_kind_names_what_to_look_at() {
        for (kind, word) in [
            ("connection", "--redirect-listen"),
            ("dns", "A and AAAA"),
            ("unauthorized", "something else answers"),
            ("caa", "CAA"),
            ("rateLimited", "wait"),
            ("rejectedIdentifier", "--acme-domain"),
            ("invalidContact", "--acme-contact"),
            ("userActionRequired", "terms"),
            ("externalAccountRequired", "--tls-cert"),
            ("accountDoesNotExist", "another is made"),
        ] {
            let problem = problem(&format!(r#"{{"type": "{KIND}{kind}", "detail": "no"}}"#));
            let trouble = Trouble::from(instant_acme::Error::Api(problem));
            assert!(trouble.hint().contains(word), "{kind}: {}", trouble.hint());
            assert_eq!(trouble.is_of_a_lost_account(), kind == "accountDoesNotExist");
        }
    }
}
