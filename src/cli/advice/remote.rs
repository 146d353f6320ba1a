//! What to do about the radio of another machine, on either of the two.

use crate::ble;
use crate::cli::failure::{Failure, Status};

/// Where a shared radio cannot be used; `None` for what is wrong with others too.
pub(super) fn radio(error: &ble::Error) -> Option<&'static str> {
    use ble::Error as E;
    Some(match error {
        E::NobodyShares(_) => "run on the machine that has the radio: cabled radio share HOST",
        E::ShareSilent(_) => "see what cabled radio share says on the machine that has the radio",
        E::ShareFailed(_) => {
            "find out what is wrong on the machine that has the radio: cabled doctor"
        }
        E::SimulatedShare => {
            "share a real radio, or use a relay of your own: --relay; to test all the same: \
             --simulated-with-public"
        }
        E::SharedOnlyHears => "use a radio of this machine: --radio bluez",
        E::NoShareSocket => "set XDG_RUNTIME_DIR, or name the socket: --radio shared:SOCKET",
        E::ForeignShare(_) | E::Share { .. } => {
            "name a socket in a folder of your own: cabled radio receive --socket, --radio shared:SOCKET"
        }
        _ => return None,
    })
}

/// Two machines that do not share a radio.
pub(crate) fn remote(error: &ble::remote::Error) -> Failure {
    use ble::remote::Error as E;
    let (status, hint) = match error {
        E::NotPaired => (
            Status::Refused,
            "type the code of the other machine here: cabled radio pair --with-code; it shows one with: \
             cabled radio pair",
        ),
        E::Refused | E::WrongKey => (
            Status::Refused,
            "pair again: cabled radio unpair and cabled radio pair on the machine without a radio, then \
             cabled radio pair --with-code on the one with it",
        ),
        E::OtherVersion => (Status::Protocol, "use the same version of cabled on both machines"),
        E::NoHello | E::Closed => (
            Status::Network,
            "see what the command says, and whether cabled can be run there: ssh HOST cabled --version",
        ),
        E::Silent | E::Io(_) => (Status::Network, "look at the network between the machines"),
        _ => (Status::Protocol, "run the command again"),
    };
    Failure::because(status, error, hint)
}
