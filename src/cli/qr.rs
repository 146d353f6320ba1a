//! Shows a `FIDO:/` text as a QR code: in the terminal, as a PNG or SVG file, or as plain text.
//!
//! The code goes into no log, and files are readable for their owner only: who sees it in time and
//! is near may answer in place of the phone. Depends on `symbol`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use crate::symbol::Glyphs;
use crate::symbol::{Symbol, TooLong};
use image::{GrayImage, ImageFormat, Luma};

/// Pixels of a module in a PNG file.
const SCALE: usize = 8;
/// How to show a QR code: `terminal`, `url`, `png:FILE`, `svg:FILE` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QrStyle {
    /// In the terminal.
    Terminal,
    /// In the terminal, by way of a program that bounds its lines, as PAM does. Has no name.
    Lines,
    /// The text itself on a line of its own.
    Url,
    /// Into a PNG file, which is replaced.
    Png(PathBuf),
    /// Into an SVG file, which is replaced.
    Svg(PathBuf),
    /// Not at all.
    None,
}

/// Why a QR code could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QrError {
    /// No symbol is large enough.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The terminal, or whatever stands for it, takes no more.
    #[error("cannot write the QR code")]
    Write(#[from] io::Error),
    /// The picture cannot be written.
    #[error("cannot write the QR code to {path}")]
    File {
        /// Where to.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The pixels do not become a PNG.
    #[error("cannot encode the QR code as PNG")]
    Png(#[source] image::ImageError),
}

/// A text that names no [`QrStyle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected terminal, url, png:FILE, svg:FILE or none")]
pub struct UnknownStyle;

impl FromStr for QrStyle {
    type Err = UnknownStyle;

    fn from_str(text: &str) -> Result<Self, UnknownStyle> {
        match text.split_once(':') {
            None => match text {
                "terminal" => Ok(Self::Terminal),
                "url" => Ok(Self::Url),
                "none" => Ok(Self::None),
                _ => Err(UnknownStyle),
            },
            Some(("png", file)) if !file.is_empty() => Ok(Self::Png(file.into())),
            Some(("svg", file)) if !file.is_empty() => Ok(Self::Svg(file.into())),
            Some(_) => Err(UnknownStyle),
        }
    }
}

/// Shows `text` as `style` says; `out` is the terminal and gets nothing if a file is asked for.
///
/// # Errors
///
/// See [`QrError`]. A file may be there in part after an error.
pub fn show(
    text: &str,
    style: &QrStyle,
    glyphs: Glyphs,
    out: &mut impl Write,
) -> Result<(), QrError> {
    match style {
        QrStyle::Terminal => out.write_all(terminal(text, glyphs)?.as_bytes())?,
        QrStyle::Lines => out.write_all(Symbol::new(text)?.short_lines().as_bytes())?,
        QrStyle::Url => writeln!(out, "{text}")?,
        QrStyle::Png(path) => write_file(path, &png(text)?)?,
        QrStyle::Svg(path) => write_file(path, svg(text)?.as_bytes())?,
        QrStyle::None => {}
    }
    Ok(())
}

/// Draws for a terminal: every line ends with a reset and a newline, whatever the theme is.
///
/// With half blocks, 168 to 174 digits take 41 columns and 21 lines, up to 190 digits 45 and 23.
///
/// # Errors
///
/// [`QrError::TooLong`].
pub fn terminal(text: &str, glyphs: Glyphs) -> Result<String, QrError> {
    Ok(Symbol::new(text)?.drawn(glyphs))
}

/// Draws a PNG file, 8 pixels to a module.
///
/// # Errors
///
/// [`QrError::TooLong`]; [`QrError::Png`] does not happen in memory.
pub fn png(text: &str) -> Result<Vec<u8>, QrError> {
    let symbol = Symbol::new(text)?;
    let side = u32::try_from(symbol.side() * SCALE).unwrap_or(u32::MAX);
    let pixels = GrayImage::from_fn(side, side, |x, y| {
        let dark = symbol.is_dark(x as usize / SCALE, y as usize / SCALE);
        Luma([if dark { 0 } else { 255 }])
    });
    let mut file = io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, ImageFormat::Png).map_err(QrError::Png)?;
    Ok(file.into_inner())
}

/// Draws an SVG file, one unit to a module; it scales as it likes.
///
/// # Errors
///
/// [`QrError::TooLong`].
pub fn svg(text: &str) -> Result<String, QrError> {
    let symbol = Symbol::new(text)?;
    let side = symbol.side();
    let pixels = side * SCALE;
    let mut path = String::new();
    for (x, y) in symbol.cells().filter(|(x, y)| symbol.is_dark(*x, *y)) {
        path.push_str(&format!("M{x} {y}h1v1h-1z"));
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" \
         viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>\n"
    ))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), QrError> {
    let write = || private_file(path)?.write_all(bytes);
    write().map_err(|source| QrError::File { path: path.to_owned(), source })
}

/// A file that is there already keeps its mode.
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
