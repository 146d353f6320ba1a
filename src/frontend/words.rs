//! What whoever puts a laptop's service together says in the place of front ends.
//!
//! Depends on `client` only.

use crate::client::ceremony::Error;

/// What people are told about what ended a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What went wrong, with its causes, on one line.
    pub text: String,
    /// What to do next.
    pub hint: String,
    /// The exit status that a command would have, by name.
    pub status: &'static str,
}

/// Words and drawings.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// What to tell people about an error.
    pub advise: fn(&Error) -> Advice,
    /// A code as a picture, SVG; `None` for a text that no code can hold.
    pub draw: fn(&str) -> Option<String>,
}
