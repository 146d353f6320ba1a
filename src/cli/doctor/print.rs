//! The doctor's report: findings as text for people, to be read or read aloud, and as JSON.
//!
//! Depends on the findings and on the user interface.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde_json::json;

use super::finding::{Area, Finding, Severity, count};
use crate::cli::failure::Failure;
use crate::cli::ui::{Ui, event_line, print};

/// Prints findings on standard output as they come: here they are the result.
pub(super) struct Report {
    json: bool,
    colour: bool,
    /// Whose headline was printed last.
    under: Option<Area>,
    all: Vec<Finding>,
}

impl Report {
    pub(super) fn new(ui: Ui) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !no_colour && std::io::stdout().is_terminal();
        Self { json: ui.is_json(), colour, under: None, all: Vec::new() }
    }

    /// Prints some, which should come area by area.
    pub(super) fn add(&mut self, findings: Vec<Finding>) -> Result<(), Failure> {
        for finding in &findings {
            match self.json {
                true => print(&as_json(finding).to_string())?,
                false => {
                    let text = self.headline(finding.area) + &as_text(finding, self.colour);
                    print(text.trim_end())?;
                }
            }
        }
        self.all.extend(findings);
        Ok(())
    }

    fn headline(&mut self, area: Area) -> String {
        if self.under == Some(area) {
            return String::new();
        }
        let gap = if self.under.replace(area).is_some() { "\n" } else { "" };
        format!("{gap}{}\n", area.title())
    }

    /// Prints the sum, and gives all findings.
    pub(super) fn end(self) -> Result<Vec<Finding>, Failure> {
        let [problems, warnings] =
            [Severity::Problem, Severity::Warning].map(|severity| count(&self.all, severity));
        match self.json {
            true => {
                let fields = json!({ "problems": problems, "warnings": warnings });
                print(&event_line("summary", fields).to_string())?;
            }
            false => print(&format!("\n{}", sum(problems, warnings)))?,
        }
        Ok(self.all)
    }
}

fn sum(problems: usize, warnings: usize) -> String {
    let counted = |count: usize, what: &str| match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    format!("Found {} and {}.", counted(problems, "problem"), counted(warnings, "warning"))
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let mut fields = serde_json::Map::from_iter([
        ("area".to_owned(), finding.area.name().into()),
        ("severity".to_owned(), finding.severity.name().into()),
        ("cause".to_owned(), finding.cause.as_str().into()),
        ("evidence".to_owned(), finding.evidence.as_str().into()),
    ]);
    fields.extend(finding.fix.as_ref().map(|fix| ("fix".to_owned(), fix.as_str().into())));
    event_line("finding", fields.into())
}

/// Severity and cause on a line, then what was seen and what to do, below each other.
fn as_text(finding: &Finding, colour: bool) -> String {
    let (paint, reset) = match (colour, finding.severity) {
        (false, _) => ("", ""),
        (true, Severity::Ok) => ("\x1b[32m", "\x1b[0m"),
        (true, Severity::Note) => ("\x1b[2m", "\x1b[0m"),
        (true, Severity::Warning) => ("\x1b[33m", "\x1b[0m"),
        (true, Severity::Problem) => ("\x1b[1;31m", "\x1b[0m"),
    };
    let name = finding.severity.name();
    let mut text = format!("  {paint}{name:<7}{reset}  {}\n", finding.cause);
    if !finding.evidence.is_empty() {
        let _infallible = writeln!(text, "           seen: {}", finding.evidence);
    }
    if let Some(fix) = &finding.fix {
        let _infallible = writeln!(text, "           fix:  {fix}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding() -> Finding {
        Finding::new(Severity::Problem, Area::Bluetooth, "it is off", "turn it on").seen("hci0")
    }

    #[test]
    fn a_finding_is_a_line_with_two_below_it() {
        let text = "  problem  it is off\n           seen: hci0\n           fix:  turn it on\n";
        assert_eq!(as_text(&finding(), false), text);
        assert_eq!(as_text(&Finding::ok(Area::DBus, "fine"), false), "  ok       fine\n");
        let painted = as_text(&finding(), true);
        assert!(painted.starts_with("  \x1b[1;31mproblem\x1b[0m  it is off\n"), "{painted:?}");
    }

    #[test]
    fn machines_get_one_object() {
        let value = as_json(&finding());
        assert_eq!((&value["event"], &value["v"]), (&"finding".into(), &1.into()));
        assert_eq!((&value["area"], &value["severity"]), (&"bluetooth".into(), &"problem".into()));
        assert_eq!((&value["evidence"], &value["fix"]), (&"hci0".into(), &"turn it on".into()));
        assert!(as_json(&Finding::ok(Area::DBus, "fine")).get("fix").is_none());
    }

    #[test]
    fn the_sum_is_a_sentence() {
        assert_eq!(sum(0, 0), "Found no problems and no warnings.");
        assert_eq!(sum(1, 2), "Found 1 problem and 2 warnings.");
    }

    #[test]
    fn each_area_has_one_headline() {
        let mut report = Report { json: false, colour: false, under: None, all: Vec::new() };
        assert_eq!(report.headline(Area::DBus), "D-Bus\n");
        assert_eq!(report.headline(Area::DBus), "");
        assert_eq!(report.headline(Area::Clock), "\nClock\n");
    }
}
