//! `cabled testbed run`: the bench around a program.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::look;
use super::report::{Camera, Report};
use crate::authenticator::Timestamp;
use crate::authenticator::service::Sources;
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::Ui;
use crate::cli::{advice, system};
use crate::testbed::control::{Control, Display};
use crate::testbed::{Bench, PhoneSetup, VirtualDisplay, seeded};

/// For the program to end once it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);
/// The phone that is there from the beginning.
const PHONE: &str = "phone";

/// Runs a program beside a fake Bluetooth, a tunnel service and a phone that a test script rules
///
/// The program finds in its environment: DBUS_SYSTEM_BUS_ADDRESS, DISPLAY (a virtual one if there is none),
/// CABLED_TESTBED_URL, CABLED_TESTBED_GRPC and CABLED_TESTBED_TOKEN for the control API, CABLED_CA,
/// CABLED_RELAY and CABLED_RADIO, and with --browser CABLED_BROWSER and CABLED_BROWSER_ARGUMENTS (a JSON list). See docs/testbed.md. The
/// exit status is the program's. Whatever ends, all of it ends, the program's own children included.
#[derive(Args, Clone, Debug)]
pub(super) struct Run {
    /// Tell the program how to start this browser, as an unmodified laptop of the bench
    #[arg(long, value_name = "NAME", value_parser = ["chromium"])]
    browser: Option<String>,
    /// Write what became of each ceremony as JUnit's XML, for continuous integration
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Put a picture of the display into this folder for each ceremony that does not end as its script says
    #[arg(long, value_name = "FOLDER")]
    screenshots: Option<PathBuf>,
    /// Make keys, nonces and certificates repeatable
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) async fn run(&self, ui: Ui) -> Result<ExitCode, Failure> {
        let interrupted = system::interrupted();
        let browser = self.browser()?;
        let display = self.display(ui).await?;
        let bench = Bench::start(self.sources()).await.map_err(|error| advice::testbed(&error))?;
        let made = bench.add_phone(PHONE, PhoneSetup::default()).await;
        made.map_err(|error| advice::testbed(&error))?;
        let bench = Arc::new(bench);
        let control = Control::bind(&mut system::random()).await.map_err(|error| {
            let hint = "check that this machine has a loopback network";
            Failure::because(Status::Network, &error, hint)
        })?;
        let mut command = self.command(&bench, &control, browser)?;
        let name = display.as_ref().map(|display| display.name().to_owned());
        command.envs(name.iter().map(|name| ("DISPLAY", name)));
        let (stop, stopped) = oneshot::channel::<()>();
        let display_on = look::on(name);
        let camera = self.camera(display_on.as_ref())?;
        let serving = tokio::spawn(control.serve(Arc::clone(&bench), display_on, async move {
            // A sender that ends without a word is an end too.
            let _either = stopped.await;
        }));
        let mut report = Report::new(ui, camera);
        let result = match Program::start(command) {
            Ok(program) => attend(program, &bench, &mut report, interrupted).await,
            Err(failure) => Err(failure),
        };
        bench.rest().await;
        report.rest(&bench);
        let _over = stop.send(());
        let _served = serving.await;
        // What was found is kept, whatever hinders the end.
        let written = self.junit.as_deref().map_or(Ok(()), |file| report.write(file));
        let ended = match Arc::into_inner(bench) {
            Some(bench) => bench.stop().await.map_err(|error| advice::testbed(&error)),
            None => Ok(()),
        };
        if let Some(display) = display {
            display.stop().await;
        }
        written?;
        let status = result?;
        ended?;
        Ok(status)
    }

    /// Where the browser is.
    fn browser(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(name) = &self.browser else { return Ok(None) };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name));
        match found.into_iter().find(|file| file.is_file()) {
            Some(file) => Ok(Some(file)),
            None => {
                let hint = format!("install it; on Debian: apt install {name}");
                Err(Failure::new(Status::Usage, format!("{name} was not found"), hint))
            }
        }
    }

    /// What takes pictures of what went wrong, if that is wanted and there is a display.
    fn camera(&self, display: Option<&Display>) -> Result<Option<Camera>, Failure> {
        let Some(folder) = &self.screenshots else { return Ok(None) };
        std::fs::create_dir_all(folder).map_err(|error| {
            let error = format!("cannot make {}: {error}", folder.display());
            Failure::new(
                Status::Storage,
                error,
                "name a folder that you may write for --screenshots",
            )
        })?;
        let camera = |display: &Display| Camera::new(folder.clone(), display.picture.clone());
        Ok(display.map(camera))
    }

    /// A virtual one if there is none; a program without a browser may do without.
    async fn display(&self, ui: Ui) -> Result<Option<VirtualDisplay>, Failure> {
        if std::env::var_os("DISPLAY").is_some_and(|name| !name.is_empty()) {
            return Ok(None);
        }
        match VirtualDisplay::start().await {
            Ok(display) => Ok(Some(display)),
            Err(error) if self.browser.is_some() => Err(advice::testbed(&error)),
            Err(error) => {
                ui.note(&format!(
                    "{error}; install xvfb for programs that show a code on a display"
                ));
                Ok(None)
            }
        }
    }

    fn sources(&self) -> Sources {
        let clock = Arc::new(|| Timestamp(system::unix_time()));
        match self.seed {
            Some(seed) => Sources { clock, rng: seeded(seed) },
            None => Sources { clock, rng: Arc::new(|| Box::new(system::random())) },
        }
    }

    fn command(
        &self,
        bench: &Bench,
        control: &Control,
        browser: Option<PathBuf>,
    ) -> Result<Command, Failure> {
        let [program, arguments @ ..] = &self.command[..] else {
            // The parser of the command line demands one.
            return Err(Failure::new(Status::Usage, "no program is named", "name one after --"));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bench.bus());
        command.env("CABLED_TESTBED_URL", control.url());
        command.env("CABLED_TESTBED_GRPC", control.grpc());
        command.env("CABLED_TESTBED_TOKEN", control.token());
        command.env("CABLED_CA", bench.authority());
        command.env("CABLED_RELAY", bench.relay());
        command.env("CABLED_RADIO", bench.air());
        // What is on this machine is not reached through a proxy.
        for name in ["NO_PROXY", "no_proxy"] {
            let others = std::env::var(name).unwrap_or_default();
            command.env(name, format!("{others},localhost,127.0.0.1").trim_start_matches(','));
        }
        if let Some(browser) = browser {
            command.env("CABLED_BROWSER", browser);
            command.env("CABLED_BROWSER_ARGUMENTS", json!(bench.browser_arguments()).to_string());
        }
        Ok(command)
    }
}

