//! `--screen` under Wayland: the picture comes from the desktop's portal, once, after the user agreed.

use serde_json::json;

use crate::cli::failure::{Failure, Status};
use crate::cli::image;
use crate::cli::phone::{Reporter, blocking};
use crate::cli::{advice, browse};
use crate::desktop::portal::{self, Look};
use crate::desktop::{Bus, Error};

/// The text of the code on the screen.
///
/// # Errors
///
/// There is no portal, the user declines, or there is no code in the picture.
pub(super) async fn for_code(reporter: Reporter) -> Result<String, Failure> {
    let words = "Asking the desktop for a picture of the screen; it may ask you.";
    reporter.step("looking", words, json!({}));
    match portal::screenshot(&Bus::Session, &browse::token(), image::MAX_FILE).await {
        Ok(Look::Picture(bytes)) => {
            let found = blocking(move || image::read(&bytes)).await?;
            found.map_err(|error| advice::image(&error))
        }
        Ok(Look::Declined) => Err(failed("the desktop was not allowed to show its screen")),
        Ok(_) => Err(failed("the desktop could not take a picture of its screen")),
        Err(error) => Err(because(&error)),
    }
}

fn failed(error: &str) -> Failure {
    Failure::new(Status::Failure, error, hint())
}

fn because(error: &Error) -> Failure {
    let hint = match error {
        Error::NoService(_) | Error::NoBus(..) => {
            "install your desktop's xdg-desktop-portal, or take a screenshot and name it with --image FILE"
        }
        _ => hint(),
    };
    Failure::because(Status::Failure, error, hint)
}

fn hint() -> &'static str {
    "take a screenshot yourself, and name it with --image FILE"
}
