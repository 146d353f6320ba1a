//! The user's browser, opened on a link that nobody else is to have.
//!
//! The desktop's portal does it: over D-Bus the link passes no other user's eyes, and the browser is no
//! child of this program. `xdg-open` takes it as an argument, which every user of the machine can read
//! while it runs; so it is only for commands of a user who waits for the page, where there is no portal.
//! Depends on `desktop`.

use std::process::Stdio;
use std::time::Duration;

use rand_core::RngCore as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::failure::{Failure, Status};
use super::system;
use crate::desktop::{Bus, Error, portal};
use crate::hex;

/// How long `xdg-open` may take to hand the link over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a link through the portal, or else by `xdg-open`.
///
/// # Errors
///
/// Neither is there, or the user said no.
pub(super) async fn open(link: &str) -> Result<(), Failure> {
    match portal::open_link(&Bus::Session, &token(), link, None).await {
        Ok(()) => Ok(()),
        Err(Error::Dismissed(_)) => {
            Err(failed("the desktop opened no browser: it was not allowed to, or there is none"))
        }
        Err(error) => {
            tracing::debug!("no portal: {}", super::failure::causes(&error));
            by_xdg_open(link).await
        }
    }
}

async fn by_xdg_open(link: &str) -> Result<(), Failure> {
    let mut command = Command::new("xdg-open");
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ran = timeout(PATIENCE, command.kill_on_drop(true).status()).await;
    match ran {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(_)) | Err(_) => Err(failed("xdg-open opened no browser")),
        Ok(Err(_)) => {
            Err(failed("there is neither a desktop with xdg-desktop-portal nor xdg-open"))
        }
    }
}

fn failed(error: &str) -> Failure {
    let hint = "open the link yourself, in a browser on this computer: cabled page";
    Failure::new(Status::Failure, error, hint)
}

/// Nobody may guess where the answer will be.
pub(super) fn token() -> String {
    let mut bytes = [0; 16];
    system::random().fill_bytes(&mut bytes);
    format!("cabled{}", hex::lower(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_names_for_an_object_and_differ() {
        let (one, other) = (token(), token());
        assert!(one.len() == 38 && one.chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
