//! `cabled pam enroll`: a line of pam_u2f's mapping file, for logins with a passkey on a phone; `verify` is a login.

mod verify;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde_json::json;

use super::args::read_input;
use super::failure::{Failure, Status};
use super::formats::pam_u2f::{Mapping, is_user};
use super::ui::{Ui, event_line, print};
use super::way::Way;
use super::whole_file::Written;
use super::{conversation, enroll};
use crate::client::service::{About, Purpose};
use crate::ctap::NewKey;

/// Longest mapping file taken, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Logins of this machine with a passkey on a phone
#[derive(Args, Clone, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Enroll(Box<Enroll>),
    Verify(Box<verify::Verify>),
}

/// Makes a passkey on a phone, and the line about it that pam_u2f wants
#[derive(Args, Clone, Debug)]
struct Enroll {
    /// Who logs in with it [default: whoever runs this]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The origin, as in pam_u2f's options [default: pam://HOSTNAME]
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// Write pam_u2f that the phone has to verify who is there
    #[arg(long)]
    verify_required: bool,
    /// Add it to this mapping file, in place of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    way: Way,
}

impl Command {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        match &self.command {
            Sub::Enroll(enroll) => enroll.run(ui).await,
            Sub::Verify(verify) => verify.run(ui).await,
        }
    }
}

impl Enroll {
    async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let user = self.user.clone().or_else(enroll::login).unwrap_or_default();
        if !is_user(&user) {
            let error = format!("{user:?} is no name of a user");
            return Err(Failure::new(Status::Usage, error, "name one with --user"));
        }
        let origin = origin(self.origin.as_ref())?;
        if let Some(file) = &self.file {
            // Nobody is to answer a phone for a file that cannot be written.
            let _good = Old::read(file)?.written("")?;
        }
        let wanted = enroll::Wanted(NewKey {
            rp_id: &origin,
            user_id: enroll::nobody(),
            user_name: &user,
            resident: false,
            verification: self.verify_required,
        });
        let about = About::new(Purpose::Register, &origin, &user);
        let ask = |info: &_| Ok(wanted.message(info));
        let about = (about, conversation::PATIENCE);
        conversation::carry(ui, &self.way, about, ask, |reply| {
            let made = wanted.read(reply)?;
            let (handle, public) = (&made.id[..], made.public);
            let verification = self.verify_required;
            let mapping = Mapping { user: &user, handle, public, verification };
            if let Some(file) = &self.file {
                // Read again: others may have written while somebody looked for the phone.
                let old = Old::read(file)?;
                let all = mapping.added_to(&old.text);
                old.written(&all)?.replace().map_err(|error| unwritable(file, &error))?;
            }
            self.told(ui, &mapping, &origin)
        })
        .await
    }

    fn told(&self, ui: Ui, mapping: &Mapping<'_>, origin: &str) -> Result<(), Failure> {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        if ui.is_json() {
            let fields = json!({
                "mapping": mapping.line(),
                "rpId": origin,
                "account": mapping.user,
                "credentialId": URL_SAFE_NO_PAD.encode(mapping.handle),
                "file": file,
            });
            return print(&event_line("pam-mapping", fields).to_string());
        }
        match file {
            Some(file) => {
                let words = format!("{} can log in with the phone: see {file}.", mapping.user);
                ui.step("pam-mapping", &words, json!({}));
                Ok(())
            }
            None => print(&mapping.line()),
        }
    }
}

/// What passkeys are for, as in pam_u2f.
fn origin(named: Option<&String>) -> Result<String, Failure> {
    let usual = || format!("pam://{}", enroll::machine());
    let origin = named.cloned().unwrap_or_else(usual);
    if origin.is_empty() || !enroll::is_rp_id(&origin) {
        let error = format!("{origin:?} is no origin");
        let hint = "write it as in pam_u2f's options, such as --origin pam://machine";
        return Err(Failure::new(Status::Usage, error, hint));
    }
    Ok(origin)
}

/// A mapping file as it is.
struct Old {
    /// Where it really is: links to it stay links.
    place: PathBuf,
    text: String,
    metadata: Option<fs::Metadata>,
}

impl Old {
    fn read(file: &Path) -> Result<Self, Failure> {
        let place = match file.canonicalize() {
            Ok(place) => place,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if file.is_symlink() {
                    let error = format!("{} is a link to nothing", file.display());
                    let hint = "make the file that it leads to, or name another one with --file";
                    return Err(Failure::new(Status::Usage, error, hint));
                }
                let (place, text) = (file.to_owned(), String::new());
                return Ok(Self { place, text, metadata: None });
            }
            Err(error) => return Err(unwritable(file, &error)),
        };
        let metadata = place.metadata().map_err(|error| unwritable(file, &error))?;
        if !metadata.is_file() {
            let error = format!("{} is no file", file.display());
            return Err(Failure::new(Status::Usage, error, "name a file with --file"));
        }
        let text = String::from_utf8(read_input(&place, MAX_FILE)?).map_err(|_| {
            let error = format!("{} is no text", file.display());
            Failure::new(Status::Usage, error, "name the mapping file of pam_u2f")
        })?;
        Ok(Self { place, text, metadata: Some(metadata) })
    }

    /// The new text, complete on the disk; mode and owner stay.
    fn written(&self, text: &str) -> Result<Written, Failure> {
        let written = match &self.metadata {
            Some(metadata) => Written::like(metadata, &self.place, text),
            None => Written::new(&self.place, text, 0o600),
        };
        written.map_err(|error| unwritable(&self.place, &error))
    }
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    let error = format!("cannot write {}: {error}", file.display());
    let hint = "name a file of yours with --file; what the phone made is in: cabled receipts list";
    Failure::new(Status::Storage, error, hint)
}
