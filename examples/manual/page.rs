//! One page: what clap knows of a command, and after it what people look for in a manual.

use std::collections::BTreeMap;
use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::words::{self, Words};

/// The page's name: `cabled-phone-scan`.
pub(crate) fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// The page as roff.
pub(crate) fn render(program: &Command, command: &Command) -> io::Result<Vec<u8>> {
    let name = name(command);
    let source = concat!("cabled ", env!("CARGO_PKG_VERSION"));
    // The usage of --help: all options in brackets, in a row, are nothing to read.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let command_with_usage = command.clone().override_usage(usage);
    let known = Man::new(command_with_usage).source(source).manual("User Commands").date("");
    let mut page = Vec::new();
    known.render_title(&mut page)?;
    known.render_name_section(&mut page)?;
    known.render_synopsis_section(&mut page)?;
    known.render_description_section(&mut page)?;
    let words: Vec<_> = words::of(&name).collect();
    paragraphs(&words).to_writer(&mut page)?;
    if command.get_arguments().next().is_some() {
        known.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        known.render_subcommands_section(&mut page)?;
    }
    let variables = variables(command);
    let sections = [
        listed("EXIT STATUS", &exit_statuses(program)),
        listed("ENVIRONMENT", &variables),
        listed("FILES", &words::files(&name)),
        examples(&words),
        see_also(program, command, &words),
    ];
    for section in sections {
        section.to_writer(&mut page)?;
    }
    Ok(page)
}

/// What there is to say beyond the command's own help; a part of the description.
fn paragraphs(words: &[&Words]) -> Roff {
    let mut roff = Roff::new();
    for paragraph in words.iter().flat_map(|words| words.more) {
        roff.control("PP", []).text([roman(*paragraph)]);
    }
    roff
}

/// A section of terms and what they mean; none where there is nothing to list.
fn listed(title: &str, entries: &[(String, String)]) -> Roff {
    let mut roff = Roff::new();
    if !entries.is_empty() {
        roff.control("SH", [title]);
    }
    for (term, meaning) in entries {
        roff.control("TP", []).text([bold(term)]).text([roman(meaning)]);
    }
    roff
}

/// From the line at the end of the program's help, so that it stands at one place: `0 done, 1 failure, ...`.
fn exit_statuses(program: &Command) -> Vec<(String, String)> {
    let line = program.get_after_help().map(ToString::to_string).unwrap_or_default();
    let list = line.trim_start_matches("Exit status: ").trim_end_matches('.');
    let entries = list.split(", ").filter_map(|entry| entry.split_once(' '));
    entries.map(|(number, meaning)| (number.to_owned(), sentence(meaning))).collect()
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The variables of its options, and those that every program of its kind heeds.
fn variables(command: &Command) -> Vec<(String, String)> {
    let mut found = BTreeMap::new();
    for argument in command.get_arguments() {
        if let (Some(variable), Some(option)) = (argument.get_env(), argument.get_long()) {
            let meaning = format!("The same as --{option}, which wins where both are given.");
            found.insert(variable.to_string_lossy().into_owned(), meaning);
        }
    }
    let options: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let rest = words::VARIABLES.iter().filter(|(option, ..)| options.contains(option));
    found
        .extend(rest.map(|(_, variable, meaning)| ((*variable).to_owned(), (*meaning).to_owned())));
    found.into_iter().collect()
}

fn examples(words: &[&Words]) -> Roff {
    let mut roff = Roff::new();
    let mut examples = words.iter().flat_map(|words| words.examples).peekable();
    if examples.peek().is_some() {
        roff.control("SH", ["EXAMPLES"]);
    }
    for (lines, meaning) in examples {
        roff.control("PP", []).text([roman(*meaning)]);
        roff.control("PP", []).control("RS", ["4"]).control("nf", []);
        for line in lines.lines() {
            roff.text([bold(line)]);
        }
        roff.control("fi", []).control("RE", []);
    }
    roff
}

/// Where it belongs, what is below and beside it, and the pages of others.
fn see_also(program: &Command, command: &Command, words: &[&Words]) -> Roff {
    let own = name(command);
    let mut pages: Vec<_> = command.get_subcommands().map(name).collect();
    if let Some(parent) = parent(program, command) {
        pages.insert(0, name(parent));
        let beside = parent.get_subcommands().map(name).filter(|page| *page != own);
        // Beside a command of the program itself are all the others, and cabled(1) lists those.
        pages.extend(beside.filter(|_| parent.get_name() != program.get_name()));
    }
    let pages = pages.iter().map(|page| format!("{page}(1)"));
    let others = words.iter().flat_map(|words| words.see).map(|page| (*page).to_owned());
    let mut pages: Vec<_> = pages.chain(others).collect();
    let mut seen = Vec::new();
    pages.retain(|page| !seen.contains(page) && (seen.push(page.clone()), true).1);
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let last = pages.len().saturating_sub(1);
    for (number, page) in pages.iter().enumerate() {
        let (title, section) = page.split_once('(').unwrap_or((page, ""));
        let end = if number == last { "" } else { "," };
        let section = if section.is_empty() { String::new() } else { format!("({section}") };
        roff.text([italic(title), roman(format!("{section}{end}"))]);
    }
    roff.control("PP", []).text([
        roman("The whole documentation is in "),
        italic(words::DOCUMENTATION),
        roman("."),
    ]);
    roff
}

fn parent<'a>(above: &'a Command, wanted: &Command) -> Option<&'a Command> {
    let own = name(wanted);
    match above.get_subcommands().any(|command| name(command) == own) {
        true => Some(above),
        false => above.get_subcommands().find_map(|command| parent(command, wanted)),
    }
}
