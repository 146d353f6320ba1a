//! `cabled radio share`: runs a command that speaks for the other machine, and lends it the radio of this one.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::pin::{Pin, pin};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::WARNING;
use super::keys::Keys;
use crate::ble::remote::{self, Error, PairingKey, Shared};
use crate::ble::{Proximity, Radio, RadioSpec};
use crate::cli::failure::{Failure, Status};
use crate::cli::ui::Ui;
use crate::cli::{advice, system};
use crate::hybrid::PrivateKey;

/// Before the first attempt to reach the other machine again; each one after it waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the command may take to end once its standard input has.
const FAREWELL: Duration = Duration::from_secs(3);

/// Lends the radio of this machine to another one that is paired with it, until Ctrl-C
#[derive(Args, Clone, Debug)]
pub(super) struct Share {
    /// The other machine, as ssh knows it: what runs is ssh HOST cabled radio receive
    #[arg(value_name = "HOST", required_unless_present = "command", conflicts_with = "command")]
    host: Option<OsString>,
    /// A command of your own that runs "cabled radio receive" on the other machine
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// The radio of this machine to share: bluez[:hciN], or air:DIR for tests
    #[arg(long, value_name = "RADIO", default_value = "bluez", env = "CABLED_RADIO")]
    radio: RadioSpec,
}

/// How the command ended.
enum Ended {
    /// The user does not want to share any more.
    Interrupted,
    /// It came to this; whether the other machine had shown the key before.
    Broken(Error, bool),
}

impl Share {
    pub(super) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let mut interrupt = pin!(system::interrupted());
        let radio = self.radio()?;
        let keys = Keys::of_user()?.taken()?;
        if keys.is_empty() {
            let error = "this machine has not taken a pairing";
            let hint = "run cabled radio pair on the other machine, then here: cabled radio pair --with-code";
            return Err(Failure::new(Status::Usage, error, hint));
        }
        ui.note(WARNING);
        let (mut pause, mut before) = (FIRST_PAUSE, false);
        loop {
            let ended = self.once(ui, &radio, &keys, interrupt.as_mut()).await?;
            let Ended::Broken(error, paired) = ended else { return Ok(()) };
            before |= paired;
            // What never worked is not made to work by trying again.
            if error.is_refusal() || !before {
                return Err(advice::remote(&error));
            }
            if paired {
                pause = FIRST_PAUSE;
            }
            let words = format!("{error}; trying again in {} s.", pause.as_secs());
            ui.step("radio-lost", &words, json!({ "error": error.to_string() }));
            tokio::select! {
                biased;
                () = interrupt.as_mut() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn radio(&self) -> Result<Radio, Failure> {
        match &self.radio {
            // Where it is simulated, or whose it is, would be lost on the way.
            RadioSpec::Shared { .. } => {
                let error = "a radio that is shared with this machine cannot be shared on";
                let hint = "share from the machine that has it, or use --radio bluez";
                Err(Failure::new(Status::Usage, error, hint))
            }
            own => Radio::open(own).map_err(|error| advice::radio(&error)),
        }
    }

    /// Runs the command until it or the user ends it.
    async fn once(
        &self,
        ui: Ui,
        radio: &Radio,
        keys: &[PairingKey],
        interrupt: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<Ended, Failure> {
        let mut child = self.start()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Ok(Ended::Broken(Error::Closed, false));
        };
        let ephemeral = PrivateKey::generate(&mut system::random());
        let simulated = radio.proximity() == Proximity::Simulated;
        let mut paired = false;
        let told = |shared| {
            paired |= matches!(shared, Shared::Paired(_));
            tell(ui, &shared);
        };
        let sharing =
            remote::share((output, input), (radio, simulated), keys.to_vec(), ephemeral, told);
        let ended = tokio::select! {
            biased;
            () = interrupt => None,
            error = sharing => Some(error),
        };
        // Its standard input has ended; it is to end by itself, so that it leaves nothing behind.
        if timeout(FAREWELL, child.wait()).await.is_err() {
            let _ended_now = child.kill().await;
        }
        Ok(ended.map_or(Ended::Interrupted, |error| Ended::Broken(error, paired)))
    }

    fn start(&self) -> Result<Child, Failure> {
        let line = self.line();
        let Some((program, arguments)) = line.split_first() else {
            let hint = "name a host, or a command behind --";
            return Err(Failure::new(Status::Usage, "there is no command to run", hint));
        };
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        started.map_err(|error| {
            let error = format!("cannot run {}: {error}", program.display());
            Failure::new(Status::Usage, error, "name a command that can be run, or install ssh")
        })
    }

    /// What is run. The words after a host go through a shell there, and need no quotes.
    fn line(&self) -> Vec<&OsStr> {
        match &self.host {
            Some(host) => {
                let ssh = ["ssh", "-T", "--"].map(OsStr::new);
                let remote = ["cabled", "radio", "receive"].map(OsStr::new);
                [&ssh[..], &[host.as_os_str()], &remote].concat()
            }
            None => self.command.iter().map(OsString::as_os_str).collect(),
        }
    }
}

fn tell(ui: Ui, shared: &Shared) {
    match shared {
        Shared::Paired(id) => {
            let words = format!(
                "The other machine can use this radio now, paired as {id}. Ctrl-C ends it."
            );
            ui.step("radio-sharing", &words, json!({ "pairing": id.to_string() }));
        }
        Shared::Listening => ui.step("radio-listening", "The other machine listens.", json!({})),
        Shared::Idle => {
            ui.step("radio-idle", "The other machine has stopped to listen.", json!({}))
        }
        Shared::Failed(error) => {
            let Failure { error, hint, .. } = advice::radio(error);
            let words = format!("The other machine wants to listen, and cannot: {error}\n{hint}");
            ui.step("radio-failed", &words, json!({ "error": error, "hint": hint }));
        }
    }
}
