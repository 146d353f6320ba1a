//! Wrong use: what the parser of the command line says, as the two lines of every other failure.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;
use clap::error::ErrorKind;

use super::failure::{Failure, Status};
use super::ui::Ui;

/// Ends a program whose arguments gave no command to run: help was asked for, or is needed.
pub(super) fn end(error: &clap::Error, known: &Command) -> ExitCode {
    let helps = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if helps || !error.use_stderr() {
        let printed = error.print();
        return match (helps, printed) {
            (true, _) => ExitCode::from(Status::Usage as u8),
            (false, Ok(())) => ExitCode::SUCCESS,
            (false, Err(_)) => ExitCode::from(Status::Storage as u8),
        };
    }
    let command = meant(known, std::env::args_os().skip(1));
    failed(&failure(&error.render().to_string(), &command))
}

/// Ends a program that failed before its options were known.
pub(super) fn failed(failure: &Failure) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    Ui::new(json, false).failed(failure);
    ExitCode::from(failure.status as u8)
}

/// The parser's text: what is wrong, a list perhaps, tips, and the usage.
fn failure(text: &str, command: &str) -> Failure {
    let wrong = text.split("\n\n").next().unwrap_or_default();
    let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let hints: Vec<_> = tips.map(str::to_owned).chain([format!("see: {command} --help")]).collect();
    Failure::new(Status::Usage, line(wrong), hints.join("; "))
}

/// The command whose help is meant: the names at the begin of the arguments.
fn meant(mut known: &Command, arguments: impl Iterator<Item = OsString>) -> String {
    let mut words = vec![known.get_name().to_owned()];
    for argument in arguments {
        let Some(next) = known.find_subcommand(&argument) else { break };
        words.push(next.get_name().to_owned());
        known = next;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_text_becomes_two_lines() {
        let text = "error: these were not provided:\n  --a <A>\n  --b\n\n  tip: try c\n\n\
                    Usage: cabled phone scan --a <A>\n\nFor more information, try '--help'.\n";
        let failure = failure(text, "cabled phone scan");
        assert_eq!(failure.error, "these were not provided: --a <A> --b");
        assert_eq!(failure.hint, "try c; see: cabled phone scan --help");
    }

    #[test]
    fn the_help_is_that_of_the_command_that_was_meant() {
        let scan = Command::new("phone").subcommand(Command::new("scan"));
        let known = Command::new("cabled").subcommand(scan);
        let meant = |words: &str| super::meant(&known, words.split(' ').map(OsString::from));
        assert_eq!(meant("phone scan --x"), "cabled phone scan");
        assert_eq!(meant("phone --x scan"), "cabled phone");
        assert_eq!(meant("scan"), "cabled");
    }
}
