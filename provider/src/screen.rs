//! What people see meanwhile: the code in the terminal, or where else it is.
//!
//! OpenSSH gives its helper no terminal of its own. A user who types `ssh` has one nevertheless, and the code belongs
//! there; an agent has none, and `cabled watch` or the desktop shows it.

use std::fs::File;
use std::io::Write as _;

use cabled::frontend::control::v1::event::What;
use cabled::symbol::{Glyphs, Symbol};

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
            What::Listening(code) if !code.text.is_empty() => {
                self.code(&code.text);
                self.elsewhere(&code.proximity);
            }
            What::Ringing(ringing) => {
                self.say("Your phone is asked; unlock it.");
                self.elsewhere(&ringing.proximity);
            }
            What::TryingAgain(_) => self.say("The connection broke; trying again."),
            What::WaitingForUser(_) => self.say("Follow the steps on your phone."),
            What::Note(note) => self.say(&note.text),
            _ => {}
        }
    }

    /// Being heard proves that the phone is near, but not where everybody expects.
    fn elsewhere(&mut self, proximity: &str) {
        if proximity == "shared" {
            self.say(
                "The radio of another machine listens: your phone has to be near that one, not near \
                 this one.",
            );
        }
    }

    fn code(&mut self, text: &str) {
        let drawn = self.0.as_ref().and_then(|_| draw(text));
        match drawn {
            Some(drawn) => {
                self.say(&format!("Scan this code with your phone's camera.\n{drawn}"));
            }
            None => self.say("Scan the code that `cabled watch` shows."),
        }
    }
}

fn draw(text: &str) -> Option<String> {
    let glyphs = Glyphs::from_locale(|name| std::env::var(name).ok());
    Some(Symbol::new(text).ok()?.drawn(glyphs))
}
