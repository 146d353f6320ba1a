//! `cabled doctor`: looks at all that a ceremony needs, and says what is wrong and what to do.
//!
//! ```text
//!  bluetooth (facts ──> judge) ──┐
//!  virtual_key, sandbox ─────────┼──> finding ──> print, and an exit status
//!  network (service, clock) ─────┘
//! ```
//!
//! What is seen is gathered first and judged after that, so that the judgement is pure. Nothing is
//! changed on the machine; a tunnel is opened and closed at each service.

mod bluetooth;
mod clock;
mod finding;
mod network;
mod print;
mod sandbox;
mod service;
mod shared;
mod virtual_key;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use self::finding::{Area, Finding};
use self::print::Report;
use super::args::Network;
use super::failure::Failure;
use super::ui::Ui;
use crate::ble::RadioSpec;

/// Finds out why passkeys cannot be used here, and what to do about it
///
/// Looks at Bluetooth, the tunnel services and the way to them, and the clock, and changes nothing.
/// The exit status is that of the first problem: 3 for D-Bus and Bluetooth, 5 for proxy,
/// certificates and tunnel services, 1 for the clock; 0 if there are only notes and warnings.
#[derive(Args, Clone, Debug)]
pub(crate) struct Doctor {
    /// The radio that is meant, such as bluez:hci1 or shared; air:DIR leaves Bluetooth out
    #[arg(long, value_name = "RADIO", default_value = "bluez", env = "CABLED_RADIO")]
    radio: RadioSpec,
    #[command(flatten)]
    network: Network,
    /// Ask no tunnel service
    #[arg(long)]
    offline: bool,
}

impl Doctor {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        ui.step("checking", "Looking around. This may take some seconds.", json!({}));
        let mut report = Report::new(ui);
        let here = async { report.add(self.machine().await) };
        let (here, network) = tokio::join!(here, network::examine(&self.network, self.offline));
        here?;
        report.add(network)?;
        finding::verdict(&report.end()?)
    }

    /// What can be seen without the internet.
    async fn machine(&self) -> Vec<Finding> {
        let mut findings = match &self.radio {
            RadioSpec::Bluez { adapter } => {
                bluetooth::judge(&bluetooth::gather(adapter.clone()).await)
            }
            RadioSpec::Air { .. } => {
                let cause = "Bluetooth was not looked at: the radio is a simulated one";
                vec![Finding::note(Area::Bluetooth, cause).seen("--radio air:DIR")]
            }
            RadioSpec::Shared { .. } => shared::examine(&self.radio).await,
        };
        findings.push(virtual_key::examine(Path::new("/dev/uhid")));
        findings.extend(sandbox::examine(Path::new("/"), &home()));
        findings
    }
}

/// Where this user's own flatpaks are looked for.
fn home() -> PathBuf {
    std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default()
}
