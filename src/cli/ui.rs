//! Talking to whoever started a command: people on standard error, machines by JSON lines.
//!
//! Standard output is for results. Everything else (steps, notes, QR codes, errors) goes through
//! [`Ui`], which knows whether anybody reads it, in what form, and in colour or not.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::failure::{Failure, Status};
use super::qr::{self, Glyphs, QrStyle};

/// The reader's side of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    colour: bool,
}

impl Ui {
    /// For a command with these global options; colours need a terminal and no `NO_COLOR`.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, quiet, colour: !json && !no_colour && io::stderr().is_terminal() }
    }

    /// Whether standard error may have colours.
    pub(crate) fn is_coloured(self) -> bool {
        self.colour
    }

    /// Whether machines read.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Something happened: a sentence for people, a named event with fields for machines.
    pub(crate) fn step(self, event: &str, words: &str, fields: Value) {
        if self.json {
            self.line(&event_line(event, fields).to_string());
        } else if !self.quiet {
            self.line(words);
        }
    }

    /// A remark that stops nothing.
    pub(crate) fn note(self, words: &str) {
        if self.json {
            self.line(&event_line("note", json!({ "text": words })).to_string());
        } else if !self.quiet {
            let (dim, reset) = self.paint("2");
            self.line(&format!("{dim}note: {words}{reset}"));
        }
    }

    /// Shows a QR. With `--quiet` too: without it nothing can go on.
    pub(crate) fn qr(self, text: &str, style: &QrStyle) -> Result<(), Failure> {
        if self.json {
            self.line(&event_line("qr", json!({ "text": text })).to_string());
            if *style == QrStyle::Terminal {
                return Ok(());
            }
        }
        let glyphs = Glyphs::from_locale(|name| std::env::var(name).ok());
        qr::show(text, style, glyphs, &mut io::stderr().lock()).map_err(|error| {
            let hint = "choose another place with --qr terminal|url|png:FILE|svg:FILE";
            Failure::because(Status::Storage, &error, hint)
        })?;
        if let QrStyle::Png(path) | QrStyle::Svg(path) = style {
            self.saved_to(path);
        }
        Ok(())
    }

    fn saved_to(self, path: &Path) {
        if !self.json && !self.quiet {
            self.line(&format!("The QR code is in {}.", path.display()));
        }
    }

    /// The end of a failed command.
    pub(crate) fn failed(self, failure: &Failure) {
        if self.json {
            self.line(&failure.json().to_string());
            return;
        }
        let (red, reset) = self.paint("1;31");
        let lines = failure.lines();
        let lines = lines.strip_prefix("error:").unwrap_or(&lines);
        self.line(&format!("{red}error:{reset}{}", lines.trim_end()));
    }

    fn paint(self, code: &str) -> (String, &'static str) {
        match self.colour {
            true => (format!("\x1b[{code}m"), "\x1b[0m"),
            false => (String::new(), ""),
        }
    }

    /// One line on standard error. A closed pipe there is nobody's loss.
    fn line(self, text: &str) {
        let _nobody_reads = writeln!(io::stderr().lock(), "{text}");
    }
}

/// An event as machines get it: schema version, name, fields.
pub(crate) fn event_line(event: &str, fields: Value) -> Value {
    let mut line = Map::new();
    line.insert("v".to_owned(), 1.into());
    line.insert("event".to_owned(), event.into());
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    Value::Object(line)
}

/// Writes a result to standard output.
///
/// # Errors
///
/// [`Status::Storage`] if nobody takes it: a result that is lost is a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| {
        Failure::because(Status::Storage, &error, "standard output was closed; keep it open")
    })
}
