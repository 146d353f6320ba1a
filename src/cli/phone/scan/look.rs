//! `--screen`: looks at the X display until a code is there; under Wayland the sibling `portal` does.

use std::time::Duration;

use ::image::{DynamicImage, GrayImage};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::advice;
use crate::cli::failure::{Failure, Status};
use crate::cli::image::{self, ImageError};
use crate::cli::phone::{Reporter, blocking};
use crate::cli::screen::{Screen, ScreenError};

/// How long a code may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the display may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Between two looks; a code is there for minutes.
const PAUSE: Duration = Duration::from_millis(100);

/// The text of the code on the screen.
///
/// # Errors
///
/// The screen cannot be looked at, shows several codes, or shows none in time.
pub(super) async fn for_code(reporter: Reporter) -> Result<String, Failure> {
    #[cfg(target_os = "linux")]
    if wayland() && !shows_something().await {
        return super::portal::for_code(reporter).await;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut screen = answered(|| Screen::open(None)).await?;
    reporter.step("looking", "Looking for a code on the screen.", json!({}));
    let mut last = (GrayImage::default(), ImageError::NoQrCode);
    while Instant::now() < deadline {
        let (picture, same) = answered(move || Ok((screen.capture()?, screen))).await?;
        screen = same;
        let picture = DynamicImage::from(picture).into_luma8();
        // Looking for a code is work, and a screen stands still most of the time.
        if picture != last.0 {
            visible(&picture)?;
            let (picture, found) = blocking(move || {
                let found = image::find(&picture);
                (picture, found)
            })
            .await?;
            match found {
                Ok(text) => return Ok(text),
                Err(error @ ImageError::Several) => return Err(advice::image(&error)),
                Err(why) => last = (picture, why),
            }
        }
        sleep(PAUSE).await;
    }
    Err(none(&last.1))
}

/// Whether there is an X display with more than one colour on it: under Wayland there mostly is none.
#[cfg(target_os = "linux")]
async fn shows_something() -> bool {
    let picture = answered(|| Screen::open(None)?.capture()).await;
    picture.is_ok_and(|picture| visible(&DynamicImage::from(picture).into_luma8()).is_ok())
}

/// What the display says, unless it keeps silent.
async fn answered<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, ScreenError> + Send + 'static,
) -> Result<T, Failure> {
    match timeout(ANSWER, blocking(ask)).await {
        Ok(answer) => answer?.map_err(|error| advice::screen(&error, wayland())),
        Err(_) => Err(advice::screen(&ScreenError::Silent, wayland())),
    }
}

/// Under Wayland, X programs see a display on which nothing ever is. Elsewhere it may just be dark.
fn visible(picture: &GrayImage) -> Result<(), Failure> {
    let mut pixels = picture.pixels();
    let first = pixels.next();
    match wayland() && pixels.all(|pixel| Some(pixel) == first) {
        true => Err(advice::screen(&ScreenError::Blank, true)),
        false => Ok(()),
    }
}

fn wayland() -> bool {
    std::env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty())
}

fn none(why: &ImageError) -> Failure {
    let seconds = PATIENCE.as_secs();
    let error = format!("no code for passkeys came up on the screen within {seconds} s");
    let hint = match why {
        ImageError::NotFido => {
            "the code on the screen is for something else; show the one for passkeys"
        }
        _ => "show the code on this screen, whole and uncovered, and run it again",
    };
    Failure::new(Status::NotHeard, error, hint)
}
