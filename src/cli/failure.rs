//! What a command ends with when it fails: one `error:` line, one `hint:` line, an exit status.
//!
//! The only place where errors become advice. Causes are joined by colons, so that the line names
//! the root: "cannot connect to wss://...: connection refused".

use std::error::Error;
use std::fmt::Write as _;

use serde_json::json;

/// Why a command ended; the number is its exit status, which scripts may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Anything that has no number of its own.
    Failure = 1,
    /// Wrong arguments, options, QR texts: nothing was begun.
    Usage = 2,
    /// The radio cannot be used.
    Radio = 3,
    /// The other device was not heard, or not any more.
    NotHeard = 4,
    /// The tunnel service cannot be used: this is the internet half.
    Network = 5,
    /// The user declined, or there is no suitable passkey.
    Refused = 6,
    /// The other device, or something between, broke the protocol.
    Protocol = 7,
    /// The passkey store is locked: wrong PIN, waiting time, or open elsewhere.
    Locked = 8,
    /// The passkey store or a file cannot be read or written.
    Storage = 9,
    /// A relying party did not accept the answer.
    Rejected = 10,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl Status {
    const ALL: [Self; 11] = [
        Self::Failure,
        Self::Usage,
        Self::Radio,
        Self::NotHeard,
        Self::Network,
        Self::Refused,
        Self::Protocol,
        Self::Locked,
        Self::Storage,
        Self::Rejected,
        Self::Interrupted,
    ];

    /// The status of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The name in `--json` output.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::Radio => "radio",
            Self::NotHeard => "not-heard",
            Self::Network => "network",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
            Self::Locked => "locked",
            Self::Storage => "storage",
            Self::Rejected => "rejected",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) error: String,
    pub(crate) hint: String,
}

impl Failure {
    /// A failure in words of its own.
    pub(crate) fn new(status: Status, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: hint.into() }
    }

    /// A failure that an error explains, with all its causes.
    pub(crate) fn because(status: Status, error: &dyn Error, hint: impl Into<String>) -> Self {
        Self::new(status, causes(error), hint)
    }

    /// The two lines for people.
    pub(crate) fn lines(&self) -> String {
        format!("error: {}\nhint: {}\n", self.error, self.hint)
    }

    /// The one line for machines.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "v": 1,
            "event": "failed",
            "status": self.status as u8,
            "cause": self.status.name(),
            "error": self.error,
            "hint": self.hint,
        })
    }
}

/// An error and its causes on one line. A cause that the text before it already ends with is left
/// out, because some errors repeat what they wrap.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            let _infallible = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner\nline")]
    struct Inner;

    #[test]
    fn a_failure_is_two_lines_and_names_the_root() {
        let failure = Failure::because(Status::Network, &Outer(Inner), "try again");
        assert_eq!(failure.lines(), "error: outer: inner line\nhint: try again\n");
        assert_eq!(failure.json()["status"], 5);
        assert_eq!(failure.json()["cause"], "network");
    }
}
