//! What to do when two devices do not come together over Bluetooth alone: the half without internet.
//!
//! Depends on the errors of the roles and of `channel`.

use super::tunnel::Side;
use crate::ble;
use crate::channel;
use crate::cli::failure::{Failure, Status};
use crate::client::Unreachable;

type Cause<'a> = &'a (dyn std::error::Error + 'static);

/// The laptop got no connection, and there is no tunnel or nothing came of that either.
pub(super) fn unreachable(error: Cause<'_>, why: &Unreachable, tunnel: bool) -> Failure {
    let hint = match (why, tunnel) {
        (Unreachable::NoHandshake, _) => {
            "scan a new code; if it stays, the phone may know the older draft alone: add \
             --l2cap-framing crlf"
        }
        (_, true) => {
            "hold the phone nearer and scan a new code, or connect both devices to the internet"
        }
        (_, false) => "keep the phone on and near, and scan a new code",
    };
    let status = if tunnel { Status::Network } else { Status::NotHeard };
    Failure::because(status, error, hint)
}

/// The phone's radio takes no connections, and the laptop wants nothing else.
pub(super) fn no_door(error: Cause<'_>, why: &ble::Error) -> Failure {
    let hint = match why {
        ble::Error::Link(_) | ble::Error::CannotLink | ble::Error::NoFreePort => {
            "let the laptop offer the tunnel too: this machine cannot take Bluetooth connections"
        }
        why => return super::radio(why),
    };
    Failure::because(Status::Radio, error, hint)
}

/// The phone has no tunnel, and nobody came over Bluetooth, or nobody could.
pub(super) fn nobody_came(error: Cause<'_>, could: bool) -> Failure {
    let hint = match could {
        true => {
            "check that the laptop still shows the code and is near, or connect both devices to the \
             internet"
        }
        false => "check the internet connection: this machine cannot do with Bluetooth alone",
    };
    Failure::because(Status::Network, error, hint)
}

/// A connection over Bluetooth that ended in the middle.
pub(super) fn broken(error: Cause<'_>, why: &channel::Error, side: Side) -> Failure {
    use channel::Error as E;
    let (status, hint) = match (why, side) {
        (E::Closed { .. } | E::Lost(_), Side::Laptop) => {
            (Status::NotHeard, "keep the phone on and near, then show and scan a new code")
        }
        (E::Closed { .. } | E::Lost(_), Side::Phone) => {
            (Status::NotHeard, "keep the laptop on and near, then show and scan a new code")
        }
        _ => (
            Status::Protocol,
            "show and scan a new code; if it stays, the other device's software is to blame",
        ),
    };
    Failure::because(status, error, hint)
}
