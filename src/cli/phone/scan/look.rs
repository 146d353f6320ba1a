//! `--screen`: looks at the display until a code is there.

use std::time::Duration;

use ::image::DynamicImage;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::advice;
use crate::cli::failure::{Failure, Status};
use crate::cli::image::{self, ImageError};
use crate::cli::phone::{Reporter, blocking};
use crate::cli::screen::{Screen, ScreenError};

/// How long a code may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks; a code is there for minutes.
const PAUSE: Duration = Duration::from_millis(100);

/// What one look shows.
enum Seen {
    Code(String),
    /// Nothing, and why.
    Nothing(ImageError),
    /// One colour all over.
    Blank,
}

/// The text of the code on the screen.
///
/// # Errors
///
/// The screen cannot be looked at, shows several codes, or shows none in time.
pub(super) async fn for_code(reporter: Reporter) -> Result<String, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let opened =
        timeout_at(deadline, blocking(|| Screen::open(None))).await.map_err(|_| silent())??;
    let mut screen = opened.map_err(|error| cannot(&error))?;
    reporter.step("looking", "Looking for a code on the screen.", json!({}));
    let mut last = ImageError::NoQrCode;
    while Instant::now() < deadline {
        let looked = blocking(move || (look(&screen), screen));
        let (seen, same) = timeout_at(deadline + PAUSE, looked).await.map_err(|_| silent())??;
        screen = same;
        match seen.map_err(|error| cannot(&error))? {
            Seen::Code(text) => return Ok(text),
            // Under Wayland, X programs see a display on which nothing ever is.
            Seen::Blank if wayland() => return Err(cannot(&ScreenError::Blank)),
            Seen::Blank => {}
            Seen::Nothing(ImageError::Several) => return Err(advice::image(&ImageError::Several)),
            Seen::Nothing(why) => last = why,
        }
        sleep(PAUSE).await;
    }
    let error =
        format!("no code for passkeys came up on the screen within {} s", PATIENCE.as_secs());
    let hint = match last {
        ImageError::NotFido => {
            "the code on the screen is for something else; show the one for passkeys"
        }
        _ => "show the code on this screen, whole and uncovered, and run it again",
    };
    Err(Failure::new(Status::NotHeard, error, hint))
}

fn look(screen: &Screen) -> Result<Seen, ScreenError> {
    let picture = DynamicImage::from(screen.capture()?).into_luma8();
    let mut pixels = picture.pixels();
    let first = pixels.next();
    if pixels.all(|pixel| Some(pixel) == first) {
        return Ok(Seen::Blank);
    }
    Ok(image::find(&picture).map_or_else(Seen::Nothing, Seen::Code))
}

fn wayland() -> bool {
    std::env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty())
}

fn cannot(error: &ScreenError) -> Failure {
    advice::screen(error, wayland())
}

fn silent() -> Failure {
    let hint = "take a screenshot, and name it with --image FILE";
    Failure::new(Status::Failure, "the X display does not answer", hint)
}
