//! What the mixed load may find wrong.

use std::io;

use crate::cli::failure::{Failure, Status, causes};

#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection broke")]
    Lost(#[from] io::Error),
    #[error("nothing came within the deadline")]
    Late,
    #[error("the relay answered {came} where {due} was due")]
    Answer { due: &'static str, came: String },
    #[error("message {due} of a tunnel was lost: number {came} came in its place")]
    Missing { due: u32, came: u32 },
    #[error("message {came} of a tunnel came again, or late: number {due} was due")]
    Twice { due: u32, came: u32 },
    #[error("message {due} of a tunnel was altered")]
    Altered { due: u32 },
    #[error("{due} messages were sent whole before a tunnel was cut, and {came} arrived")]
    Short { due: u32, came: u32 },
    #[error("the relay closed with code {came} where {due} was due")]
    Code { due: u16, came: u16 },
    #[error("the relay closed a tunnel that nobody had cut, with code {0}")]
    Closed(u16),
    #[error("the relay sent a frame that nobody asked for (first byte {0:#04x})")]
    Frame(u8),
    #[error("the relay's metrics are not what was provoked: {0}")]
    Count(String),
    #[error("{place}")]
    At { place: String, source: Box<Fault> },
    #[error("memory grew from {first} to {last} bytes")]
    Grew { first: u64, last: u64 },
}

impl Fault {
    /// The same, with where it happened.
    pub(super) fn at(self, place: impl std::fmt::Debug) -> Self {
        Self::At { place: format!("{place:?}"), source: Box::new(self) }
    }

    /// The end of the run.
    pub(super) fn failure(&self, seed: u64) -> Failure {
        let root = match self {
            Self::At { source, .. } => source,
            other => other,
        };
        let (status, hint) = match root {
            Self::Lost(_) | Self::Late => {
                (Status::Network, "look at the relay's log; if it is only slow, raise --deadline")
            }
            Self::Grew { .. } => (Status::Failure, "run it again for longer"),
            _ => (
                Status::Protocol,
                "if nobody else uses that relay, this is a defect of it; tell its makers",
            ),
        };
        Failure::new(status, format!("{} (--seed {seed})", causes(self)), hint)
    }
}
