//! What ends a tunnel or a listener, and which close code each side is told.
//!
//! Depends on the WebSocket crate for codes and errors.

use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// What ended it. The one whose doing it was is "the sender", the other "the peer".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The sender said goodbye.
    Goodbye,
    /// The sender's connection broke.
    Dropped,
    /// The sender sent text.
    Text,
    /// The sender's message is too long.
    TooLong,
    /// The sender sent more messages or bytes than a tunnel may carry.
    Quota,
    /// The sender broke the WebSocket protocol.
    Protocol,
    /// The sender sent what had to be UTF-8 and is not: text, or the reason of a goodbye.
    Encoding,
    /// Nobody joined in time, or the tunnel's life is over.
    Expired,
    /// The relay stops.
    Stopping,
    /// The one client came and went before it was joined.
    Abandoned,
    /// A phone that wants to listen did not prove that the contact id is its own.
    Unproven,
    /// The phone listens on another connection.
    Replaced,
}

impl Cause {
    /// What ends a listener, for the counters.
    pub(super) const OF_LISTENERS: [Self; 11] = [
        Self::Goodbye,
        Self::Dropped,
        Self::Text,
        Self::TooLong,
        Self::Quota,
        Self::Protocol,
        Self::Encoding,
        Self::Expired,
        Self::Stopping,
        Self::Unproven,
        Self::Replaced,
    ];

    /// What ends a tunnel, for the counters.
    pub(super) const OF_TUNNELS: [Self; 10] = [
        Self::Goodbye,
        Self::Dropped,
        Self::Text,
        Self::TooLong,
        Self::Quota,
        Self::Protocol,
        Self::Encoding,
        Self::Expired,
        Self::Stopping,
        Self::Abandoned,
    ];

    /// Its name in the metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Dropped => "dropped",
            Self::Text => "text",
            Self::TooLong => "too_long",
            Self::Quota => "quota",
            Self::Protocol => "protocol",
            Self::Encoding => "encoding",
            Self::Expired => "expired",
            Self::Stopping => "stopping",
            Self::Abandoned => "abandoned",
            Self::Unproven => "unproven",
            Self::Replaced => "replaced",
        }
    }

    /// Close code and reason for the sender; none if it is gone or has its answer already.
    pub(super) fn to_sender(self) -> Option<(CloseCode, &'static str)> {
        match self {
            Self::Goodbye | Self::Dropped => None,
            Self::Text => Some((CloseCode::Unsupported, "only binary messages are carried")),
            Self::TooLong => Some((CloseCode::Size, "the message is too long")),
            Self::Quota => Some((CloseCode::Policy, "too many messages or bytes")),
            Self::Protocol => Some((CloseCode::Protocol, "")),
            Self::Encoding => Some((CloseCode::Invalid, "not UTF-8")),
            Self::Expired => Some((CloseCode::Policy, "the tunnel's time is over")),
            Self::Stopping => Some((CloseCode::Away, "the relay stops")),
            Self::Abandoned => Some((CloseCode::Away, "the other side is gone")),
            Self::Unproven => Some((CloseCode::Policy, "the contact id is not proven")),
            Self::Replaced => Some((CloseCode::Policy, "another connection listens")),
        }
    }

    /// Close code and reason for the peer.
    pub(super) fn to_peer(self) -> (CloseCode, &'static str) {
        match self {
            Self::Goodbye => (CloseCode::Normal, ""),
            Self::Dropped | Self::Abandoned | Self::Unproven | Self::Replaced => {
                (CloseCode::Away, "the other side is gone")
            }
            Self::Text | Self::TooLong | Self::Protocol | Self::Encoding => {
                (CloseCode::Policy, "the other side broke the rules")
            }
            Self::Quota => (CloseCode::Policy, "the other side sent too much"),
            Self::Expired => (CloseCode::Policy, "the tunnel's time is over"),
            Self::Stopping => (CloseCode::Away, "the relay stops"),
        }
    }

    pub(super) fn of_error(error: &WsError) -> Self {
        match error {
            WsError::Capacity(_) => Self::TooLong,
            WsError::Utf8(_) => Self::Encoding,
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) | WsError::Io(_) => {
                Self::Dropped
            }
            WsError::ConnectionClosed | WsError::AlreadyClosed => Self::Goodbye,
            _ => Self::Protocol,
        }
    }
}
