//! What the relay answers in place of 101, and the reason under which that is counted.

use super::page::Page;
use super::registry::Refusal;

/// An answer in place of 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// No HTTP/1.1, no upgrade, a bad key, or no subprotocol that is served here.
    BadRequest,
    /// A named proxy says for whom in a way that cannot be read.
    Forwarded,
    /// A path that no tunnel service has.
    NoPath,
    /// Nobody waits under that tunnel and routing id.
    NoTunnel,
    /// No phone listens under that contact id.
    NoListener,
    /// Not GET.
    Method,
    /// The tunnel id has its phone already.
    Occupied,
    /// The phone does not know the link with which it is rung.
    Gone,
    /// Another version of WebSocket.
    Version,
    /// Too many connections from the address.
    Crowd,
    /// Too many new tunnels a second from the address.
    Haste,
    /// The phone is rung too often, or has too much to do.
    Busy,
    /// Too long a head, or too many headers.
    Head,
    /// As many tunnels as the relay may have.
    Full,
    /// As many new tunnels a second as the relay may open.
    Rush,
    /// As many listeners as the relay may have.
    Listeners,
    /// The relay stops soon.
    Draining,
    /// The phone that listens does not answer.
    Silent,
    /// The node that holds the tunnel does not answer.
    Distant,
    /// Other nodes are out of reach.
    Apart,
    /// No refusal: a page was asked for.
    Page(Page),
}

impl Status {
    /// Every refusal, for the counters.
    pub(super) const REFUSALS: [Self; 20] = [
        Self::BadRequest,
        Self::Forwarded,
        Self::NoPath,
        Self::NoTunnel,
        Self::NoListener,
        Self::Method,
        Self::Occupied,
        Self::Gone,
        Self::Version,
        Self::Crowd,
        Self::Haste,
        Self::Busy,
        Self::Head,
        Self::Full,
        Self::Rush,
        Self::Listeners,
        Self::Draining,
        Self::Silent,
        Self::Distant,
        Self::Apart,
    ];

    /// The three digits.
    pub(super) fn code(self) -> &'static str {
        self.line().get(..3).unwrap_or_default()
    }

    /// Its name in the metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Forwarded => "forwarded",
            Self::NoPath => "path",
            Self::NoTunnel => "no_tunnel",
            Self::NoListener => "no_listener",
            Self::Method => "method",
            Self::Occupied => "occupied",
            Self::Gone => "no_link",
            Self::Version => "version",
            Self::Crowd => "connections_per_address",
            Self::Haste => "rate_per_address",
            Self::Busy => "phone_busy",
            Self::Head => "head",
            Self::Full => "tunnels",
            Self::Rush => "rate",
            Self::Listeners => "listeners",
            Self::Draining => "draining",
            Self::Silent => "phone_silent",
            Self::Distant => "node_silent",
            Self::Apart => "cluster",
            Self::Page(_) => "page",
        }
    }

    /// Status line and the headers that belong to it. A rate has room again after a second.
    fn line(self) -> &'static str {
        match self {
            Self::BadRequest | Self::Forwarded => "400 Bad Request",
            Self::NoPath | Self::NoTunnel | Self::NoListener => "404 Not Found",
            Self::Method => "405 Method Not Allowed\r\nAllow: GET",
            Self::Occupied => "409 Conflict",
            Self::Gone => "410 Gone",
            Self::Version => "426 Upgrade Required\r\nSec-WebSocket-Version: 13",
            Self::Crowd => "429 Too Many Requests\r\nRetry-After: 60",
            Self::Haste | Self::Busy => "429 Too Many Requests\r\nRetry-After: 1",
            Self::Head => "431 Request Header Fields Too Large",
            Self::Full | Self::Listeners | Self::Draining => {
                "503 Service Unavailable\r\nRetry-After: 60"
            }
            Self::Rush | Self::Apart => "503 Service Unavailable\r\nRetry-After: 1",
            Self::Silent | Self::Distant => "504 Gateway Timeout",
            Self::Page(_) => "200 OK",
        }
    }

    /// The whole response.
    pub(super) fn response(self) -> String {
        format!("HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", self.line())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownTunnel => Self::NoTunnel,
            Refusal::Occupied => Self::Occupied,
            Refusal::Full => Self::Full,
            Refusal::TooFast => Self::Rush,
            Refusal::Draining => Self::Draining,
        }
    }
}
