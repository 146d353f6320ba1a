//! What the conformance suite finds. Depends on this layer's error only.

use crate::ble::Error;

/// A rule that was broken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The radio failed where it must not.
    #[error("{rule}: the radio failed")]
    Failed {
        /// The rule that was tried.
        rule: &'static str,
        /// What the radio said.
        #[source]
        source: Error,
    },
    /// An advert on the air was not heard in time.
    #[error("{rule}: an advert on the air was not heard in time")]
    Unheard {
        /// The rule that was tried.
        rule: &'static str,
    },
    /// A connection, or what was sent over it, did not come in time.
    #[error("{rule}: nothing came in time")]
    Late {
        /// The rule that was tried.
        rule: &'static str,
    },
    /// Everything came, but not as the rule says.
    #[error("broken: {rule}")]
    Broken {
        /// The rule that was tried.
        rule: &'static str,
    },
    /// An advert was heard after it had ended and another one had begun.
    #[error("{rule}: an advert was heard after its end")]
    Undead {
        /// The rule that was tried.
        rule: &'static str,
    },
    /// Data that cannot fit was not refused with [`Error::TooLong`].
    #[error("{rule}: {len} bytes were not refused")]
    Accepted {
        /// The rule that was tried.
        rule: &'static str,
        /// Bytes of service data.
        len: usize,
    },
}
