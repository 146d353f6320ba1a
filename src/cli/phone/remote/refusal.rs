//! What to do when the service refuses, or when there is none.
//!
//! Depends on the front end's client alone.

use tonic::{Code, Status as Refusal};

use crate::authenticator::Timestamp;
use crate::cli::failure::{Failure, Status};
pub(in crate::cli::phone) use crate::cli::local::cause;
use crate::cli::phone::date;
use crate::cli::{local, system};
use crate::frontend::grpc::{SocketError, UNTIL};

/// The service's refusal, with an exit status by its cause.
pub(in crate::cli::phone) fn refused(refusal: &Refusal) -> Failure {
    let (status, hint) = match cause(refusal) {
        Some("locked-out") => (Status::Locked, until(refusal)),
        Some(cause) => of_cause(cause),
        None => match refusal.code() {
            Code::Unavailable => {
                (Status::Failure, "start it again with: cabled phone run".to_owned())
            }
            Code::Cancelled | Code::DeadlineExceeded => {
                (Status::Failure, "it did not answer in time; look at what it does".to_owned())
            }
            _ => of_cause(""),
        },
    };
    Failure::new(status, refusal.message(), hint)
}

/// The exit status and the next step for a cause that the service names.
pub(in crate::cli::phone) fn of_cause(cause: &str) -> (Status, String) {
    let (status, hint) = match cause {
        "locked" => (Status::Locked, "cabled phone unlock"),
        "wrong-pin" => (Status::Locked, "try again; nothing is lost by wrong PINs"),
        "no-such-question" | "no-such-transaction" | "no-such-account" => {
            (Status::Usage, "see: cabled phone pending")
        }
        "no-such-link" => (Status::Usage, "see: cabled phone links list"),
        "no-such-passkey" => (Status::Usage, "see: cabled phone passkeys list"),
        "too-large" => (Status::Refused, "use a shorter name"),
        "no-such-move" => (Status::Refused, "run the command again, one at a time"),
        "already-there" => (Status::Refused, "run it again; nothing was changed"),
        "no-age-key" => {
            (Status::Usage, "a recipient begins with age1, an identity with AGE-SECRET-KEY-1")
        }
        "wrong-age-key" => (Status::Refused, "try another passphrase, or --identity FILE"),
        "too-much-work" => (Status::Refused, "encrypt the file again with age itself"),
        "no-age-file" => (Status::Storage, "check the file; nothing was changed"),
        "no-document" => (Status::Storage, "export it again from the other program"),
        "busy" => (Status::Failure, "wait until one of them is over"),
        "code-too-old" => (Status::NotHeard, "show a new code on the laptop"),
        "no-code" => (Status::Usage, "pass what the code says, from FIDO:/ on"),
        "bad-request" => (Status::Usage, "check what was passed"),
        "stopping" => (Status::Failure, "start it again with: cabled phone run"),
        "storage" => (Status::Storage, "see what the service itself tells, with -v"),
        _ => (Status::Failure, "see what the service itself tells, with -v"),
    };
    (status, hint.to_owned())
}

fn until(refusal: &Refusal) -> String {
    let until = refusal.metadata().get(UNTIL).and_then(|until| until.to_str().ok()?.parse().ok());
    let Some(until) = until else { return "wait a while; nothing is lost".to_owned() };
    let left = u64::saturating_sub(until, system::unix_time());
    let (left, at) = (date::span(left), date::iso(Timestamp(until)));
    format!("try again in {left}, at {at}; nothing is lost")
}

/// There is no service, or no socket for one.
pub(in crate::cli::phone) fn failed(error: &SocketError) -> Failure {
    local::failed(error, "cabled phone run")
}
