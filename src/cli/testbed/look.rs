//! Codes on the bench's display.

use std::sync::Arc;

use image::DynamicImage;

use crate::cli::failure::causes;
use crate::cli::image::{self as picture, ImageError};
use crate::cli::screen::Screen;
use crate::testbed::control::Look;

/// Looks at this display, or at the one that the environment names, if there is any.
pub(super) fn on(display: Option<String>) -> Option<Look> {
    let named = std::env::var_os("DISPLAY").is_some_and(|name| !name.is_empty());
    if display.is_none() && !named {
        return None;
    }
    Some(Arc::new(move || {
        let screen = Screen::open(display.as_deref()).map_err(|error| causes(&error))?;
        let shown = screen.capture().map_err(|error| causes(&error))?;
        match picture::find(&DynamicImage::from(shown).into_luma8()) {
            Ok(code) => Ok(Some(code)),
            // One that is about to go while the next comes up: the next look decides.
            Err(ImageError::Several | ImageError::NoQrCode | ImageError::NotFido) => Ok(None),
            Err(error) => Err(causes(&error)),
        }
    }))
}
