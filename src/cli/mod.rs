//! The command line: parse, run one command, turn its end into two lines and an exit status.
//!
//! One file a command. Errors become advice in `advice` and nowhere else; talking to the user goes
//! through `ui`; clock, random source and signals are in `system`.

mod advice;
#[cfg(target_os = "linux")]
pub mod announce;
mod args;
mod bench;
#[cfg(target_os = "linux")]
mod browse;
#[cfg(any(feature = "camera", test))]
mod camera;
mod ceremony;
#[cfg(target_os = "linux")]
pub mod companion;
mod conversation;
mod daemon;
mod demo;
#[cfg(target_os = "linux")]
mod doctor;
mod enroll;
mod failure;
mod files;
mod formats;
pub mod image;
mod inspect;
mod laptop;
mod linked;
mod local;
mod page;
mod pam;
mod phone;
mod places;
mod plugged;
mod proxies;
pub mod qr;
mod radio;
mod receipts;
mod relay;
pub mod relying_party;
pub mod screen;
mod secret_file;
mod ssh;
mod system;
mod systemd;
mod terminal;
#[cfg(target_os = "linux")]
mod testbed;
mod ui;
mod usage;
mod watch;
mod way;
mod whole_file;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::Global;
use failure::{Failure, Status};
use ui::Ui;

/// Use the passkeys on your phone from this computer, over Bluetooth and the internet.
#[derive(Parser, Debug)]
#[command(name = "cabled", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 failure, 2 wrong use, 3 no radio, 4 other device not heard, 5 tunnel service not \
reachable, 6 refused on the phone, 7 protocol broken, 8 passkey store locked, 9 storage, 10 relying party \
refused, 130 interrupted.";

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::Demo),
    Register(laptop::Register),
    SignIn(laptop::SignIn),
    Daemon(daemon::Daemon),
    Watch(watch::Watch),
    Touch(watch::Touch),
    Page(page::Page),
    Radio(radio::Command),
    Receipts(receipts::Command),
    Phones(linked::Command),
    Ssh(ssh::Command),
    Pam(pam::Command),
    Phone(phone::Phone),
    Relay(relay::Relay),
    Bench(bench::Bench),
    Inspect(inspect::Inspect),
    #[cfg(target_os = "linux")]
    Doctor(doctor::Doctor),
    #[cfg(target_os = "linux")]
    Testbed(testbed::Testbed),
}

impl Command {
    /// The exit status is a program's own where a command runs one.
    async fn run(&self, ui: Ui) -> Result<ExitCode, Failure> {
        let done = match self {
            #[cfg(target_os = "linux")]
            Self::Testbed(command) => return command.run(ui).await,
            Self::Demo(command) => command.run(ui).await,
            Self::Relay(command) => command.run(ui).await,
            Self::Bench(command) => command.run(ui).await,
            Self::Register(command) => command.run(ui).await,
            Self::SignIn(command) => command.run(ui).await,
            Self::Daemon(command) => command.run(ui).await,
            Self::Watch(command) => command.run(ui).await,
            Self::Touch(command) => command.run(ui).await,
            Self::Page(command) => command.run(ui).await,
            Self::Radio(command) => command.run(ui).await,
            Self::Receipts(command) => command.run(ui).await,
            Self::Phones(command) => command.run(ui).await,
            Self::Ssh(command) => command.run(ui).await,
            Self::Pam(command) => command.run(ui).await,
            Self::Phone(command) => command.run(ui).await,
            Self::Inspect(command) => command.run(ui),
            #[cfg(target_os = "linux")]
            Self::Doctor(command) => command.run(ui).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// The definition of the command line, for what describes it: manual pages, completions of shells.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program with the process's arguments and gives its exit status.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let matches = relay::parse(&Cli::command(), &arguments, |name| std::env::var_os(name));
    let cli = match matches.and_then(|matches| Ok(Cli::from_arg_matches(&matches)?)) {
        Ok(cli) => cli,
        Err(relay::Fault::Usage(error)) => return usage::end(&error, &Cli::command()),
        Err(relay::Fault::Settings(failure)) => return usage::failed(&failure),
    };
    let ui = Ui::new(cli.global.json, cli.global.quiet);
    start_logging(&cli.global, ui);
    let result = runtime().and_then(|runtime| {
        let result = runtime.block_on(cli.command.run(ui));
        // A blocked read of standard input must not keep the program from ending.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(code) => code,
        Err(failure) => {
            ui.failed(&failure);
            ExitCode::from(failure.status as u8)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| {
        let hint = "raise the limits on processes and open files";
        Failure::because(Status::Failure, &error, hint)
    })
}

/// Logs of this program alone: other crates' may hold what is on the wire.
fn start_logging(global: &Global, ui: Ui) {
    let level = match global.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = Targets::new().with_target("cabled", level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = layer.with_ansi(ui.is_coloured());
    match global.json {
        true => registry.with(layer.json()).init(),
        false => registry.with(layer.with_target(false)).init(),
    }
}
