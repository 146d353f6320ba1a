//! How a service refuses a call: a gRPC status, and the name of the cause in its metadata.
//!
//! Depends on tonic only.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Metadata: the name of the cause.
pub const CAUSE: &str = "cabled-cause";

/// The request itself makes no sense.
#[cfg(feature = "grpc")]
pub(super) fn bad_request(why: &str) -> Status {
    caused(Code::InvalidArgument, "bad-request", why)
}

/// A refusal whose cause machines can tell from others.
pub(crate) fn caused(code: Code, cause: &'static str, text: &str) -> Status {
    let mut status = Status::new(code, text);
    status.metadata_mut().insert(CAUSE, MetadataValue::from_static(cause));
    status
}
