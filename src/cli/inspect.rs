//! `cabled inspect`: what a `FIDO:/` text or an advert says, in words and as JSON.
//!
//! Whatever lets its reader take part in a transaction stays hidden until `--reveal`: secret,
//! advert key, tunnel ID. Works without radio, network and store.

mod advert;
mod code;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::args::read_fido_text;
use super::failure::{Failure, Status};
use super::ui::{Ui, event_line, print};
use super::{advice, image, system};
use crate::hex;
use crate::hybrid::advert::{ADVERT_LEN, MAX_SERVICE_DATA};
use crate::hybrid::qr::QrContents;

/// Decodes a FIDO:/ code or the advert of a phone, for when nothing happens
#[derive(Args, Clone, Debug)]
pub(crate) struct Inspect {
    /// The code's text, which begins with FIDO:/, or - to read it from standard input
    #[arg(value_name = "TEXT", required_unless_present_any = ["image", "advert"])]
    text: Option<String>,
    /// Find the code in a picture or a screenshot
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    image: Option<PathBuf>,
    /// Service data of an advert, 20 bytes or more in hexadecimal; opened if there is a code too
    #[arg(long, value_name = "HEX")]
    advert: Option<String>,
    /// The text of the code to try the advert against, without a report on the code itself
    #[arg(long, value_name = "TEXT", requires = "advert", conflicts_with_all = ["text", "image"])]
    qr: Option<String>,
    /// Show secrets and keys too: whoever sees them can take part in the transaction
    #[arg(long)]
    reveal: bool,
}

impl Inspect {
    pub(crate) fn run(&self, ui: Ui) -> Result<(), Failure> {
        let text = self.text()?;
        let contents = text.as_deref().map(QrContents::decode).transpose();
        let contents = contents.map_err(|error| advice::qr(&error))?;
        let service_data = self.advert.as_deref().map(service_data).transpose()?;
        let mut reports = Vec::new();
        if let (Some(text), Some(contents), None) = (&text, &contents, &self.qr) {
            reports.push(code::report(text, contents, system::unix_time(), self.reveal));
        }
        if let Some(data) = &service_data {
            reports.push(advert::report(data, contents.as_ref(), self.reveal));
        }
        print(&match ui.is_json() {
            true => as_json(reports).to_string(),
            false => as_text(&reports),
        })
    }

    fn text(&self) -> Result<Option<String>, Failure> {
        let text = match (&self.image, self.text.as_ref().or(self.qr.as_ref())) {
            (Some(file), _) => Some(image::read_file(file).map_err(|error| advice::image(&error))?),
            (None, Some(text)) if text == "-" => Some(read_fido_text()?),
            (None, text) => text.cloned(),
        };
        Ok(text.map(|text| text.trim().to_owned()))
    }
}

/// Some things that are known, each in words and as a member of an object.
struct Report {
    name: &'static str,
    title: &'static str,
    lines: Vec<(String, String)>,
    members: Map<String, Value>,
}

impl Report {
    fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title, lines: Vec::new(), members: Map::new() }
    }

    fn say(&mut self, label: impl Into<String>, words: impl Into<String>) {
        self.lines.push((label.into(), words.into()));
    }

    fn member(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// A secret: its bytes or, unless revealed, no more than that there is one.
    fn secret(&mut self, label: &str, name: &str, bytes: &[u8], reveal: bool) {
        let shown = reveal.then(|| hex::lower(bytes));
        let hidden = || format!("hidden, {} bytes (--reveal shows them)", bytes.len());
        self.say(label, shown.clone().unwrap_or_else(hidden));
        self.member(name, shown);
    }
}

fn as_json(reports: Vec<Report>) -> Value {
    let members = reports.into_iter().map(|r| (r.name.to_owned(), Value::Object(r.members)));
    event_line("inspected", Value::Object(members.collect()))
}

fn as_text(reports: &[Report]) -> String {
    let mut out = String::new();
    for report in reports {
        let width = report.lines.iter().map(|(label, _)| label.chars().count()).max();
        let width = width.unwrap_or_default() + 1;
        let _infallible = writeln!(out, "{}", report.title);
        for (label, words) in &report.lines {
            let _infallible = writeln!(out, "  {:width$} {words}", format!("{label}:"));
        }
    }
    out.trim_end().to_owned()
}

/// Reads an advert's bytes; spaces and colons between them are fine.
fn service_data(text: &str) -> Result<Vec<u8>, Failure> {
    let hint = format!(
        "pass the service data of UUID fff9 (or fde2) as {} hexadecimal digits or more",
        2 * ADVERT_LEN
    );
    let wrong = |error: String| Failure::new(Status::Usage, error, &*hint);
    let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let values: Option<Vec<u32>> = digits.iter().map(|c| c.to_digit(16)).collect();
    let values = values.ok_or_else(|| wrong("the advert is not in hexadecimal".to_owned()))?;
    if values.len() % 2 != 0 {
        return Err(wrong(format!("the advert has an odd number of digits, {}", values.len())));
    }
    let byte = |pair: &[u32]| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    let bytes: Vec<u8> = values.chunks(2).filter_map(|pair| byte(pair).ok()).collect();
    match bytes.len() {
        ADVERT_LEN..=MAX_SERVICE_DATA => Ok(bytes),
        length => Err(wrong(format!(
            "an advert has {ADVERT_LEN} bytes, or up to {MAX_SERVICE_DATA} with a suffix; this \
             has {length}"
        ))),
    }
}

/// Nothing that is known, in JSON.
fn unknown() -> Value {
    json!(null)
}

#[cfg(test)]
mod tests;
