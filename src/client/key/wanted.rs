//! A request of a program for the phone, with what the phone is to see of it. Pure.
//!
//! Depends on `ctap` and on the service's words.

use crate::client::service::{About, Purpose};
use crate::ctap::{CredentialDescriptor, GetAssertionRequest, MakeCredentialRequest};

/// What is asked of the phone.
pub(super) enum Wanted {
    Make(Box<MakeCredentialRequest>),
    Sign(GetAssertionRequest),
}

impl Wanted {
    pub(super) fn about(&self) -> About {
        match self {
            Self::Make(request) => {
                let user = request.user.name.as_deref().unwrap_or_default();
                About::new(Purpose::Register, &request.rp.id, user)
            }
            Self::Sign(request) => About::new(Purpose::SignIn, &request.rp_id, ""),
        }
    }

    pub(super) fn rp_id(&self) -> &str {
        match self {
            Self::Make(request) => &request.rp.id,
            Self::Sign(request) => &request.rp_id,
        }
    }

    pub(super) fn list(&mut self) -> &mut Vec<CredentialDescriptor> {
        match self {
            Self::Make(request) => &mut request.exclude_list,
            Self::Sign(request) => &mut request.allow_list,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Make(request) => request.encode(),
            Self::Sign(request) => request.encode(),
        }
    }
}
