//! `--camera`: looks through a camera until a code is before it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::advice;
use crate::cli::camera::{Camera, CameraError};
use crate::cli::failure::{Failure, Status};
use crate::cli::image::{self, ImageError};
use crate::cli::phone::{Reporter, blocking};

/// How long a code may take to be held before the camera.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a camera may take to answer a call.
const ANSWER: Duration = Duration::from_secs(10);

/// Between two looks for a new picture.
const PAUSE: Duration = Duration::from_millis(20);

/// The text of the code that the camera sees; the one that is named, or the first one
/// that can be used.
///
/// # Errors
///
/// There is no camera, it gives no pictures, or no code was before it in time.
pub(super) async fn for_code(
    reporter: Reporter,
    named: Option<PathBuf>,
) -> Result<String, Failure> {
    let mut camera = answered(move || Camera::open(named.as_deref())).await?;
    let shown = camera.path().display().to_string();
    let words = format!("Looking for a code through the camera {shown}; hold the code before it.");
    reporter.step("looking", &words, json!({}));
    let (deadline, mut last) = (Instant::now() + PATIENCE, ImageError::NoQrCode);
    while Instant::now() < deadline {
        let (picture, same) = answered(move || Ok((camera.look()?, camera))).await?;
        camera = same;
        let Some(picture) = picture else {
            sleep(PAUSE).await;
            continue;
        };
        match blocking(move || image::find(&picture)).await? {
            Ok(text) => return Ok(text),
            Err(error @ ImageError::Several) => return Err(advice::image(&error)),
            Err(why) => last = why,
        }
    }
    Err(none(&last))
}

async fn answered<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, CameraError> + Send + 'static,
) -> Result<T, Failure> {
    match timeout(ANSWER, blocking(ask)).await {
        Ok(answer) => answer?.map_err(|error| failed(&error)),
        Err(_) => {
            let hint = "unplug it and plug it in again, or name another one: --camera=/dev/video2";
            Err(Failure::new(Status::Failure, "the camera does not answer", hint))
        }
    }
}

fn failed(error: &CameraError) -> Failure {
    let hint = match error {
        CameraError::None => "plug one in, or scan the screen: cabled phone scan --screen",
        CameraError::Unsuitable(_) => "name another one, such as --camera=/dev/video2",
        CameraError::Open(..) => "ask for the right to use cameras, often the group \"video\"",
        CameraError::Broken(..) => "end other programs that use it, and try again",
    };
    Failure::because(Status::Failure, error, hint)
}

fn none(why: &ImageError) -> Failure {
    let seconds = PATIENCE.as_secs();
    let error = format!("no code for passkeys was before the camera within {seconds} s");
    let hint = match why {
        ImageError::NotFido => "the code there is for something else; show the one for passkeys",
        _ => "hold the whole code before the camera, sharp and in good light, and run it again",
    };
    Failure::new(Status::NotHeard, error, hint)
}
