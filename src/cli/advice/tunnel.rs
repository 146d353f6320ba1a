//! What to do about a tunnel that could not be opened or broke: the internet half.
//!
//! Depends on the errors of `channel`.

use crate::channel::proxy::Fault;
use crate::channel::{self, tls};
use crate::cli::failure::{Failure, Status};

/// Who could not use a tunnel: some answers of a tunnel service mean different things to the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Laptop,
    Phone,
}

/// A tunnel that could not be used.
pub(super) fn tunnel(
    error: &(dyn std::error::Error + 'static),
    why: &channel::Error,
    side: Side,
) -> Failure {
    use channel::Error as E;
    let hint = match why {
        E::Resolve { .. } => "check the internet connection and DNS; both devices need internet",
        E::Connect { .. } => "check that the tunnel service runs and that no firewall blocks it",
        E::Tls { source, .. } => certificate(source),
        E::Proxy { source, .. } => proxy(source),
        E::Trust(_) => "check the file of --ca, or install the package ca-certificates",
        E::Plain { .. } => "use a wss:// address, or a relay on this machine",
        E::Status { status: 404 | 410 } if side == Side::Laptop => {
            "the phone is not at this tunnel service (any more); show and scan a new code, and \
             check that both sides use the same --relay"
        }
        E::Status { status: 409 } if side == Side::Phone => {
            "this code was scanned already, perhaps by another phone; show and scan a new one"
        }
        E::Status { status: 429 | 503 } => "the tunnel service is busy; try again in a minute",
        E::Status { .. } | E::Upgrade | E::Subprotocol | E::RoutingId | E::Redirect(_) => {
            "check that the address is that of a tunnel service and not of a proxy or a login page"
        }
        E::TimedOut => {
            "check the internet connection; a firewall may swallow the packets; look closer with: \
             cabled doctor"
        }
        _ => "try again; if it stays, look at the tunnel service's log",
    };
    Failure::because(Status::Network, error, hint)
}

/// A tunnel that ended in the middle: whose fault that is, as far as it can be told.
pub(super) fn broken(
    error: &(dyn std::error::Error + 'static),
    why: &channel::Error,
    side: Side,
) -> Failure {
    use channel::Error as E;
    let (status, hint) = match (why, side) {
        (E::Closed { code: Some(1001) }, Side::Laptop) => (
            Status::NotHeard,
            "check the phone's internet connection, then show and scan a new code",
        ),
        (E::Closed { code: Some(1001) }, Side::Phone) => (
            Status::NotHeard,
            "check the laptop's internet connection, then show and scan a new code",
        ),
        (E::Closed { .. }, _) => (
            Status::Network,
            "show and scan a new code, and be quicker; if it stays, look at the tunnel service's \
             log",
        ),
        (E::Lost(_), _) => (
            Status::Network,
            "check the internet connection and that the tunnel service still runs, then show and \
             scan a new code",
        ),
        _ => (
            Status::Protocol,
            "show and scan a new code; if it stays, the tunnel service is to blame",
        ),
    };
    Failure::because(status, error, hint)
}

fn proxy(fault: &Fault) -> &'static str {
    match fault {
        Fault::Status(407) => {
            "put a user and a password that it takes into its URL, http://USER:PASSWORD@HOST:PORT; \
             only the scheme Basic is known here"
        }
        Fault::Status(401 | 403) => {
            "ask whoever runs the proxy to allow CONNECT to the tunnel service; the public ones are \
             cable.ua5v.com and cable.auth.com, port 443"
        }
        Fault::Status(502..=504) => {
            "check the tunnel service's address; the proxy looked for it and did not get through"
        }
        Fault::Status(_) | Fault::Answer => {
            "check that the address is that of an HTTP proxy, and that it allows CONNECT"
        }
        Fault::Unreachable(why) => match &**why {
            channel::Error::Tls { source, .. } => certificate(source),
            _ => "check the proxy's address and that it runs; --proxy none goes without one",
        },
    }
}

fn certificate(error: &tls::Error) -> &'static str {
    match error {
        tls::Error::UnknownAuthority(_) => {
            "name the authority of a private relay with --ca FILE; if the service is public, \
             somebody may be in between"
        }
        tls::Error::WrongTime(_) => "check this machine's clock, then the service's certificate",
        tls::Error::WrongName(_) => "use the host name that stands in the service's certificate",
        _ => "check the service's certificate and that it speaks TLS 1.2 or 1.3",
    }
}
