//! Shows a `FIDO:/` text as a QR code: in the terminal, as a PNG or SVG file, or as plain text.
//!
//! The code goes into no log, and files are readable for their owner only: who sees it in time and
//! is near may answer in place of the phone. Depends on nothing else of this crate.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around the symbol that readers may rely on.
const QUIET_ZONE: usize = 4;
/// Pixels of a module in a PNG file.
const SCALE: usize = 8;
/// Black on white: the classic colours first, then entries of the fixed 256-colour cube, which
/// themes leave alone; terminals that do not know the latter ignore them.
const BLACK_ON_WHITE: &str = "\x1b[30;47m\x1b[38;5;16;48;5;231m";
/// The same for black background, so that no gap between lines shows through.
const BLACK_ON_BLACK: &str = "\x1b[30;40m\x1b[38;5;16;48;5;16m";
const RESET: &str = "\x1b[0m";

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

/// What a terminal can draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Two modules to a character cell, with the half blocks of Unicode.
    HalfBlocks,
    /// Two spaces to a module, for terminals without Unicode: four times the size.
    Spaces,
}

/// Why a QR code could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QrError {
    /// No symbol is large enough.
    #[error("the text is too long for a QR code")]
    TooLong(#[from] qrcode::types::QrError),
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

impl Glyphs {
    /// What the locale promises: half blocks if its character set is UTF-8.
    ///
    /// `variable` looks up an environment variable; the first non-empty one of `LC_ALL`,
    /// `LC_CTYPE` and `LANG` decides, as everywhere.
    #[must_use]
    pub fn from_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut values = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable);
        let locale = values.find(|value| !value.is_empty()).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        if utf8 { Self::HalfBlocks } else { Self::Spaces }
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
    let symbol = Symbol::new(text)?;
    Ok(match glyphs {
        Glyphs::HalfBlocks => symbol.half_blocks(),
        Glyphs::Spaces => symbol.spaces(),
    })
}

/// Draws a PNG file, 8 pixels to a module.
///
/// # Errors
///
/// [`QrError::TooLong`]; [`QrError::Png`] does not happen in memory.
pub fn png(text: &str) -> Result<Vec<u8>, QrError> {
    let symbol = Symbol::new(text)?;
    let side = u32::try_from(symbol.side * SCALE).unwrap_or(u32::MAX);
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
    let side = symbol.side;
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

/// A QR code with its quiet zone.
struct Symbol {
    side: usize,
    modules: Vec<Color>,
}

impl Symbol {
    /// Level L: a screen does not get dirty, and every module counts on 24 lines. The encoder
    /// makes an alphanumeric segment of `FIDO:/` and a numeric one of the digits.
    fn new(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L)?;
        Ok(Self { side: code.width() + 2 * QUIET_ZONE, modules: code.into_colors() })
    }

    /// Whether a module is dark; the quiet zone and all around it is not.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let width = self.side - 2 * QUIET_ZONE;
        let inside = |n: usize| n.checked_sub(QUIET_ZONE).filter(|n| *n < width);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else { return false };
        self.modules.get(y * width + x) == Some(&Color::Dark)
    }

    fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let side = self.side;
        (0..side).flat_map(move |y| (0..side).map(move |x| (x, y)))
    }

    fn half_blocks(&self) -> String {
        self.lines(2, |x, y| match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
            (false, false) => (BLACK_ON_WHITE, " "),
            (true, false) => (BLACK_ON_WHITE, "\u{2580}"),
            (false, true) => (BLACK_ON_WHITE, "\u{2584}"),
            (true, true) => (BLACK_ON_BLACK, "\u{2588}"),
        })
    }

    /// Half blocks, whatever the locale is, with colours once a line: no line has more than 300 bytes.
    fn short_lines(&self) -> String {
        let half = self.half_blocks();
        let line = |line: &str| {
            let bare = [BLACK_ON_WHITE, BLACK_ON_BLACK, RESET]
                .iter()
                .fold(line.to_owned(), |line, colours| line.replace(colours, ""));
            format!("{BLACK_ON_WHITE}{bare}{RESET}\n")
        };
        half.lines().map(line).collect()
    }

    fn spaces(&self) -> String {
        self.lines(1, |x, y| match self.is_dark(x, y) {
            false => (BLACK_ON_WHITE, "  "),
            true => (BLACK_ON_BLACK, "  "),
        })
    }

    /// One line of cells for every `step` lines of modules; colours are set where they change.
    fn lines<'a>(&self, step: usize, cell: impl Fn(usize, usize) -> (&'a str, &'a str)) -> String {
        let mut out = String::new();
        for y in (0..self.side).step_by(step) {
            let mut current = "";
            for (colours, glyph) in (0..self.side).map(|x| cell(x, y)) {
                if colours != current {
                    out.push_str(colours);
                    current = colours;
                }
                out.push_str(glyph);
            }
            out.push_str(RESET);
            out.push('\n');
        }
        out
    }
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
