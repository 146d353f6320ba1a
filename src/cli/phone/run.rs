//! `cabled phone run`: serves the passkeys to programs on this machine until it is stopped.

use clap::Args;
use serde_json::json;

use super::consent::{LastSite, Owner, Way, somebody_decides};
use super::unlock::Vault;
use super::{Reporter, or_interrupted};
use crate::authenticator::key::{self, Progress};
use crate::authenticator::{Config, Engine, Outcome, Store, Timestamp};
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::cli::{advice, system};
use crate::uhid::{self, Uhid};

/// The name under which programs list the key.
const NAME: &str = "cabled virtual FIDO2 key";

/// Serves the passkeys to programs on this machine, until Ctrl-C
#[derive(Args, Clone, Debug)]
pub(super) struct Run {
    /// Be a security key on this machine: browsers, ssh and others use it as if it were plugged in
    #[arg(long, required = true)]
    uhid: bool,
    /// Agree to everything without asking; for tests and machines that nobody sits at
    #[arg(long)]
    auto_approve: bool,
}

impl Run {
    pub(super) async fn run(&self, ui: Ui, vault: &Vault) -> Result<(), Failure> {
        let reporter = Reporter(ui);
        let mut interrupt = std::pin::pin!(system::interrupted());
        let mut engine = or_interrupted(interrupt.as_mut(), self.prepare(reporter, vault)).await?;
        let device = Uhid::create(NAME).map_err(|error| no_device(&error))?;
        let words = "This machine has a security key now. Stop it with Ctrl-C.";
        reporter.step("key-ready", words, json!({ "name": NAME }));
        let clock = || Timestamp(system::unix_time());
        let rng = &mut system::random();
        let tell = |progress: Progress<'_>| tell(reporter, &progress);
        let served = key::serve(device, &mut engine, interrupt, clock, rng, tell).await;
        served.map_err(|error| no_device(&error))
    }

    async fn prepare(
        &self,
        reporter: Reporter,
        vault: &Vault,
    ) -> Result<Engine<Store, Owner>, Failure> {
        let terminal = Terminal::open();
        somebody_decides(self.auto_approve, terminal.is_some(), vault.pin_file.is_some())?;
        let unlocked = vault.open_or_create(reporter, terminal.as_ref()).await?;
        let way = Way::of(self.auto_approve, terminal, &unlocked);
        let (site, asker) = (LastSite::default(), "A program on this machine");
        let owner = Owner { reporter, site, way, asker };
        Ok(Engine::new(unlocked.store, owner, Config::default()))
    }
}

fn tell(reporter: Reporter, progress: &Progress<'_>) {
    let step = |event, words: &str| reporter.step(event, words, json!({}));
    match *progress {
        Progress::Answered(Outcome::Saved { .. }) => step("key-saved", "Saved a passkey."),
        Progress::Answered(Outcome::SignedIn { .. } | Outcome::Offered { .. }) => {
            step("key-signed-in", "Signed in.");
        }
        Progress::Answered(Outcome::Refused(status)) => {
            let words = format!("Refused: {status}.");
            reporter.step("key-refused", &words, json!({ "status": status.name() }));
        }
        Progress::Answered(Outcome::StoreFailed(error)) | Progress::NotNoted(error) => {
            let failure = advice::store(error);
            reporter.note(&format!("The store failed: {}; {}.", failure.error, failure.hint));
        }
        Progress::Withdrawn => step("key-withdrawn", "The program does not wait any more."),
        Progress::Wink => step("key-wink", "A program asks which key this is: it is this one."),
        _ => {}
    }
}

fn no_device(error: &uhid::Error) -> Failure {
    use uhid::Error as E;
    let (status, hint) = match error {
        E::NoModule(_) => (Status::Failure, "load it as root: modprobe uhid"),
        E::NotAllowed(_) => {
            (Status::Failure, "let your user make keys with packaging/udev/70-cabled-uhid.rules")
        }
        _ => (Status::Failure, "run it again with -v"),
    };
    Failure::because(status, error, hint)
}
