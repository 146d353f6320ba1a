//! Errors of the service as gRPC statuses: one function, each cause kept apart.
//!
//! Depends on `authenticator::service` and tonic only.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::authenticator::service::Error;
use crate::authenticator::store;
use crate::authenticator::store::exchange::OpenError;
pub(super) use crate::frontend::refusal::bad_request;
use crate::frontend::refusal::caused;

/// Metadata: tries before the first waiting time.
pub const TRIES_LEFT: &str = "cabled-tries-left";
/// Metadata: Unix time at which the next PIN is taken.
pub const UNTIL: &str = "cabled-until";

/// What a client gets for an error.
pub(super) fn status(error: &Error) -> Status {
    use store::Error as S;
    let code = match error {
        Error::Locked | Error::CodeTooOld { .. } => Code::FailedPrecondition,
        Error::Busy | Error::Store(S::DiskFull(_)) => Code::ResourceExhausted,
        Error::NoSuchQuestion | Error::NoSuchTransaction | Error::NoSuchMove => Code::NotFound,
        Error::NoSuchLink | Error::Store(S::NoSuchPasskey) => Code::NotFound,
        Error::NotVerified { .. } | Error::Envelope(OpenError::WrongKey) => Code::PermissionDenied,
        Error::Store(S::WrongPin { .. } | S::LockedOut { .. }) => Code::PermissionDenied,
        Error::Stopping => Code::Unavailable,
        Error::Store(S::AlreadyExists) => Code::AlreadyExists,
        Error::Envelope(OpenError::Failed(_)) | Error::SimulatedRadio => Code::Internal,
        Error::NoCode(_) | Error::NoSuchAccount { .. } | Error::Store(S::TooLarge) => {
            Code::InvalidArgument
        }
        Error::NoDocument | Error::Envelope(_) => Code::InvalidArgument,
        Error::Store(_) => Code::Internal,
    };
    let mut status = caused(code, error.cause(), &error.to_string());
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

/// Somebody else is at it.
pub(super) fn busy(why: &str) -> Status {
    caused(Code::ResourceExhausted, "busy", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::Timestamp;
    use crate::frontend::refusal::CAUSE;

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
