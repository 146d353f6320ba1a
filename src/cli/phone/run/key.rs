//! The virtual security key of `cabled phone run --uhid`: programs of this machine as askers of the
//! service.

use serde_json::json;

use crate::authenticator::key::{self, Progress};
use crate::authenticator::service::{Error, Service};
use crate::authenticator::{Outcome, Timestamp};
use crate::cli::failure::{Failure, Status};
use crate::cli::phone::Reporter;
use crate::cli::plugged::Key;
use crate::cli::{advice, system};
use crate::uhid::Uhid;

/// The name under which programs list the key.
const NAME: &str = "cabled virtual FIDO2 key";

pub(super) fn plug_in(reporter: Reporter, service: &Service) -> Result<Key, Failure> {
    let mut engine = service.engine_for_programs().map_err(|error| locked(&error))?;
    let device = Uhid::create(NAME).map_err(|error| advice::uhid(&error))?;
    let words = "This machine has a security key now. Stop it with Ctrl-C.";
    reporter.step("key-ready", words, json!({ "name": NAME }));
    Ok(Key::new(async move {
        let clock = || Timestamp(system::unix_time());
        let rng = &mut system::random();
        let tell = |progress: Progress<'_>| tell(reporter, &progress);
        let never = std::future::pending();
        key::serve(device, &mut engine, never, clock, rng, tell).await
    }))
}

fn locked(error: &Error) -> Failure {
    let hint =
        "let it start unlocked: in a terminal, or with --pin-file FILE, and without --locked";
    Failure::because(Status::Locked, error, hint)
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
            reporter.step("key-refused", &words, json!({ "ctapStatus": status.name() }));
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
