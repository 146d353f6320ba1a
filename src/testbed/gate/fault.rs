//! What may go wrong at the tunnel service of a test bed. Pure.

use std::time::Duration;

/// Who speaks at the tunnel service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The browser or program that shows the code.
    Laptop,
    /// The phone.
    Phone,
}

impl Side {
    /// Both, by the names that the control API has.
    pub const NAMES: [(&'static str, Self); 2] = [("laptop", Self::Laptop), ("phone", Self::Phone)];

    /// The name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Laptop => "laptop",
            Self::Phone => "phone",
        }
    }
}

/// One fault of the tunnel service in one ceremony.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Connections of this side are refused with an HTTP status.
    Refuse {
        /// Whose.
        side: Side,
        /// From 400 to 599, or a redirect.
        status: u16,
    },
    /// Something happens to a frame.
    Frame {
        /// Who sent it.
        from: Side,
        /// Counted from 1 in each direction: the first of each is the handshake.
        number: u32,
        /// What.
        harm: Harm,
    },
}

impl Fault {
    /// Whether a ceremony may come to a good end all the same.
    pub(in crate::testbed) fn is_mild(&self) -> bool {
        matches!(self, Self::Frame { harm: Harm::Delay(_), .. })
    }
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Harm {
    /// It is lost.
    Drop,
    /// It comes late, and so does what follows it.
    Delay(Duration),
    /// One of its bits is another.
    Corrupt,
    /// It is the last: both connections break after it, without a word.
    Close,
}
