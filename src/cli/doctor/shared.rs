//! Whether another machine shares its radio with this one, now. Judged by listening for a moment.

use std::time::Duration;

use super::finding::{Area, Finding, Severity};
use crate::ble::{Error, Proximity, Radio, RadioSpec, Scanner as _};
use crate::cli::failure::Failure;
use crate::cli::{advice, radio};

/// How long the other machine may take to begin to scan.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine(spec: &RadioSpec) -> Vec<Finding> {
    let seen = format!("proximity: {}", Proximity::Shared.name());
    let heard = match Radio::open(&radio::placed(spec)) {
        Ok(radio) => {
            let radio = radio.or_simulated(true);
            let scan = tokio::time::timeout(PATIENCE, radio.scan()).await;
            scan.unwrap_or(Err(Error::ShareSilent(PATIENCE))).map(drop)
        }
        Err(error) => Err(error),
    };
    let finding = match heard {
        Ok(()) => {
            let cause = "another machine shares its radio with this one: phones have to be near that one, and \
                         Bluetooth was not looked at here";
            Finding::note(Area::Bluetooth, cause)
        }
        Err(error) => {
            let Failure { error, hint, .. } = advice::radio(&error);
            Finding::new(Severity::Problem, Area::Bluetooth, error, hint)
        }
    };
    vec![finding.seen(seen)]
}
