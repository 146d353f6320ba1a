//! Errors of this layer.

use std::time::Duration;

/// Why a service of the desktop did not do its part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bus cannot be reached: no session, no D-Bus, or not for this user.
    #[error("the {0} D-Bus cannot be used")]
    NoBus(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody on the bus offers the service, and nobody can be started that does.
    #[error("the service {0} is not there")]
    NoService(&'static str),
    /// The service was there, and left the bus.
    #[error("the service {0} went away")]
    Vanished(&'static str),
    /// The service, or the bus, did not answer in time.
    #[error("{} did not answer within {} s", .0, .1.as_secs())]
    NoAnswer(&'static str, Duration),
    /// This user may not use the service.
    #[error("this user may not use {0}")]
    Denied(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Whoever offers the service is none of those who may.
    #[error("{service} is offered by user {uid}, who may not")]
    Impostor {
        /// The name on the bus.
        service: &'static str,
        /// The numeric user who runs it.
        uid: u32,
    },
    /// The service said no to a call.
    #[error("{0} refused")]
    Refused(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user closed the dialog of the service.
    #[error("{0} was not allowed by its user")]
    Dismissed(&'static str),
    /// The service keeps no secrets yet.
    #[error("there is no keyring to keep a secret in")]
    NoKeyring,
    /// The service answered in a way that it never should.
    #[error("{0} answered with what makes no sense")]
    Nonsense(&'static str),
    /// The service told more than anybody could look at.
    #[error("{0} sends more than can be looked at")]
    Flood(&'static str),
    /// There is no fingerprint reader.
    #[error("there is no fingerprint reader")]
    NoReader,
    /// The user has no finger enrolled.
    #[error("no finger of this user is enrolled")]
    NoFinger,
    /// Another program reads fingers now.
    #[error("another program uses the fingerprint reader")]
    Busy,
    /// The reader was unplugged, or failed.
    #[error("the fingerprint reader failed")]
    ReaderFailed,
    /// The picture of the screen is not where a portal puts it, or too large.
    #[error("the picture of the screen cannot be taken over")]
    Picture(#[source] std::io::Error),
}

impl Error {
    /// What an error of zbus means when it comes from a call to `service`.
    pub(super) fn of_call(service: &'static str, error: zbus::Error) -> Self {
        match name(&error) {
            "ServiceUnknown" | "NameHasNoOwner" => Self::NoService(service),
            "Disconnected" => Self::Vanished(service),
            "AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired" => {
                Self::Denied(service, Box::new(error))
            }
            _ => match error {
                zbus::Error::InputOutput(_) => Self::Vanished(service),
                zbus::Error::MethodError(..) => Self::Refused(service, Box::new(error)),
                _ => Self::Nonsense(service),
            },
        }
    }
}

/// What follows the last full stop in the name of an error that a call ended with.
pub(super) fn name(error: &zbus::Error) -> &str {
    match error {
        zbus::Error::MethodError(name, ..) => name.as_str().rsplit('.').next().unwrap_or_default(),
        _ => "",
    }
}
