//! A QR code as a terminal shows it. Pure: the locale's variables are an argument.
//!
//! Depends on nothing else of this crate.

use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around the symbol that readers may rely on.
const QUIET_ZONE: usize = 4;
/// Black on white: the classic colours first, then entries of the fixed 256-colour cube, which
/// themes leave alone; terminals that do not know the latter ignore them.
const BLACK_ON_WHITE: &str = "\x1b[30;47m\x1b[38;5;16;48;5;231m";
/// The same for black background, so that no gap between lines shows through.
const BLACK_ON_BLACK: &str = "\x1b[30;40m\x1b[38;5;16;48;5;16m";
const RESET: &str = "\x1b[0m";

/// What a terminal can draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Two modules to a character cell, with the half blocks of Unicode.
    HalfBlocks,
    /// Two spaces to a module, for terminals without Unicode: four times the size.
    Spaces,
}

/// No symbol is large enough for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub struct TooLong(#[source] qrcode::types::QrError);

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

/// A QR code with its quiet zone.
#[derive(Clone, Debug)]
pub struct Symbol {
    side: usize,
    modules: Vec<Color>,
}

impl Symbol {
    /// Level L: a screen does not get dirty, and every module counts on 24 lines. The encoder
    /// makes an alphanumeric segment of `FIDO:/` and a numeric one of the digits.
    ///
    /// # Errors
    ///
    /// [`TooLong`].
    pub fn new(text: &str) -> Result<Self, TooLong> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(TooLong)?;
        Ok(Self { side: code.width() + 2 * QUIET_ZONE, modules: code.into_colors() })
    }

    /// Modules along one side, the quiet zone among them.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// Whether a module is dark; the quiet zone and all around it is not.
    #[must_use]
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let width = self.side - 2 * QUIET_ZONE;
        let inside = |n: usize| n.checked_sub(QUIET_ZONE).filter(|n| *n < width);
        let (Some(x), Some(y)) = (inside(x), inside(y)) else { return false };
        self.modules.get(y * width + x) == Some(&Color::Dark)
    }

    /// All places, line by line.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        let side = self.side;
        (0..side).flat_map(move |y| (0..side).map(move |x| (x, y)))
    }

    /// Draws for a terminal: every line ends with a reset and a newline, whatever the theme is.
    #[must_use]
    pub fn drawn(&self, glyphs: Glyphs) -> String {
        match glyphs {
            Glyphs::HalfBlocks => self.half_blocks(),
            Glyphs::Spaces => self.spaces(),
        }
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
    #[must_use]
    pub fn short_lines(&self) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_and_without_unicode() {
        let drawn = |glyphs| Symbol::new("FIDO:/1").unwrap().drawn(glyphs);
        let (small, large) = (drawn(Glyphs::HalfBlocks), drawn(Glyphs::Spaces));
        // 21 modules, and four of white on each side.
        assert_eq!((small.lines().count(), large.lines().count()), (15, 29));
        assert!(small.contains('\u{2588}') && large.is_ascii());
        let bare = large.replace(BLACK_ON_WHITE, "").replace(BLACK_ON_BLACK, "").replace(RESET, "");
        assert!(bare.lines().all(|line| line.len() == 58), "{bare:?}");
        assert!(large.contains(BLACK_ON_BLACK) && Symbol::new(&"1".repeat(9999)).is_err());
    }
}
