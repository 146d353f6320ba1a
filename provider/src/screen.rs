//! What people see meanwhile: the code in the terminal, or where else it is.
//!
//! OpenSSH gives its helper no terminal of its own. A user who types `ssh` has one nevertheless, and the code belongs
//! there; an agent has none, and `cabled watch` or the desktop shows it.

use std::fs::File;
use std::io::Write as _;

use cabled::frontend::control::v1::event::What;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The classic colours first, then entries of the 256-colour cube that themes leave alone.
const BLACK_ON_WHITE: &str = "\x1b[30;47m\x1b[38;5;16;48;5;231m";
/// The same on black, so that no gap between lines shows through.
const BLACK_ON_BLACK: &str = "\x1b[30;40m\x1b[38;5;16;48;5;16m";
const RESET: &str = "\x1b[0m";

/// The user's terminal, or standard error.
pub(crate) struct Screen(Option<File>);

impl Screen {
    pub(crate) fn open() -> Self {
        Self(File::options().write(true).open("/dev/tty").ok())
    }

    /// Says it. Where nobody reads, the request goes on nevertheless.
    pub(crate) fn say(&mut self, words: &str) {
        let _nobody_reads = match &mut self.0 {
            Some(terminal) => writeln!(terminal, "{words}"),
            None => writeln!(std::io::stderr(), "cabled: {words}"),
        };
    }

    /// Shows a step of the transaction, if people have to do something.
    pub(crate) fn show(&mut self, step: &What) {
        match step {
            What::Listening(code) if !code.text.is_empty() => self.code(&code.text),
            What::Ringing(_) => self.say("Your phone is asked; unlock it."),
            What::TryingAgain(_) => self.say("The connection broke; trying again."),
            What::WaitingForUser(_) => self.say("Follow the steps on your phone."),
            What::Note(note) => self.say(&note.text),
            _ => {}
        }
    }

    fn code(&mut self, text: &str) {
        let drawn = self.0.as_ref().and_then(|_| draw(text, speaks_unicode()));
        match drawn {
            Some(drawn) => {
                self.say(&format!("Scan this code with your phone's camera.\n{drawn}"));
            }
            None => self.say("Scan the code that `cabled watch` shows."),
        }
    }
}

fn speaks_unicode() -> bool {
    let mut names = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
    let locale = names.find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Two modules to a cell with Unicode's half blocks, otherwise two cells of background to a module.
fn draw(text: &str, unicode: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = match unicode {
        true => code.render::<Dense1x2>().build(),
        false => {
            code.render::<char>().dark_color(DARK).light_color(' ').module_dimensions(2, 1).build()
        }
    };
    Some(drawn.lines().map(|line| coloured(line, unicode)).collect())
}

/// A cell that is dark as a whole.
const DARK: char = '\u{2588}';

/// A line, whatever the terminal's theme is.
fn coloured(line: &str, unicode: bool) -> String {
    let (mut out, mut current) = (String::new(), "");
    for cell in line.chars() {
        let colours = if cell == DARK { BLACK_ON_BLACK } else { BLACK_ON_WHITE };
        if colours != current {
            out.push_str(colours);
            current = colours;
        }
        out.push(if unicode { cell } else { ' ' });
    }
    out + RESET + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_and_without_unicode() {
        let (small, large) = (draw("FIDO:/1", true).unwrap(), draw("FIDO:/1", false).unwrap());
        // 21 modules, and four of white on each side.
        assert_eq!((small.lines().count(), large.lines().count()), (15, 29));
        assert!(small.contains(DARK) && large.is_ascii());
        let bare = large.replace(BLACK_ON_WHITE, "").replace(BLACK_ON_BLACK, "").replace(RESET, "");
        assert!(bare.lines().all(|line| line.len() == 58), "{bare:?}");
        assert!(large.contains(BLACK_ON_BLACK) && draw(&"1".repeat(9999), true).is_none());
    }
}
