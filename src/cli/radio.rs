//! `cabled radio`: the radio of one machine for another one of the same person, such as one that is reached
//! over SSH.

mod keys;
mod pair;
mod receive;
mod share;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::places;
use super::ui::Ui;
use crate::ble::RadioSpec;

/// What sharing a radio does to the proximity check; both ends say it.
const WARNING: &str = "with a shared radio, Bluetooth proves that the phone is near the machine with the radio, \
                       not near the one that signs in; whoever controls your account there can have a phone \
                       that is near here answer for it";

/// The radio that is meant: a shared one without a socket has its usual place.
pub(super) fn placed(spec: &RadioSpec) -> RadioSpec {
    match spec {
        RadioSpec::Shared { socket: None } => RadioSpec::Shared {
            socket: places::runtime().map(|folder| folder.join(receive::SOCKET)),
        },
        named => named.clone(),
    }
}

/// Lends the Bluetooth of this machine to another one of yours, for codes that are shown over SSH
///
/// Pair once: "cabled radio pair" on the machine without a radio shows a code, "cabled radio pair
/// --with-code" on the one with the radio takes it. Then "cabled radio share HOST" on the one with the
/// radio, and "--radio shared" with the commands on the other one. This weakens the proximity check.
#[derive(Args, Clone, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Pair(pair::Pair),
    Unpair(pair::Unpair),
    Share(share::Share),
    Receive(receive::Receive),
}

impl Command {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        match &self.command {
            Sub::Pair(command) => command.run(ui).await,
            Sub::Unpair(command) => command.run(ui),
            Sub::Share(command) => command.run(ui).await,
            Sub::Receive(command) => command.run(ui).await,
        }
    }
}
