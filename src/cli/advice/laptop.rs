//! What to do about what a registration or a sign-in ends with, on the laptop.

use super::{Failure, Status, client};
use crate::client::{ceremony, phones, receipts, service, webauthn};
use crate::ctap;

/// What ended a ceremony.
pub(crate) fn ceremony(error: &ceremony::Error) -> Failure {
    use ceremony::Error as E;
    let named = |offered: &[String]| format!("name one with --account: {}", offered.join(", "));
    match error {
        E::Transaction(why) => client(why),
        E::WebAuthn(why) => webauthn(why),
        E::Info(_) => {
            let hint = "try again; if it stays, the phone's software is to blame";
            Failure::new(Status::Protocol, error.to_string(), hint)
        }
        E::SeveralAccounts { offered } | E::NoSuchAccount { offered, .. } => {
            Failure::because(Status::Usage, error, named(offered))
        }
        E::TooLate(_) => {
            let hint = "ask the site for a new request and be quicker";
            Failure::because(Status::NotHeard, error, hint)
        }
    }
}

/// Why none was begun.
pub(crate) fn begin(error: &service::Error) -> Failure {
    let hint = match error {
        service::Error::Busy => "wait until one of them is over",
        service::Error::Stopping => "start it again with: cabled daemon",
        service::Error::NoSuchTransaction => "see: cabled watch",
    };
    Failure::because(Status::Failure, error, hint)
}

/// The receipts.
pub(crate) fn receipts(error: &receipts::Error) -> Failure {
    use receipts::Error as E;
    let (status, hint) = match error {
        E::InUse => (Status::Locked, "wait for the other program, or end it"),
        E::NewerSchema => (Status::Storage, "use the newer version of cabled that wrote them"),
        E::NoSuchReceipt => (Status::Usage, "see: cabled receipts list"),
        E::Damaged => (
            Status::Storage,
            "move the file away; passkeys are not lost, only what is known of them",
        ),
        _ => (Status::Storage, "check the disk and the folder that hold the file"),
    };
    Failure::because(status, error, hint)
}

/// WebAuthn, on the laptop.
pub(crate) fn webauthn(error: &webauthn::Error) -> Failure {
    use webauthn::Error as E;
    let (status, hint) = match error {
        E::Options(_) => (Status::Usage, "pass what the relying party's server sends, unchanged"),
        E::Origin(why) => (Status::Usage, origin(why)),
        E::Unsuitable(_) => (Status::Refused, "use another phone, or change the site's demands"),
        E::Refused(refusal) => (Status::Refused, refused(refusal.status)),
        E::Answer(_) => {
            (Status::Protocol, "try again; if it stays, the phone's software is to blame")
        }
    };
    Failure::because(status, error, hint)
}

fn origin(error: &webauthn::OriginError) -> &'static str {
    use webauthn::OriginError as E;
    match error {
        E::IpAddress(_) => "use the site's domain name, or localhost",
        E::NotADomain(_) => "write the bare domain, such as shop.example, without https:// or port",
        E::PublicSuffix(_) => "use a domain that belongs to the site alone",
        E::Unrelated { .. } => {
            "check both: a site may use its own domain and those above it, as RP ID"
        }
        _ => "name the web site with --origin https://SITE, as its address bar shows it",
    }
}

fn refused(status: ctap::Status) -> &'static str {
    match status {
        ctap::Status::CREDENTIAL_EXCLUDED => {
            "if the site does not list it, the passkey is an orphan: delete it on the phone, then \
             register again"
        }
        ctap::Status::NO_CREDENTIALS => "register a passkey first, or use the phone that has it",
        ctap::Status::OPERATION_DENIED => "approve the request on the phone if you started it",
        _ => "look at the phone, then run the command again",
    }
}

/// The linked phones.
pub(crate) fn phones(error: &phones::Error) -> Failure {
    use phones::Error as E;
    let (status, hint) = match error {
        E::NoSuchPhone(_) | E::NameTaken(_) => (Status::Usage, "see: cabled phones list"),
        E::NoName => (Status::Usage, "choose another name"),
        E::TooMany => (Status::Usage, "forget one with: cabled phones forget NAME"),
        E::Key(_) => (Status::Storage, crate::cli::daemon::PHONES_KEY),
        _ => (Status::Storage, "check that $XDG_STATE_HOME/cabled can be read and written"),
    };
    Failure::because(status, error, hint)
}
