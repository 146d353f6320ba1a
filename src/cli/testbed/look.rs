//! The bench's display: codes on it, and pictures of it.

use std::io::Cursor;
use std::sync::Arc;

use image::{DynamicImage, ImageFormat, RgbImage};

use crate::cli::failure::causes;
use crate::cli::image::{self as picture, ImageError};
use crate::cli::screen::Screen;
use crate::testbed::control::Display;

/// This display, or the one that the environment names, if there is any.
pub(super) fn on(display: Option<String>) -> Option<Display> {
    let named = std::env::var_os("DISPLAY").is_some_and(|name| !name.is_empty());
    if display.is_none() && !named {
        return None;
    }
    let other = display.clone();
    Some(Display {
        look: Arc::new(move || code(display.as_deref())),
        picture: Arc::new(move || png(other.as_deref())),
    })
}

fn capture(display: Option<&str>) -> Result<RgbImage, String> {
    let screen = Screen::open(display).map_err(|error| causes(&error))?;
    screen.capture().map_err(|error| causes(&error))
}

fn code(display: Option<&str>) -> Result<Option<String>, String> {
    match picture::find(&DynamicImage::from(capture(display)?).into_luma8()) {
        Ok(code) => Ok(Some(code)),
        // One that is about to go while the next comes up: the next look decides.
        Err(ImageError::Several | ImageError::NoQrCode | ImageError::NotFido) => Ok(None),
        Err(error) => Err(causes(&error)),
    }
}

fn png(display: Option<&str>) -> Result<Vec<u8>, String> {
    let mut png = Cursor::new(Vec::new());
    let written = capture(display)?.write_to(&mut png, ImageFormat::Png);
    written.map_err(|error| causes(&error))?;
    Ok(png.into_inner())
}