/// The program under test, which leads a process group of its own, so that its children end with it.
struct Program {
    child: Child,
    group: Option<Pid>,
}

impl Program {
    fn start(mut command: Command) -> Result<Self, Failure> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let child = command.process_group(0).kill_on_drop(true).spawn().map_err(|error| {
            let error = format!("cannot run {name}: {error}");
            Failure::new(Status::Usage, error, "name a program that is there, after --")
        })?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // None of them may be left.
            let _gone_already = kill_process_group(group, signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Until the program ends, by itself or because it is to; tells what became of each ceremony meanwhile.
async fn attend(
    mut program: Program,
    bench: &Bench,
    report: &mut Report,
    interrupted: impl Future<Output = ()>,
) -> Result<ExitCode, Failure> {
    let mut interrupted = std::pin::pin!(interrupted);
    let mut known = BTreeSet::new();
    loop {
        tokio::select! {
            ended = program.child.wait() => return ended.map(exit_code).map_err(|error| {
                Failure::because(Status::Failure, &error, "run it again")
            }),
            Some(ceremony) = bench.another_over(&known) => {
                known.insert(ceremony.id);
                report.tell(ceremony);
            }
            () = bench.bus_ended() => return Err(super::bus_ended()),
            () = &mut interrupted => break,
        }
    }
    program.signal(Signal::TERM);
    let _or_killed = timeout(PATIENCE, program.child.wait()).await;
    let hint = "nothing was left behind; run it again when you are ready";
    Err(Failure::new(Status::Interrupted, "cancelled", hint))
}

/// As a shell has it: 128 and the signal's number for a program that was killed.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
