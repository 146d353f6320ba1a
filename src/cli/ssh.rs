//! `cabled ssh keygen`: a key pair of OpenSSH whose private half is on a phone.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use rand_core::RngCore as _;
use serde_json::json;

use super::failure::{Failure, Status};
use super::formats::openssh::{APPLICATION, KeyPair, Needs};
use super::ui::{Ui, event_line, print};
use super::way::Way;
use super::whole_file::Written;
use super::{conversation, enroll, system};
use crate::client::service::{About, Purpose};
use crate::ctap::NewKey;

/// The name of the account, as OpenSSH gives it.
const ACCOUNT: &str = "openssh";
/// The account's handle of resident keys, as OpenSSH gives it and finds them by.
const RESIDENT_ACCOUNT: [u8; 32] = [0; 32];

/// Keys for ssh that are on a phone
#[derive(Args, Clone, Debug)]
pub(crate) struct Command {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Clone, Debug)]
enum Sub {
    Keygen(Box<Keygen>),
}

/// Makes a key pair (ecdsa-sk): a passkey on a phone, and the two files that ssh wants
#[derive(Args, Clone, Debug)]
struct Keygen {
    /// The private file; the public one is beside it, with .pub [default: ~/.ssh/id_ecdsa_sk]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the key is for; begins with ssh:
    #[arg(long, value_name = "ssh:NAME", default_value = APPLICATION)]
    application: String,
    /// Words at the end of the public line [default: user@host]
    #[arg(short = 'C', long, value_name = "WORDS")]
    comment: Option<String>,
    /// Make a passkey that can be found without the private file; it takes the place of another one of
    /// the same application
    #[arg(long)]
    resident: bool,
    /// Do not make ssh ask for a touch; servers refuse such a key unless told otherwise
    #[arg(long)]
    no_touch_required: bool,
    /// Make ssh ask that the phone verifies who is there
    #[arg(long)]
    verify_required: bool,
    /// Replace files that are there: the key that they have is lost
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    way: Way,
}

impl Command {
    pub(crate) async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let Sub::Keygen(keygen) = &self.command;
        keygen.run(ui).await
    }
}

impl Keygen {
    async fn run(&self, ui: Ui) -> Result<(), Failure> {
        let files = self.files()?;
        let comment = self.comment()?;
        self.check_application()?;
        let needs = Needs {
            touch: !self.no_touch_required,
            verification: self.verify_required,
            resident: self.resident,
        };
        let user_id = if self.resident { RESIDENT_ACCOUNT.to_vec() } else { enroll::nobody() };
        let wanted = enroll::Wanted(NewKey {
            rp_id: &self.application,
            user_id,
            user_name: ACCOUNT,
            resident: self.resident,
            verification: self.verify_required,
        });
        let about = About::new(Purpose::Register, &self.application, ACCOUNT);
        let ask = |info: &_| Ok(wanted.message(info));
        let about = (about, conversation::PATIENCE);
        conversation::carry(ui, &self.way, about, ask, |reply| {
            let made = wanted.read(reply)?;
            let application = &self.application;
            let (public, handle) = (made.public, &made.id[..]);
            let pair = KeyPair { public, application, handle, needs, comment: &comment };
            files.write(&pair, self.force)?;
            told(ui, &files, &pair)
        })
        .await
    }

    fn check_application(&self) -> Result<(), Failure> {
        if self.application.starts_with(APPLICATION) && enroll::is_rp_id(&self.application) {
            return Ok(());
        }
        let error = format!("{:?} is no application of ssh", self.application);
        let hint = "write ssh: and a name without spaces, such as ssh:work";
        Err(Failure::new(Status::Usage, error, hint))
    }

    /// The words are one line of a file, and of what a terminal shows.
    fn comment(&self) -> Result<String, Failure> {
        let usual = || {
            let user = enroll::login().unwrap_or_else(|| "user".to_owned());
            format!("{user}@{}", enroll::machine())
        };
        let comment = self.comment.clone().unwrap_or_else(usual);
        if comment.chars().any(char::is_control) || comment.len() > 1024 {
            let error = "the comment is no line of a file";
            return Err(Failure::new(Status::Usage, error, "write a short one with -C"));
        }
        Ok(comment)
    }

