//! Errors of the service as gRPC statuses: one function, each cause kept apart.
//!
//! Depends on `authenticator::service` and tonic only.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::authenticator::service::Error;
use crate::authenticator::store;

/// Metadata: the name of the cause.
pub const CAUSE: &str = "cabled-cause";
/// Metadata: tries before the first waiting time.
pub const TRIES_LEFT: &str = "cabled-tries-left";
/// Metadata: Unix time at which the next PIN is taken.
pub const UNTIL: &str = "cabled-until";

/// What a client gets for an error.
pub(super) fn status(error: &Error) -> Status {
    use store::Error as S;
    let (code, cause) = match error {
        Error::Locked => (Code::FailedPrecondition, "locked"),
        Error::Busy => (Code::ResourceExhausted, "busy"),
        Error::CodeTooOld { .. } => (Code::FailedPrecondition, "code-too-old"),
        Error::NoCode(_) => (Code::InvalidArgument, "bad-request"),
        Error::NoSuchQuestion => (Code::NotFound, "no-such-question"),
        Error::NoSuchAccount { .. } => (Code::InvalidArgument, "no-such-account"),
        Error::NoSuchTransaction => (Code::NotFound, "no-such-transaction"),
        Error::NotVerified { .. } => (Code::PermissionDenied, "not-verified"),
        Error::Stopping => (Code::Unavailable, "stopping"),
        Error::Store(S::WrongPin { .. }) => (Code::PermissionDenied, "wrong-pin"),
        Error::Store(S::LockedOut { .. }) => (Code::PermissionDenied, "locked-out"),
        Error::Store(S::NoSuchPasskey) => (Code::NotFound, "no-such-passkey"),
        Error::Store(S::TooLarge) => (Code::InvalidArgument, "too-large"),
        Error::Store(S::DiskFull(_)) => (Code::ResourceExhausted, "storage"),
        Error::Store(_) | Error::SimulatedRadio => (Code::Internal, "storage"),
    };
    let mut status = caused(code, cause, &error.to_string());
    match error {
        Error::Store(S::WrongPin { tries_left }) => {
            status.metadata_mut().insert(TRIES_LEFT, MetadataValue::from(*tries_left));
        }
        Error::Store(S::LockedOut { until }) => {
            status.metadata_mut().insert(UNTIL, MetadataValue::from(until.0));
        }
        _ => {}
    }
    status
}

/// The request itself makes no sense.
pub(super) fn bad_request(why: &str) -> Status {
    caused(Code::InvalidArgument, "bad-request", why)
}

fn caused(code: Code, cause: &'static str, text: &str) -> Status {
    let mut status = Status::new(code, text);
    status.metadata_mut().insert(CAUSE, MetadataValue::from_static(cause));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::Timestamp;

    #[test]
    fn causes_and_figures_are_kept_apart_from_the_words() {
        let wrong = status(&Error::Store(store::Error::WrongPin { tries_left: 3 }));
        assert_eq!(wrong.code(), Code::PermissionDenied);
        assert_eq!(wrong.metadata().get(CAUSE).unwrap(), "wrong-pin");
        assert_eq!(wrong.metadata().get(TRIES_LEFT).unwrap(), "3");
        let out = status(&Error::Store(store::Error::LockedOut { until: Timestamp(99) }));
        assert_eq!(out.metadata().get(CAUSE).unwrap(), "locked-out");
        assert_eq!(out.metadata().get(UNTIL).unwrap(), "99");
        assert_eq!(status(&Error::Locked).code(), Code::FailedPrecondition);
    }
}
