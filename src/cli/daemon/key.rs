//! The virtual security key of `cabled daemon --uhid`.

use clap::ValueEnum;
use serde_json::json;

use crate::cli::advice;
use crate::cli::failure::Failure;
use crate::cli::plugged::Key;
use crate::cli::ui::Ui;
use crate::client::key::{self, Progress};
use crate::client::service::Service;
use crate::ctap;
use crate::uhid::Uhid;

/// The name under which programs list the key.
const NAME: &str = "cabled: the passkeys on your phone";

/// Whether there has to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wanted {
    /// There has to be one.
    Yes,
    /// One if this machine and this user can have one.
    Try,
}

pub(super) fn plug_in(
    ui: Ui,
    wanted: Option<Wanted>,
    service: &Service,
) -> Result<Option<Key>, Failure> {
    let Some(wanted) = wanted else { return Ok(None) };
    let device = match Uhid::create(NAME).map_err(|error| advice::uhid(&error)) {
        Ok(device) => device,
        Err(failure) if wanted == Wanted::Try => {
            ui.note(&format!("there is no security key: {}; {}", failure.error, failure.hint));
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let words = "This machine has a security key now: the passkeys on your phone.";
    super::tell(ui, "key-ready", words, json!({ "name": NAME }))?;
    let service = service.clone();
    Ok(Some(Key::new(async move {
        let never = std::future::pending();
        key::serve(device, service, never, |progress| tell(ui, progress)).await
    })))
}

fn tell(ui: Ui, progress: Progress) {
    let (event, words, status) = match progress {
        Progress::Refused(status) => ("key-refused", refused(status), Some(status.name())),
        Progress::Withdrawn => {
            ("key-withdrawn", "The program does not wait any more.".to_owned(), None)
        }
        Progress::Wink => {
            ("key-wink", "A program asks which key this is: it is this one.".to_owned(), None)
        }
    };
    let fields = status.map_or_else(|| json!({}), |status| json!({ "ctapStatus": status }));
    // What cannot be told here, the program is told.
    let _nobody_reads = super::tell(ui, event, &words, fields);
}

/// Why a program was refused at once, where it says less.
fn refused(status: ctap::Status) -> String {
    match status {
        ctap::Status::UNSUPPORTED_ALGORITHM => {
            "Refused: phones make keys of ECDSA with P-256 only; ask the program for that (ssh-keygen -t \
             ecdsa-sk)."
                .to_owned()
        }
        ctap::Status::UNSUPPORTED_OPTION => {
            "Refused: the program wants a secret (hmac-secret) that phones do not give through this \
             key."
                .to_owned()
        }
        ctap::Status::INVALID_COMMAND => {
            "Refused: PINs and the list of passkeys are managed on the phone itself.".to_owned()
        }
        status => format!("Refused: {status}."),
    }
}
