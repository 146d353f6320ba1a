//! `cabled testbed`: test tools for the suites of others.

mod look;
mod report;
mod run;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::failure::{Failure, Status};
use super::ui::{Ui, event_line, print};
use super::{advice, system};
use crate::ble::{Radio, RadioSpec};
use crate::testbed::{FakeBluez, PrivateBus};

/// Gives test suites what a test machine does not have
#[derive(Args, Clone, Debug)]
pub(crate) struct Testbed {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Run(run::Run),
    Bluez(Bluez),
}

/// Runs a fake BlueZ on a D-Bus of its own: Bluetooth without hardware
///
/// The first line printed is the bus's address. Programs that use Bluetooth, such as Chromium, find the
/// fake when DBUS_SYSTEM_BUS_ADDRESS is set to it; cabled meets them with --radio air:DIR. Needs
/// dbus-daemon. Ends, and leaves nothing behind, on Ctrl-C or SIGTERM.
#[derive(Args, Clone, Debug)]
struct Bluez {
    /// The simulated radio that the adapters are on: air:DIR
    #[arg(long, value_name = "RADIO", env = "CABLED_RADIO")]
    radio: RadioSpec,
    /// An adapter to have; may stand several times
    #[arg(long = "adapter", value_name = "NAME", default_value = "hci0")]
    adapters: Vec<String>,
    /// Have no adapter at all
    #[arg(long, conflicts_with_all = ["adapters", "off"])]
    no_adapter: bool,
    /// Begin with the adapters switched off; programs may switch them on
    #[arg(long)]
    off: bool,
}

impl Testbed {
    pub(crate) async fn run(&self, ui: Ui) -> Result<ExitCode, Failure> {
        match &self.command {
            Sub::Run(run) => run.run(ui).await,
            Sub::Bluez(bluez) => bluez.run(ui).await.map(|()| ExitCode::SUCCESS),
        }
    }
}

impl Bluez {
    async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let interrupted = system::interrupted();
        let radio = self.radio()?;
        let bus = PrivateBus::start().await.map_err(|error| advice::testbed(&error))?;
        let fake = self.start(&bus, radio).await.map_err(|error| advice::testbed(&error))?;
        let address = bus.address();
        match ui.is_json() {
            true => print(&event_line("listening", json!({ "url": address })).to_string())?,
            false => print(&format!("listening on {address}"))?,
        }
        tokio::select! {
            () = interrupted => {}
            () = fake.ended() => return Err(bus_ended()),
        }
        drop(fake);
        bus.stop().await.map_err(|error| advice::testbed(&error))?;
        ui.step("stopped", "Stopped.", json!({}));
        Ok(())
    }

    /// Anything else than a simulated radio would put the test on the real air.
    fn radio(&self) -> Result<Radio, Failure> {
        if !self.radio.is_simulated() {
            let error = "a fake Bluetooth needs a simulated radio";
            return Err(Failure::new(Status::Usage, error, "use --radio air:DIR"));
        }
        Radio::open(&self.radio).map_err(|error| advice::radio(&error))
    }

    async fn start(
        &self,
        bus: &PrivateBus,
        radio: Radio,
    ) -> Result<FakeBluez, crate::testbed::Error> {
        let adapters: Vec<&str> = match self.no_adapter {
            true => Vec::new(),
            false => self.adapters.iter().map(String::as_str).collect(),
        };
        let fake = FakeBluez::start(bus.address(), radio, &adapters).await?;
        for adapter in adapters.iter().filter(|_| self.off) {
            fake.set_powered(adapter, false).await?;
        }
        Ok(fake)
    }
}

fn bus_ended() -> Failure {
    let hint = "start it again; something has ended dbus-daemon";
    Failure::new(Status::Failure, "the private bus is gone", hint)
}
