//! What the doctor found: one fact after another, each with what was seen and one thing to do.
//!
//! Depends on the exit statuses.

use crate::cli::failure::{Failure, Status};

/// How bad it is. Only problems change the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Ok,
    /// Good to know; nothing that most people need is missing.
    Note,
    /// Something will not work in some cases.
    Warning,
    /// Passkeys cannot be used like this.
    Problem,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// The part of the machine, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    DBus,
    Bluetooth,
    VirtualKey,
    Proxy,
    Certificates,
    Tunnel,
    Clock,
}

impl Area {
    /// The name in `--json` output.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DBus => "dbus",
            Self::Bluetooth => "bluetooth",
            Self::VirtualKey => "virtual-key",
            Self::Proxy => "proxy",
            Self::Certificates => "certificates",
            Self::Tunnel => "tunnel",
            Self::Clock => "clock",
        }
    }

    /// The headline for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::DBus => "D-Bus",
            Self::Bluetooth => "Bluetooth",
            Self::VirtualKey => "Virtual key",
            Self::Proxy => "Proxy",
            Self::Certificates => "Certificates",
            Self::Tunnel => "Tunnel services",
            Self::Clock => "Clock",
        }
    }

    /// What a command would end with that meets a problem here.
    fn status(self) -> Status {
        match self {
            Self::DBus | Self::Bluetooth => Status::Radio,
            Self::Proxy | Self::Certificates | Self::Tunnel => Status::Network,
            Self::VirtualKey | Self::Clock => Status::Failure,
        }
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) area: Area,
    pub(super) severity: Severity,
    /// What is so.
    pub(super) cause: String,
    /// What it was concluded from; may be empty.
    pub(super) evidence: String,
    /// The one thing to do next, if anything is.
    pub(super) fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(area: Area, cause: impl Into<String>) -> Self {
        let (cause, evidence) = (cause.into(), String::new());
        Self { area, severity: Severity::Ok, cause, evidence, fix: None }
    }

    /// Something that can be done about.
    pub(super) fn new(
        severity: Severity,
        area: Area,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity, fix: Some(fix.into()), ..Self::ok(area, cause) }
    }

    /// Something to know that needs nothing done.
    pub(super) fn note(area: Area, cause: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::ok(area, cause) }
    }

    /// Adds what it was concluded from.
    pub(super) fn seen(self, evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), ..self }
    }
}

/// How many findings of a severity there are.
pub(super) fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// What the command ends with: the first problem, if there is one, with the status that a ceremony
/// would end with there. Notes and warnings end well.
pub(super) fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let Some(worst) = findings.iter().find(|finding| finding.severity == Severity::Problem) else {
        return Ok(());
    };
    let error = match count(findings, Severity::Problem) {
        1 => worst.cause.clone(),
        several => format!("{several} problems were found, first of all: {}", worst.cause),
    };
    let hint = worst.fix.clone().unwrap_or_else(|| "look at the findings above".to_owned());
    Err(Failure::new(worst.area.status(), error, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(severity: Severity, area: Area, cause: &str) -> Finding {
        Finding::new(severity, area, cause, format!("mend {cause}"))
    }

    #[test]
    fn the_first_problem_names_the_status() {
        use Severity::{Note, Problem, Warning};
        let mut findings = vec![
            Finding::ok(Area::DBus, "fine"),
            of(Warning, Area::Bluetooth, "b"),
            of(Note, Area::VirtualKey, "v"),
        ];
        assert!(verdict(&[]).is_ok() && verdict(&findings).is_ok());
        findings.push(of(Problem, Area::Tunnel, "t"));
        let failure = verdict(&findings).unwrap_err();
        assert_eq!((failure.status, failure.error.as_str()), (Status::Network, "t"));
        assert_eq!(failure.hint, "mend t");
        findings.push(of(Problem, Area::Clock, "c"));
        let failure = verdict(&findings).unwrap_err();
        assert_eq!(failure.status, Status::Network);
        assert_eq!(failure.error, "2 problems were found, first of all: t");
        let status = |area| verdict(&[of(Problem, area, "x")]).unwrap_err().status;
        assert_eq!(status(Area::DBus), Status::Radio);
        assert_eq!(status(Area::Clock), Status::Failure);
    }
}
