//! `Debug` of the messages that carry a secret: it shows none.
//!
//! Depends on the generated code only.

use std::fmt;

use super::v1::{
    ApproveRequest, ChangePinRequest, ExportRequest, PlanImportPart, SubmitQrRequest, UnlockRequest,
};

macro_rules! redacted {
    ($($message:ident)*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), "(redacted)"))
            }
        }
    )*};
}

redacted!(
    ApproveRequest ChangePinRequest ExportRequest PlanImportPart SubmitQrRequest UnlockRequest
);
