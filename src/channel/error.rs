//! What can go wrong with a channel, apart enough to tell a user which part to look at.
//!
//! Depends on the errors of TLS and proxies beside it.

use std::io;

use super::{MAX_MESSAGE_LEN, proxy, tls};

/// Why a channel could not be opened, or what ended it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host name has no address: no internet, or the wrong name.
    #[error("cannot find the address of {host}")]
    Resolve {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host took the connection: refused, unreachable, no route.
    #[error("cannot connect to {service}")]
    Connect {
        /// Host and port.
        service: String,
        /// The last address's answer.
        source: io::Error,
    },
    /// TLS failed: an unknown authority, the wrong name, an expired certificate, no common version.
    #[error("cannot establish TLS with {service}")]
    Tls {
        /// Host and port.
        service: String,
        /// Which of them.
        source: tls::Error,
    },
    /// The proxy on the way to the service cannot be reached, or refused.
    #[error("cannot get through the proxy {proxy}")]
    Proxy {
        /// The proxy, without user and password.
        proxy: String,
        /// Which of them.
        source: proxy::Fault,
    },
    /// The trusted certificates could not be loaded.
    #[error("cannot load the trusted certificates")]
    Trust(#[source] tls::Error),
    /// `ws://` was asked for and the host is not this machine.
    #[error("{service} is not this machine, and ws:// would reach it without encryption")]
    Plain {
        /// Host and port.
        service: String,
    },
    /// The service answered with an HTTP status other than 101: 404 unknown tunnel, 410 dead
    /// contact, 429 too many requests, 503 full, ...
    #[error("the tunnel service answered with HTTP status {status}")]
    Status {
        /// The number.
        status: u16,
    },
    /// The answer to the upgrade was not HTTP, too long, or broke WebSocket's rules.
    #[error("the tunnel service's answer is not a WebSocket upgrade")]
    Upgrade,
    /// The service did not agree to `fido.cable`.
    #[error("the tunnel service did not select the subprotocol fido.cable")]
    Subprotocol,
    /// The answer to the phone's request names no routing id, or a malformed one.
    #[error("the tunnel service named no valid routing id")]
    RoutingId,
    /// A redirect that must not be followed.
    #[error("the tunnel service's redirect was refused")]
    Redirect(#[source] RedirectFault),
    /// Address, connection, TLS and upgrade together took longer than allowed.
    #[error("the tunnel service did not answer in time")]
    TimedOut,
    /// The peer, or the relay for it, closed the channel. 1000 is a clean end, 1001 a vanished
    /// peer, 1008 a limit of the relay.
    #[error("the channel was closed by the other side{}", code_text(*.code))]
    Closed {
        /// The close code, if one was sent.
        code: Option<u16>,
    },
    /// The connection broke without a goodbye.
    #[error("the connection was lost")]
    Lost(#[source] io::Error),
    /// The peer sent text where only binary messages are allowed.
    #[error("the other side sent a text message")]
    Text,
    /// A message, to send or received, is longer than [`MAX_MESSAGE_LEN`].
    #[error("a message is longer than {MAX_MESSAGE_LEN} bytes")]
    TooLong,
    /// The first byte over Bluetooth begins no message in any known framing.
    #[error("the other side marks its messages in an unknown way")]
    Framing,
    /// The peer broke the channel's own framing rules.
    #[error("the other side broke the WebSocket protocol")]
    Protocol(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a redirect was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectFault {
    /// No `Location`, or one that is not a URL.
    #[error("it names no valid target")]
    Target,
    /// From `wss://` to something without encryption.
    #[error("its target is not encrypted")]
    Downgrade,
    /// More than five in a row.
    #[error("there are more than five in a row")]
    TooMany,
}

impl Error {
    /// Whether the peer ended the channel in order, of its own will.
    #[must_use]
    pub fn is_goodbye(&self) -> bool {
        matches!(self, Self::Closed { code: Some(1000) })
    }
}

fn code_text(code: Option<u16>) -> String {
    let meaning = match code {
        None => return String::new(),
        Some(1000) => ": goodbye",
        Some(1001) => ": the other device or the tunnel service is gone",
        Some(1008) => ": a limit of the tunnel service",
        Some(1009) => ": a message was too long for it",
        Some(_) => "",
    };
    format!(" (code {}{meaning})", code.unwrap_or_default())
}
