//! What became of the ceremonies: a line for each, and JUnit's XML for all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::authenticator::service::Happened;
use crate::cli::failure::{Failure, Status, causes};
use crate::cli::ui::Ui;
use crate::testbed::control::Picture;
use crate::testbed::{Bench, Ceremony};

/// Takes pictures of the display.
pub(super) struct Camera {
    folder: PathBuf,
    picture: Picture,
}

impl Camera {
    pub(super) fn new(folder: PathBuf, picture: Picture) -> Self {
        Self { folder, picture }
    }

    /// Writes one for a ceremony; gives the file, or why there is none.
    fn shoot(&self, ceremony: u64) -> Result<PathBuf, String> {
        let file = self.folder.join(format!("ceremony-{ceremony}.png"));
        std::fs::write(&file, (self.picture)()?).map_err(|error| error.to_string())?;
        Ok(file)
    }
}

/// The ceremonies that are over, by number.
pub(super) struct Report {
    ui: Ui,
    camera: Option<Camera>,
    told: BTreeMap<u64, Ceremony>,
}

impl Report {
    /// With a camera each ceremony that did not end as its script says is photographed.
    pub(super) fn new(ui: Ui, camera: Option<Camera>) -> Self {
        Self { ui, camera, told: BTreeMap::new() }
    }

    pub(super) fn tell(&mut self, ceremony: Ceremony) {
        let (outcome, good) = ending(&ceremony);
        let photographed = self.camera.as_ref().filter(|_| !good);
        let photographed = photographed.map(|camera| camera.shoot(ceremony.id));
        if let Some(Err(why)) = &photographed {
            self.ui.note(&format!("there is no picture of ceremony {}: {why}", ceremony.id));
        }
        let screenshot = photographed.and_then(Result::ok).map(|file| file.display().to_string());
        let fields = json!({
            "screenshot": screenshot,
            "ceremony": ceremony.id,
            "phone": ceremony.phone,
            "outcome": outcome,
            "as_scripted": good,
            "error": why(&ceremony),
        });
        let fields = match fields {
            Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => other,
        };
        self.ui.step("ceremony", &sentence(&ceremony), fields);
        self.told.insert(ceremony.id, ceremony);
    }

    /// Those that ended last.
    pub(super) fn rest(&mut self, bench: &Bench) {
        for ceremony in bench.ceremonies() {
            if !self.told.contains_key(&ceremony.id) {
                self.tell(ceremony);
            }
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        std::fs::write(file, self.junit()).map_err(|error| {
            let error = format!("cannot write {}: {error}", file.display());
            Failure::new(Status::Storage, error, "name a file that you may write for --junit")
        })
    }

    fn junit(&self) -> String {
        let cases: Vec<_> = self.told.values().map(case).collect();
        let failures = self.told.values().filter(|ceremony| !ending(ceremony).1).count();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"cabled testbed\" tests=\"{}\" failures=\"{failures}\">\n{}</testsuite>\n",
            cases.len(),
            cases.concat()
        )
    }
}

/// One that never ended did not end as scripted.
fn ending(ceremony: &Ceremony) -> (&'static str, bool) {
    (ceremony.outcome().unwrap_or("unfinished"), ceremony.as_scripted().unwrap_or(false))
}

fn sentence(ceremony: &Ceremony) -> String {
    let (outcome, good) = ending(ceremony);
    let good = if good { "as scripted" } else { "NOT as scripted" };
    let why = why(ceremony).map(|why| format!(": {why}")).unwrap_or_default();
    format!("Ceremony {} on {}: {outcome}, {good}{why}.", ceremony.id, ceremony.phone)
}

/// What was wrong with the script, or what ended the ceremony.
fn why(ceremony: &Ceremony) -> Option<String> {
    let ended = ceremony.events.iter().rev().find_map(|event| match &event.what {
        Happened::Ended(Some(error)) => Some(causes(&**error)),
        _ => None,
    });
    ceremony.problem.clone().or(ended)
}

fn case(ceremony: &Ceremony) -> String {
    let (outcome, good) = ending(ceremony);
    let at = |event: Option<&crate::authenticator::service::Event>| event.map_or(0, |e| e.at.0);
    let seconds = at(ceremony.events.last()).saturating_sub(at(ceremony.events.first()));
    let name = escaped(&format!("ceremony {} on {}", ceremony.id, ceremony.phone));
    let mut out =
        format!("  <testcase classname=\"cabled.testbed\" name=\"{name}\" time=\"{seconds}\">");
    if !good {
        let why = escaped(&why(ceremony).unwrap_or_default());
        let _infallible = write!(out, "<failure message=\"{outcome}\">{why}</failure>");
    }
    let _infallible = writeln!(out, "<system-out>{outcome}</system-out></testcase>");
    out
}

/// As text or attribute of XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::testbed::Script;

    #[test]
    fn xml_is_escaped_and_counts_what_went_wrong() {
        let ceremony = |id, problem: Option<&str>| Ceremony {
            id,
            phone: "a<b>&\"c\u{1}".to_owned(),
            script: Script::default(),
            events: Vec::new(),
            walked_away: false,
            problem: problem.map(str::to_owned),
            over: true,
            trace: Arc::default(),
        };
        let mut report = Report::new(Ui::new(false, true), None);
        report.tell(ceremony(2, Some("no <account>")));
        report.tell(ceremony(1, None));
        let xml = report.junit();
        assert!(xml.contains("tests=\"2\" failures=\"2\""), "{xml}");
        assert!(xml.contains("name=\"ceremony 1 on a&lt;b&gt;&amp;&quot;c\u{fffd}\""), "{xml}");
        assert!(xml.contains("<failure message=\"nothing-asked\">no &lt;account&gt;</failure>"));
        assert!(xml.find("ceremony 1").unwrap() < xml.find("ceremony 2").unwrap());
    }
}
