//! `cabled phone export` and `cabled phone import`: moving house.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::keeper::Place;
use super::store::tell;
use super::unlock;
use super::view::{account, full_id};
use super::{blocking, interrupted_terminal};
use crate::authenticator::service::Planned;
use crate::authenticator::store::Error;
use crate::authenticator::store::exchange::{self, Lock, MAX_FILE, Opener, Skipped};
use crate::authenticator::{CredentialId, PasskeyView};
use crate::cli::failure::{Failure, Status};
use crate::cli::terminal::Terminal;
use crate::cli::ui::Ui;

/// Bytes of an identity file that are read at most.
const MAX_IDENTITY: u64 = 64 << 10;

/// Copies the passkeys into an encrypted file that other programs can read
#[derive(Args, Clone, Debug)]
pub(super) struct Export {
    /// The new file; one that is there is never overwritten
    file: PathBuf,
    /// Encrypt for this age key instead of a passphrase; may be given several times
    #[arg(long, value_name = "age1...")]
    recipient: Vec<String>,
}

/// Adds the passkeys of an encrypted file of the Credential Exchange Format, after asking
#[derive(Args, Clone, Debug)]
pub(super) struct Import {
    /// The file, encrypted with age
    file: PathBuf,
    /// Decrypt with the age key in this file instead of a passphrase
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

fn ids(ids: &[CredentialId]) -> Vec<String> {
    ids.iter().map(full_id).collect()
}

fn nobody() -> Failure {
    let error = "nobody can be asked: there is no terminal";
    Failure::new(Status::Usage, error, "run it in a terminal, or say --yes and name age keys")
}

async fn passphrase(
    terminal: Option<&Terminal>,
    prompt: &str,
) -> Result<Zeroizing<String>, Failure> {
    let typed = terminal.ok_or_else(nobody)?.hidden(prompt).await;
    let typed = typed.map_err(|error| interrupted_terminal(&error))?;
    typed.filter(|text| !text.is_empty()).ok_or_else(|| {
        Failure::new(Status::Usage, "no passphrase was given", "run it again and type one")
    })
}

impl Export {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let terminal = Terminal::open();
        if self.file.exists() {
            return Err(self.there());
        }
        let mut keeper = place.keeper(terminal.as_ref()).await?;
        let pin = keeper.proof(place.vault, terminal.as_ref()).await?;
        let lock = self.lock(terminal.as_ref()).await?;
        let copy = keeper.export(lock, pin).await?;
        let (file, sealed) = (self.file.clone(), copy.sealed);
        blocking(move || exchange::write_new(&file, &sealed)).await?.map_err(
            |error| match error {
                Error::AlreadyExists => self.there(),
                error => unlock::failed(&error),
            },
        )?;
        // Durable now: from here on it is true that copies exist.
        keeper.exported(copy.id).await?;
        let shown = self.file.display().to_string();
        let words = format!(
            "Copied {} to {shown}.{}{}",
            count(copy.passkeys.len()),
            aside(copy.bound.len(), "stayed: its site was told that it never leaves this phone"),
            aside(copy.without_large_blob.len(), "left behind what its site keeps in largeBlob"),
        );
        let fields = json!({
            "file": shown,
            "passkeys": ids(&copy.passkeys),
            "bound": ids(&copy.bound),
            "withoutLargeBlob": ids(&copy.without_large_blob),
        });
        tell(ui, "exported", &words, fields)
    }

    fn there(&self) -> Failure {
        let error = format!("there already is a file {}", self.file.display());
        Failure::new(Status::Storage, error, "name a new one; it is never overwritten")
    }

    async fn lock(&self, terminal: Option<&Terminal>) -> Result<Lock, Failure> {
        if !self.recipient.is_empty() {
            return Ok(Lock::Recipients(self.recipient.clone()));
        }
        let prompt = "Passphrase for the file; whoever knows it has your passkeys: ";
        let first = passphrase(terminal, prompt).await?;
        let again = passphrase(terminal, "The same again: ").await?;
        match *first == *again {
            true => Ok(Lock::Passphrase(first)),
            false => Err(Failure::new(Status::Usage, "these two differ", "run it again")),
        }
    }
}

fn count(passkeys: usize) -> String {
    match passkeys {
        1 => "1 passkey".to_owned(),
        count => format!("{count} passkeys"),
    }
}

fn aside(passkeys: usize, what: &str) -> String {
    match passkeys {
        0 => String::new(),
        some => format!("\n{} {what}.", count(some)),
    }
}

impl Import {
    pub(super) async fn run(&self, ui: Ui, place: Place<'_>) -> Result<(), Failure> {
        let terminal = Terminal::open();
        if !self.yes && terminal.is_none() {
            return Err(nobody());
        }
        let sealed = read(&self.file, MAX_FILE)?;
        let mut keeper = place.keeper(terminal.as_ref()).await?;
        let opener = self.opener(terminal.as_ref()).await?;
        let planned = keeper.plan_import(opener, sealed.to_vec()).await?;
        if let Some(terminal) = terminal.filter(|_| !self.yes && !planned.passkeys.is_empty()) {
            let question = format!("{}\nAdd {}?", summary(&planned), count(planned.passkeys.len()));
            let answer = terminal.confirm(&question).await;
            if !answer.map_err(|error| interrupted_terminal(&error))? {
                let hint = "answer y to import, or say --yes";
                return Err(Failure::new(Status::Refused, "nothing was imported", hint));
            }
        }
        keeper.import(planned.id).await?;
        let added = count(planned.passkeys.len());
        let words = format!("{}Added {added}.", skipped_lines(&planned));
        tell(ui, "imported", &words, fields(&planned))
    }

    async fn opener(&self, terminal: Option<&Terminal>) -> Result<Opener, Failure> {
        let Some(path) = &self.identity else {
            return Ok(Opener::Passphrase(passphrase(terminal, "Passphrase of the file: ").await?));
        };
        let bytes = read(path, MAX_IDENTITY)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            let error = format!("{} is no file of age keys", path.display());
            Failure::new(Status::Usage, error, "name one that age-keygen made")
        })?;
        Ok(Opener::Identities(Zeroizing::new(text.to_owned())))
    }
}

fn summary(plan: &Planned) -> String {
    let line = |passkey: &PasskeyView| {
        format!("  {} for {}\n", passkey.rp_id, account(&passkey.account()))
    };
    let adding: String = plan.passkeys.iter().map(line).collect();
    format!("To be added:\n{adding}{}", skipped_lines(plan))
}

fn skipped_lines(plan: &Planned) -> String {
    let line = |Skipped { title, why }: &Skipped| {
        let title = if title.is_empty() { "(no title)" } else { title };
        format!("Skipped {title}: {why}.\n")
    };
    plan.skipped.iter().map(line).collect()
}

fn fields(plan: &Planned) -> Value {
    let skipped = |Skipped { title, why }: &Skipped| json!({ "title": title, "reason": why.name(), "type": why.other_type() });
    json!({
        "passkeys": plan.passkeys.iter().map(|p| full_id(&p.id)).collect::<Vec<_>>(),
        "skipped": plan.skipped.iter().map(skipped).collect::<Vec<_>>(),
    })
}

/// A file of bounded size.
fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: &std::io::Error| {
        let error = format!("cannot read {}: {error}", path.display());
        Failure::new(Status::Storage, error, "name a file that you may read")
    };
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    match bytes.len() as u64 > most {
        true => {
            let error = format!("{} is too large", path.display());
            Err(Failure::new(Status::Storage, error, "export fewer passkeys at once"))
        }
        false => Ok(bytes),
    }
}
