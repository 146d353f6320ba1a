//! Wrong use: what the parser of the command line says, as the two lines of every other failure.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::failure::{Failure, Status};
use super::ui::Ui;

/// Ends a program whose arguments gave no command to run: help was asked for, or is needed.
pub(super) fn end(error: &clap::Error) -> ExitCode {
    let helps = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if helps || !error.use_stderr() {
        let printed = error.print();
        return match (helps, printed) {
            (true, _) => ExitCode::from(Status::Usage as u8),
            (false, Ok(())) => ExitCode::SUCCESS,
            (false, Err(_)) => ExitCode::from(Status::Storage as u8),
        };
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    Ui::new(json, false).failed(&failure(&error.render().to_string()));
    ExitCode::from(Status::Usage as u8)
}

/// The parser's text: what is wrong, a list perhaps, tips, and the usage.
fn failure(text: &str) -> Failure {
    let wrong = text.split("\n\n").next().unwrap_or_default();
    let wrong = wrong.strip_prefix("error: ").unwrap_or(wrong);
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    let hints: Vec<_> = tips.map(str::to_owned).chain([see(text)]).collect();
    Failure::new(Status::Usage, line(wrong), hints.join("; "))
}

/// The command whose help is meant: the usage line up to its first option or argument.
fn see(text: &str) -> String {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("cabled");
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic());
    let command: Vec<_> = usage.split_whitespace().take_while(is_name).collect();
    format!("see: {} --help", command.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parsers_text_becomes_two_lines() {
        let text = "error: these were not provided:\n  --a <A>\n  --b\n\n  tip: try c\n\n\
                    Usage: cabled phone scan --a <A>\n\nFor more information, try '--help'.\n";
        let failure = failure(text);
        assert_eq!(failure.error, "these were not provided: --a <A> --b");
        assert_eq!(failure.hint, "try c; see: cabled phone scan --help");
        assert_eq!(super::failure("error: odd").hint, "see: cabled --help");
    }
}
