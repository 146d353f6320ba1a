//! `cabled bench`: how fast and how small a tunnel service is, ours or another.

mod load;
mod mixed;
mod process;
mod report;
mod wire;

use std::time::Duration;

use clap::{Args, Subcommand};
use rand_core::RngCore as _;

use self::load::Load;
use self::mixed::Mixed;
use self::process::Server;
use super::args::Network;
use super::failure::{Failure, Status};
use super::system;
use super::ui::{Ui, print};
use crate::hybrid::tunnel::ServiceUrl;

/// Measures a tunnel service
#[derive(Args, Clone, Debug)]
pub(crate) struct Bench {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Relay(Box<Relay>),
}

/// Opens tunnels at a relay, lets messages go round in them, and checks that all arrive, whole and in order
///
/// The relay has to allow it: for one of ours raise --tunnels, --connections, --tunnel-rate,
/// --tunnel-rate-per-address, --per-address, --messages and --bytes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Relay {
    /// The relay, such as ws://127.0.0.1:4433
    url: ServiceUrl,
    /// Tunnels, each of two connections
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tunnels: u32,
    /// How many of them carry messages; the others are idle
    #[arg(long, value_name = "N", default_value_t = 10)]
    active: u32,
    /// Messages in each direction of an active tunnel
    #[arg(long, value_name = "N", default_value_t = 100)]
    messages: u32,
    /// Length of a message
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(8..=(1 << 20)))]
    size: u32,
    /// Messages that are sent in one go before their answers are read
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    window: u32,
    /// Of the active tunnels so many have a laptop that reads one message every 10 ms only
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow: u32,
    /// Tunnels that are set up at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// Tunnels that are begun a second, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Connect from so many addresses, from 127.0.0.1 on: one has some 28,000 ports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=250))]
    sources: Option<u8>,
    /// A mixed load for so long in place of the measurement, at a relay of ours on this machine without TLS: --tunnels
    /// live, with messages of 1 byte to --size in both directions, beside connections that are cut at any point, floods and
    /// frames that are none. Compares /metrics with what it provoked; memory has to be flat from 300 seconds on
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with_all = ["active", "window", "rate", "sources"])]
    mixed: Option<u64>,
    /// Repeats the trouble of the mixed load that told this number
    #[arg(long, value_name = "N", requires = "mixed")]
    seed: Option<u64>,
    /// The relay's process, on this machine: its memory and CPU time are measured
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// How long a set-up, a message or a goodbye may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    deadline: u64,
    #[command(flatten)]
    network: Network,
}

/// Connections of floods, troublemakers, and what else is open.
const MIXED_FILES: u64 = 1024;

impl Bench {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let Sub::Relay(relay) = &self.command;
        relay.run(ui).await
    }
}

impl Relay {
    async fn run(&self, ui: Ui) -> Result<(), Failure> {
        if let Some(seconds) = self.mixed {
            return self.mix(seconds, ui).await;
        }
        process::allow_files(u64::from(self.tunnels) * 2 + 64)?;
        let server = self.pid.map(Server::of).transpose()?;
        let deadline = Duration::from_secs(self.deadline);
        let connector = self.network.connector(self.network.proxies()?.proxies);
        let load = Load {
            connector: connector.with_deadline(deadline),
            url: self.url.clone(),
            tunnels: self.tunnels,
            active: self.active.min(self.tunnels),
            messages: self.messages,
            size: self.size as usize,
            window: self.window.min(self.messages.max(1)),
            slow: self.slow.min(self.active),
            concurrency: self.concurrency as usize,
            rate: self.rate,
            sources: self.sources,
            deadline,
        };
        let report = interruptible(load.run(server, ui)).await?;
        print(&match ui.is_json() {
            true => report.json().to_string(),
            false => report.text(),
        })
    }

    async fn mix(&self, seconds: u64, ui: Ui) -> Result<(), Failure> {
        process::allow_files(u64::from(self.tunnels) * 2 + MIXED_FILES)?;
        let mixed = Mixed {
            url: self.url.clone(),
            lasts: Duration::from_secs(seconds),
            seed: self.seed.unwrap_or_else(|| system::random().next_u32().into()),
            tunnels: self.tunnels,
            slow: self.slow.min(self.tunnels),
            messages: self.messages,
            longest: self.size as usize,
            deadline: Duration::from_secs(self.deadline),
        };
        let server = self.pid.map(Server::of).transpose()?;
        let report = interruptible(mixed.run(server, ui)).await?;
        print(&match ui.is_json() {
            true => report.json().to_string(),
            false => report.text(),
        })
    }
}

/// The run, unless somebody ends it before.
async fn interruptible<T>(run: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let interrupted = system::interrupted();
    tokio::select! {
        report = run => report,
        () = interrupted => Err(Failure::new(Status::Interrupted, "interrupted", "run it again")),
    }
}