    /// Where the files will be; nobody is to answer a phone for files that cannot be.
    fn files(&self) -> Result<Files, Failure> {
        let usual = || {
            let home = std::env::var_os("HOME").map(PathBuf::from).filter(|p| p.is_absolute())?;
            Some(home.join(".ssh/id_ecdsa_sk"))
        };
        let private = self.file.clone().or_else(usual).ok_or_else(|| {
            Failure::new(Status::Usage, "there is no home folder", "name a file with -f")
        })?;
        let mut public = private.clone().into_os_string();
        public.push(".pub");
        let files = Files { private, public: public.into() };
        if self.file.is_none() {
            make_folder(&files.private)?;
        }
        for file in [&files.private, &files.public] {
            match file.symlink_metadata() {
                Ok(_) if !self.force => return Err(there_already(file)),
                Ok(old) if !old.is_file() && !old.is_symlink() => {
                    let error = format!("{} is no file", file.display());
                    return Err(Failure::new(Status::Usage, error, "name another file with -f"));
                }
                _ => {}
            }
        }
        // Whether the folder can be written to.
        Written::new(&files.private, "", 0o600).map_err(|error| unwritable(&files, &error))?;
        Ok(files)
    }
}

/// `~/.ssh`, as ssh-keygen makes it.
fn make_folder(file: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = super::whole_file::folder_of(file);
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let error = format!("cannot make {}: {error}", folder.display());
            Err(Failure::new(Status::Storage, error, "name a file of yours with -f"))
        }
        _ => Ok(()),
    }
}

struct Files {
    private: PathBuf,
    public: PathBuf,
}

impl Files {
    /// Both are complete on the disk before one has its name.
    fn write(&self, pair: &KeyPair<'_>, force: bool) -> Result<(), Failure> {
        let write = || {
            let check = system::random().next_u32();
            let private = Written::new(&self.private, &pair.private_file(check), 0o600)?;
            let line = format!("{}\n", pair.public_line());
            let public = Written::new(&self.public, &line, 0o644)?;
            if force {
                let kept = Kept::of(&self.private)?;
                private.replace()?;
                return public.replace().inspect_err(|_| kept.back());
            }
            private.place()?;
            // Somebody was quicker: no half of a pair stays.
            public.place().inspect_err(|_| drop(fs::remove_file(&self.private)))
        };
        write().map_err(|error| unwritable(self, &error))
    }
}

/// A file that is to be replaced, under a second name until that is known to have gone well.
struct Kept {
    place: PathBuf,
    /// `None` if there was no file.
    second: Option<PathBuf>,
}

impl Kept {
    fn of(place: &Path) -> std::io::Result<Self> {
        let place = place.to_owned();
        if place.symlink_metadata().is_err() {
            return Ok(Self { place, second: None });
        }
        let mut name = place.clone().into_os_string();
        name.push(format!(".{:016x}.old", system::random().next_u64()));
        let second = PathBuf::from(name);
        fs::hard_link(&place, &second)?;
        Ok(Self { place, second: Some(second) })
    }

    /// No half of a pair stays, and no old half is lost.
    fn back(&self) {
        let _cannot_be_undone = match &self.second {
            Some(second) => fs::rename(second, &self.place),
            None => fs::remove_file(&self.place),
        };
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // After it went back there is none.
        let _gone = self.second.as_ref().map(fs::remove_file);
    }
}

fn there_already(file: &Path) -> Failure {
    let error = format!("{} is there already", file.display());
    let hint = "name another file with -f; --force replaces it, and the key in it is lost";
    Failure::new(Status::Usage, error, hint)
}

fn unwritable(files: &Files, error: &std::io::Error) -> Failure {
    let error = format!("cannot write {} and .pub: {error}", files.private.display());
    let hint = "name a file of yours with -f; what the phone made is in: cabled receipts list";
    Failure::new(Status::Storage, error, hint)
}

fn told(ui: Ui, files: &Files, pair: &KeyPair<'_>) -> Result<(), Failure> {
    let line = pair.public_line();
    if ui.is_json() {
        let fields = json!({
            "file": files.private.display().to_string(),
            "publicKey": line,
            "rpId": pair.application,
            "credentialId": URL_SAFE_NO_PAD.encode(pair.handle),
        });
        return print(&event_line("ssh-key", fields).to_string());
    }
    let words = format!(
        "The key is in {}. Servers get the line below, which is in {}.",
        files.private.display(),
        files.public.display()
    );
    ui.step("ssh-key", &words, json!({}));
    print(&line)
}
